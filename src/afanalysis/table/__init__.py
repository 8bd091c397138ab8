"""The tidy table, one row per rollout: its columns, opening it, reducing it to counts."""
