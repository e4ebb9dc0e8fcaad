"""Stand-ins for CTK's widgets. Imports the registry."""
