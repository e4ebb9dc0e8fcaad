"""The Slicer side of SAM2Annotate: MRML nodes, Qt widgets, the worker process. Imports slicer, vtk and qt; the library does not know it.

A folder is a room: `SAM2Annotate/README.md` has the plan, `Testing/Packaging/test_module_rooms.py` holds it. In the folder itself lie what
every room may use (Event, Coalescer, PageDialog) and Console, the door for scripts.
"""
