"""``sam2annotate crowd``: boxes from many people. Imports the library inside functions, errors."""
