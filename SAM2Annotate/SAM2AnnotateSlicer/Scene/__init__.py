"""MRML nodes to voxels and back. Imports no other room."""
