"""How things are written: numbers, pages, tables, and text that is not ours."""
