"""What is asked, and what stands on disk."""
