"""How time and memory grow with teachers and pictures, and how well a run is predicted."""
