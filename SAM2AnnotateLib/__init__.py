"""SAM2AnnotateLib: one box to a 3-D mask with SAM 2, for CT and MR. Importable with numpy alone.

Rooms, from the ground up; each may import those before it: `geometry`, `volume_io`, `intensity`, `prompts`, `engine` (alone imports torch
and sam2, with `training`), `propagation`, `metrics`, `training`, `benchmark`, `cli`. `errors`, `progress`, `atomic_files` and
`optional_imports` lie under all.
"""

__version__ = "0.1.0"
