"""SAM2AnnotateLib: one box to a 3-D mask with SAM 2, for CT and MR. Importable with numpy alone.

Rooms, from the ground up; each may import those before it: `geometry`, `volume_io`, `intensity`, `prompts`, `metrics`, `engine`,
`propagation`, `review`, `annotator` (the front door), `pictures`, `simulation`, `training`, `benchmark`, `cli`. Only `engine`, `training`
and `benchmark` import torch and sam2. `errors`, `progress`, `atomic_files` and `optional_imports` lie under all.
"""

__version__ = "0.1.0"
