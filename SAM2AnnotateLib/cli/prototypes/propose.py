"""``sam2annotate propose``: find on a volume what the library has prototypes of. Calls `prototypes.propose`; imports the library inside."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ... import __version__
from ...errors import InputError
from ..engine_options import add_engine_options, engine_from
from ..values import add_series_options, show_notes
from .phases import run_in_phases
from .prototype import add_library_option

if TYPE_CHECKING:
    from ...prototypes import NotFound, ProposedObject

_EXAMPLES = """examples:
  sam2annotate propose case3.nii.gz --prototype hippocampus -o case3_mask.nii.gz --report case3.json

The mask is a proposal: look at every slice. Where the object is not found, the mask is empty, and the report and the last line say so.
"""


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "propose", help="find an object that there are prototypes of, without a prompt", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Find an object on a volume by prototypes of it, see 'sam2annotate prototype'. No prompt is needed.",
    )  # fmt: skip
    add = parser.add_argument
    add("image", metavar="IMAGE", help="NIfTI, NRRD or MHA file, or a folder with a DICOM series")
    add("--prototype", required=True, metavar="NAME", help="the object, see 'sam2annotate prototype list'")
    add_library_option(parser)
    add("-o", "--output", required=True, metavar="MASK", help="mask to write (.nii.gz, .nii, .nrrd, .mha), on the image's grid")
    add("--report", metavar="FILE.json", help="write what was found, with scores and doubt of each slice")
    add("--without-learned", action="store_true", help="go by the prototypes' pictures alone, not by what was learned on them")
    add("--overwrite", action="store_true", help="replace output files that exist")
    add_series_options(parser)
    add_engine_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ...atomic_files import require_writable_folder, sole_writer

    require_writable_folder(options.output)
    with sole_writer(options.output):
        return _propose(options)


def _propose(options: argparse.Namespace) -> int:
    from ...atomic_files import replaced_together, require_writable_folder
    from ...geometry import Volume
    from ...nnunet.data_sets.transaction import settle_around
    from ...prototypes import NotFound, ProposalOptions, PrototypeLibrary, encoder_for, modality_of, propose
    from ...volume_io import read_volume, write_volume
    from ...volume_io.write import require_writable

    outputs = [Path(path) for path in (options.output, options.report) if path]
    if len(outputs) == 2 and outputs[0].absolute() == outputs[1].absolute():
        raise InputError(f"Mask and report have the same name '{outputs[0]}'. Choose another for one of them.")
    for path in outputs:
        require_writable_folder(path)
        if path.absolute() == Path(options.image).absolute():
            raise InputError(f"'{path}' would replace the image. Choose another name.")
    require_writable(options.output)
    prototypes = PrototypeLibrary(options.library).prototypes(options.prototype)
    settle_around(options.image)
    volume = read_volume(options.image, options.series, options.volume)
    show_notes(options.image, volume.notes)
    require_writable(options.output, volume.grid)
    for path in outputs:
        if path.exists() and not options.overwrite:
            raise InputError(f"'{path}' exists already. Choose another name, or add --overwrite to replace it.")
    engine = engine_from(options)
    started = time.perf_counter()
    encoder = encoder_for(volume, engine, prototypes)
    chosen = ProposalOptions(use_adapter=not options.without_learned)
    answer = run_in_phases(propose(encoder, prototypes, options=chosen, modality=modality_of(volume)))
    show_notes(options.prototype, answer.notes)
    mask_kji = np.zeros(volume.grid.shape_kji, dtype=bool)
    if not isinstance(answer, NotFound):
        frames = encoder.stack.view(mask_kji)
        for position, result in answer.results.items():
            frames[position] = result.mask
    report = {"sam2annotate": __version__, "image": str(options.image), "output": str(options.output), **_report(answer, encoder)}
    report["engine"] = engine.with_adapter(None).describe()
    adapter = prototypes[0].adapter if not isinstance(answer, NotFound) and answer.with_adapter else None
    report["adapter_sha256"] = None if adapter is None else adapter.sha256
    report["prototypes"] = len(prototypes)
    report["seconds"] = round(time.perf_counter() - started, 3)
    with replaced_together(outputs) as partials:
        write_volume(Volume(volume.grid, mask_kji), partials[0])
        if options.report:
            partials[1].write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(_line(answer, report, int(mask_kji.sum())))
    return 0


def _report(answer: ProposedObject | NotFound, encoder) -> dict:
    from ...prototypes import NotFound

    stack = encoder.stack
    common = {
        "object": answer.name,
        "found": not isinstance(answer, NotFound),
        "likeness": round(answer.likeness, 4),
        "axis": stack.index_axis,
        "plane": stack.plane,
        "mapping": encoder.mapping.to_json(),
        "notes": list(answer.notes),
    }
    if isinstance(answer, NotFound):
        return {**common, "reason": f"not found: {answer.reason}", "slices": []}
    slices = [
        {
            "slice": stack.index_of(position),
            "pixels": int(result.mask.sum()),
            "predicted_iou": round(result.predicted_iou, 4),
            "object_score": round(result.object_score, 4),
            "doubt": round(answer.doubts[position], 4),
        }
        for position, result in answer.results.items()
    ]
    extent = sorted(stack.index_of(position) for position in (answer.extent.first, answer.extent.last))
    center = stack.index_of(answer.center_position)
    return {**common, "reason": "", "extent": extent, "center_slice": center, "slices": sorted(slices, key=lambda row: row["slice"])}


def _line(answer: ProposedObject | NotFound, report: dict, voxels: int) -> str:
    from ...prototypes import NotFound

    if isinstance(answer, NotFound):
        return f"'{answer.name}' was not found ({answer.reason}). The mask '{report['output']}' is empty. {report['seconds']:.1f} s."
    doubtful = sum(doubt > 0.5 for doubt in answer.doubts.values())
    first, last = report["extent"]
    return (
        f"Proposed '{answer.name}' on slices {first}..{last} of axis {report['axis']} ({voxels} voxels, {doubtful} of {len(answer.doubts)} "
        f"slices doubtful; look at slice {report['center_slice']} first): {report['output']}. {report['seconds']:.1f} s."
    )
