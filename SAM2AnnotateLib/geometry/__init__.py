"""Where things are: grids, volumes, boxes and slices. No files, no models. Imports numpy and errors only."""

from .boxes import Box2D, Box3D, Extent
from .slicing import SliceStack
from .volume import Volume
from .volume_grid import VolumeGrid

__all__ = ["Box2D", "Box3D", "Extent", "SliceStack", "Volume", "VolumeGrid"]
