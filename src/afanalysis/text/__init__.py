"""How things are written: numbers, pages, tables, progress, and text that a model wrote."""
