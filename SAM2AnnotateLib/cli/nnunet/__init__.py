"""The commands of ``sam2annotate nnunet``. Imports `nnunet` of the library inside functions, errors and the command line's own values."""
