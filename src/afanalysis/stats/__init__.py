"""Pure mathematics: arrays in, numbers out. No files, no models, no tables.

Counts have one entry per prompt: `n` samples of which `s` succeeded (`s` may be fractional where an
outcome is a mean of verdicts). Proportions lie in 0-1, levels in (0, 1).
"""
