"""Names to teachers: discovery of plugins, their entries, conflicts, providers."""
