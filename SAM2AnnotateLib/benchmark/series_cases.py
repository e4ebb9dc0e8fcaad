"""Cases on disk as a simulated annotator is given them. Imports volume_io, simulation and simulated_learning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..engine import SegmentationEngine
from ..errors import InputError
from ..simulated_learning import SeriesCase
from ..simulation.bench import Bench
from ..simulation.embedding_files import EmbeddingFiles
from ..simulation.objects import StackedTruth, truth_objects
from ..simulation.reader import MaskMemory, ReaderRules
from ..volume_io import read_volume, resample_nearest


def found_cases(folder: Path, pattern: str) -> list[tuple[str, Path, Path]]:
    """(name, image, label map) of the cases in a folder, by name. Raises InputError if there are none."""
    if (folder / "images").is_dir():
        found = [(file.name.split(".")[0], file, folder / "labels" / file.name) for file in (folder / "images").glob(pattern)]
    else:
        one = [(case, sorted([*case.glob("image.*"), *case.glob("dicom")]), sorted(case.glob("label.*"))) for case in folder.glob(pattern)]
        found = [(case.name, images[0], labels[0]) for case, images, labels in one if images and labels]
    if not found:
        raise InputError(
            f"'{folder}' holds no case '{pattern}': expected images/ and labels/, or folders with image.* or dicom, and label.*."
        )
    return sorted(found)


def series_case(
    named: tuple[str, Path, Path],
    engine: SegmentationEngine,
    number: int,
    values: Sequence[int] = (),
    axis: str = "k",
    window: str = "auto",
    files: EmbeddingFiles | None = None,
) -> SeriesCase:
    """A case, its object made of these label values, or of all that are not 0."""
    name, image, label = named
    volume = read_volume(image)
    labels = resample_nearest(read_volume(label), volume.grid).array_kji
    mask = np.isin(labels, values) if values else labels > 0
    (one,), _ = truth_objects(mask.astype(np.uint8), [1], separate=False)
    bench = Bench(volume, engine, axis, window, files)
    memory = MaskMemory(StackedTruth.of(one, bench.stack), bench.stack.frame_spacing_rc_mm, ReaderRules())
    return SeriesCase(name, bench, memory, lambda: np.random.default_rng([number]))
