"""Features of whole folders in a file, and the search in it."""
