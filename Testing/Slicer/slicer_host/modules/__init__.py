"""How Slicer finds, loads, reloads and unloads a scripted module, its .ui files and `slicer.util`."""
