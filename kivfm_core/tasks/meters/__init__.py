"""What each task is measured by, one file a task."""
