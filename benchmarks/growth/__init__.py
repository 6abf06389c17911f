"""How time and memory grow with teachers and images, and how well a run is predicted."""
