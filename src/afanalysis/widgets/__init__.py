"""Widgets for JupyterLab: read transcripts, label them, and move the headline figure's choices."""

from afanalysis.widgets.browser import browse
from afanalysis.widgets.choices import play
from afanalysis.widgets.labeller import label

__all__ = ["browse", "label", "play"]
