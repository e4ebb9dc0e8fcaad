"""`slicer.parameterNodeWrapper` and `parameterPack`. Imports slicer-core."""
