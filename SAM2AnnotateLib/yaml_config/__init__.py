"""YAML that a person writes, read so that every mistake is told with its place. Imports the single files; PyYAML inside functions."""
