"""Tasks: one record a file, named in one table; what each is measured by lies in `meters/`."""
