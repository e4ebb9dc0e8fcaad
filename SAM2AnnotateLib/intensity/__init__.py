"""From voxel values to the 8-bit gray that a model sees. Imports geometry and errors."""

from .mapping import CT_PRESETS, IntensityMapping, choose_mapping

__all__ = ["CT_PRESETS", "IntensityMapping", "choose_mapping"]
