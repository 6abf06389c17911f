"""One teacher, one student, one loop: ours, peers' and a bare one, side by side."""
