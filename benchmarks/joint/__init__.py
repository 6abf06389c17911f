"""What one space for all teachers costs, and what it can do."""
