"""The stand-in for the API: a simulated model and judge behind a loopback server."""
