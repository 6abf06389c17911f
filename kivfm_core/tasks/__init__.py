"""Tasks: what each is measured by, one file a task."""
