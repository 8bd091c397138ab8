"""Widgets for JupyterLab: read transcripts, label them, and move the headline figure's choices."""
