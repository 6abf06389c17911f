"""Images a second on a GPU, and what share of its peak that is."""
