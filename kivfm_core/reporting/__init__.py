"""A page that shows what came out of a run, from its records; torch-free but for `figures`."""
