"""``sam2annotate prototype`` and ``propose``: what was annotated once, found on other cases. Imports the library inside functions."""
