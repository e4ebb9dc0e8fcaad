"""Volumes from and to files. File conventions end here. Imports geometry, errors and (inside functions) SimpleITK."""

from .read import read_volume
from .resample import resample_nearest
from .write import write_volume

__all__ = ["read_volume", "resample_nearest", "write_volume"]
