"""Which models there are: their architectures, where their weights lie and come from, how they are built. Imports neighbors of the library,
nothing of engine."""
