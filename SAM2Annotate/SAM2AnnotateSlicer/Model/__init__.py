"""The model in a process of its own, watched. Imports no other room."""
