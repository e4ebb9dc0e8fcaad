"""`slicer.app`, its managers, the main window and the scene as they are after Slicer's start."""
