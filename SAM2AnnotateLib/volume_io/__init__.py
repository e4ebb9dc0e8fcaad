"""Volumes from and to files. File conventions end here. Imports geometry, errors and (inside functions) SimpleITK."""

from .read import read_volume
from .write import write_volume

__all__ = ["read_volume", "write_volume"]
