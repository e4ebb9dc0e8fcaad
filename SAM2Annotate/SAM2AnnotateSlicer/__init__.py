"""The Slicer side of SAM2Annotate: MRML nodes, Qt widgets, the worker process. Imports slicer, vtk and qt; the library does not know it."""
