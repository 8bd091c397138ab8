"""A stand-in for a model behind the Messages API: a local server with simulated answers."""
