"""The tidy table, one row per rollout: its columns, how it is opened and reduced to counts."""
