"""Crowd projects for tests: small volumes, a project.yaml, known answers. Imports the library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from SAM2AnnotateLib.crowd.project import CrowdProject, read_project
from SAM2AnnotateLib.crowd.records import Passwords
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.volume_io import write_volume

# Each takes milliseconds instead of a tenth of a second; what a real one costs has a test of its own.
QUICK_PASSWORDS = Passwords(memory_kib=64, time_cost=1)
OBJECTS = ({"key": "ball", "name": "Ball", "sentence": "The bright round thing.", "label": 1},)


def a_crowd_volume(folder: Path, key: str, seed: int = 0, slices: int = 8, side: int = 32) -> tuple[Path, Path]:
    """An image with a bright block on slices 2 to all but 2, stored flipped, and its label map; their paths."""
    voxels = np.random.default_rng(seed).integers(0, 40, (slices, side, side + 4)).astype(np.int16)
    labels = np.zeros(voxels.shape, dtype=np.uint8)
    labels[2:-2, 8:20, 10:24] = 1
    voxels[labels == 1] += 150
    grid = VolumeGrid(voxels.shape, np.diag([1.0, 1.2, -2.5, 1.0]))
    image, label = folder / f"{key}.nii.gz", folder / f"{key}_label.nii.gz"
    write_volume(Volume(grid, voxels), image)
    write_volume(Volume(grid, labels), label)
    return image, label


def write_yaml(folder: Path, **entries: object) -> Path:
    """A project.yaml of these entries."""
    path = folder / "project.yaml"
    path.write_text(yaml.safe_dump(entries, sort_keys=False), encoding="utf-8")
    return path


def a_crowd_project(folder: Path, volumes: int = 2, gold: int = 1, depth: int = 8, **entries: object) -> CrowdProject:
    """A project with `volumes` volumes to answer and `gold` more whose answers are known; further entries as in project.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    for number in range(volumes + gold):
        key = f"p{number}" if number < volumes else f"g{number - volumes}"
        image, label = a_crowd_volume(folder, key, number, depth)
        listed.append({"key": key, "image": image.name, **({"gold": label.name} if number >= volumes else {})})
    given = {"key": folder.name, "title": "Balls", "objects": list(OBJECTS), "volumes": listed, "window": [0, 200], **entries}
    write_yaml(folder, **given)
    return read_project(folder)
