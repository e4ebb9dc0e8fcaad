"""``sam2annotate demo``: the sample case from one box to a mask, a picture and a score. Calls the commands `segment` and `score`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import segment
from .engine_options import add_adapter_option

_SAMPLE = Path(__file__).parent.parent / "sample_data" / "ct_sarcoma_003"
# What a person would mark, by eye and with a little room: not the tight box of the truth, which is 53,53,101,104.
_SLICE, _BOX, _EXTENT = 25, "52,52,103,105", "15,34"


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "demo", help="annotate the sample case that ships with the package",
        description="Segment a sarcoma on CT from one box with the bundled model, compare with the experts' mask, write a picture.",
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="where to write (default: ./demo)")
    parser.add_argument("--checkpoint", default="bundled", metavar="NAME|PATH", help="model to run (default: bundled)")
    add_adapter_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ..errors import OutputError
    from ..geometry import Extent, SliceStack
    from ..intensity import IntensityMapping
    from ..metrics import score_masks
    from ..pictures.montage import write_montage
    from ..volume_io import read_volume

    folder = options.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"Cannot create the folder '{folder}': {exc.strerror}. Choose another with --folder.") from exc
    mask, report, preview = folder / "mask.nii.gz", folder / "report.json", folder / "preview.png"
    command = ["segment", str(_SAMPLE / "image.nii.gz"), "-o", str(mask), "--slice", str(_SLICE), "--box", _BOX, "--extent", _EXTENT]
    command += ["--axis", "axial", "--checkpoint", options.checkpoint, "--report", str(report), "--overwrite"]
    command += ["--adapter", options.adapter] if options.adapter else []
    print(f"sam2annotate {' '.join(command)}", file=sys.stderr)
    parser = argparse.ArgumentParser()
    segment.add_parser(parser.add_subparsers())
    asked = parser.parse_args(command)
    code = asked.run(asked)
    if code:
        return code
    done = json.loads(report.read_text(encoding="utf-8"))
    image, truth, found = (read_volume(path) for path in (_SAMPLE / "image.nii.gz", _SAMPLE / "label.nii.gz", mask))
    scores = score_masks(found.array_kji != 0, truth.array_kji != 0, image.grid)
    stack, box = SliceStack.along(image.grid, "axial"), done["prompts"][0]["box"]
    write_montage(
        preview,
        image,
        stack,
        IntensityMapping(**done["mapping"]),
        found.array_kji != 0,
        stack.extent_of(Extent(*done["extent"])),
        boxes={stack.position_of(_SLICE): stack.box_of(box[:2], box[2:])},
        truth_kji=truth.array_kji != 0,
    )
    print(
        f"DSC {scores.volume.dsc:.3f}   NSD(1 mm) {scores.volume.nsd:.3f}   HD95 {scores.volume.hd95_mm:.1f} mm   against the experts' mask"
    )
    print(f"mask     {mask}\nreport   {report}\npicture  {preview}")
    return 0
