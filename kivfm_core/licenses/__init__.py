"""License terms: which kinds there are, and what a student inherits."""
