"""Using a student on images of one's own."""
