"""What a study leaves for readers: the report, files for LaTeX, the contact sheet."""
