"""Commands that learn from annotated slices and propose with what was learned. Imports the library inside functions."""
