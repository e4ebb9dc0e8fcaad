"""How well a mask fits the truth: overlap and surface distance. Imports numpy, geometry, errors and (inside functions) scipy.

Four numbers, the same everywhere, in 2-D and 3-D:

======== ===================================================================================== ============== ==========
name     meaning                                                                               range          perfect
======== ===================================================================================== ============== ==========
dsc      Dice similarity coefficient, 2 |A and B| / (|A| + |B|)                                0..1           1
jaccard  intersection over union, |A and B| / |A or B|                                         0..1           1
nsd      normalized surface Dice: share of both surfaces, by area, that lies within the        0..1           1
         tolerance of the other surface
hd95_mm  95th percentile of the surface distance by area, the worse of the two directions      0 mm and more  0
======== ===================================================================================== ============== ==========

Empty masks, one convention for all of them:

- **Both empty**: every number is NaN. 0/0 is undefined, and a perfect score for an absent object would raise a mean that it says
  nothing about. nnU-Net does the same; average with `numpy.nanmean`, which leaves such cases out.
- **One empty**: a miss or a false alarm, and never left out. DSC, Jaccard and NSD are 0, HD95 is infinite. A mean of HD95 over such
  cases is infinite by intent: report the median, or count the misses beside it.

JSON knows neither NaN nor infinity: `Scores.as_json_object` writes both as null, and the voxel counts beside it tell which it was.
"""

from .overlap import dice, jaccard
from .score import ScoreReport, Scores, score_masks
from .surface import SurfaceDistances, hausdorff_95_mm, normalized_surface_dice, surface_distances

__all__ = [
    "ScoreReport", "Scores", "SurfaceDistances", "dice", "hausdorff_95_mm", "jaccard", "normalized_surface_dice", "score_masks",
    "surface_distances",
]  # fmt: skip
