"""Studies: their design, their files on disk, and the tidy table made from these."""
