"""MODEL: whatever sees, opened by name and used alike, be it a student or a teacher."""
