"""``python -m SAM2AnnotateLib.worker.lay_down IMAGE VOXELS.npy --like MAPPING [--untilt]``: a volume's voxels as a file that a worker maps.

Reading a large volume, and its percentiles, takes seconds: a GUI has it done in a process of its own. The answer is one JSON object on
standard output, of type ``volume`` (shape_kji, ijk_to_ras, lower, upper, mapping), or of type ``failed`` (error, problem, remedy) with exit
code 2. Imports volume_io, intensity, geometry.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from ..errors import InputError, OutputError, SAM2AnnotateError
from ..intensity import CT_PRESETS, IntensityMapping, choose_mapping
from ..json_input import Fields, parse_json
from ..volume_io import is_dicom_path, read_volume


def lay_down(image: Path, voxels: Path, like: str, untilt: bool = False) -> dict:
    """Read a volume and write its voxels.

    Args:
        image: see `read_volume`.
        voxels: the ``.npy`` file to write.
        like: JSON of an `IntensityMapping` of another volume, or of None for what this one asks for.
        untilt: shift slices of a tilted gantry back, see `read_dicom`; other volumes are read as they are.

    Returns:
        Shape, matrix and gray of the volume.

    Raises:
        VolumeError: if it cannot be read.
        OutputError: if the voxels cannot be written.
    """
    volume = read_volume(image, untilt=untilt and is_dicom_path(image))
    mapping = choose_mapping(volume) if like == "null" else _mapping_like(volume, like)
    try:
        with voxels.open("wb") as stream:
            np.save(stream, np.ascontiguousarray(volume.array_kji), allow_pickle=False)
    except OSError as exc:
        raise OutputError(f"'{voxels.parent}' cannot hold the voxels of '{image}': {exc.strerror}.") from exc
    return {
        "type": "volume",
        "shape_kji": list(volume.grid.shape_kji),
        "ijk_to_ras": volume.grid.ijk_to_ras.tolist(),
        "lower": mapping.lower,
        "upper": mapping.upper,
        "mapping": mapping.to_json(),
    }


def _mapping_like(volume, like: str) -> IntensityMapping:
    """The same preset, percentiles of its own for MR, else the same bounds; as prototypes are looked for."""
    fields = Fields(parse_json(like, "a gray mapping"), "a gray mapping")
    name = fields.text("name")
    if name in (*CT_PRESETS, "mr"):
        return choose_mapping(volume, name)
    return IntensityMapping(fields.number("lower"), fields.number("upper"), name, "as the prototypes have it")


def main(arguments: list[str] | None = None) -> int:
    """Lay one volume down."""
    parser = argparse.ArgumentParser(prog="lay_down")
    parser.add_argument("image", type=Path)
    parser.add_argument("voxels", type=Path)
    parser.add_argument("--like", default="null")
    parser.add_argument("--untilt", action="store_true")
    parser.add_argument("--json-lines", action="store_true")  # as commands of the terminal have it
    options = parser.parse_args(arguments)
    try:
        answer, code = lay_down(options.image, options.voxels, options.like, options.untilt), 0
    except SAM2AnnotateError as exc:
        answer, code = {"type": "failed", "error": type(exc).__name__, "problem": exc.problem, "remedy": exc.remedy}, 2
    except MemoryError:
        text = f"'{options.image}' needs more memory than there is."
        answer, code = {"type": "failed", "error": InputError.__name__, "problem": text, "remedy": "Close other programs."}, 2
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    raise SystemExit(main())
