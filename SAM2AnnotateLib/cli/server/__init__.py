"""Commands for a model on another machine, and their options. Imports `remote` inside functions, errors and progress."""
