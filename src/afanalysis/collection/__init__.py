"""Call models, live or in batches: each call exactly once, within a budget."""
