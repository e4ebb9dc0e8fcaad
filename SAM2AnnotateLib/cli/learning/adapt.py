"""``sam2annotate adapt``: an object learned from a few annotated slices, kept as a small file. Imports the library inside functions."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ... import __version__
from ...errors import InputError
from ...geometry import Extent, SliceStack
from ...geometry.drawn_axis import require_drawn_along
from ..engine_options import add_engine_options, engine_from
from ..values import add_series_options, parse_integers, progress_bar, show_notes

if TYPE_CHECKING:
    from ...adaptation import AnnotatedSlice, LearningOptions, LearningOutcome
    from ...geometry import Volume

NOTHING_KEPT = 1
# Of training: what a person waits for, and twice that for several volumes, whose slices beside each other are learned too.
_SECONDS, _SECONDS_OF_SEVERAL = 15.0, 30.0
_EXAMPLES = """examples:
  sam2annotate adapt ct.nii.gz --mask drawn.nii.gz -o liver.safetensors --name liver
  sam2annotate adapt ct.nii.gz --mask labels.nii.gz --label 5 --slices 8,14,20,26,32 --extent 5,36 -o liver.safetensors
  sam2annotate adapt first.nii.gz --mask first_labels.nii.gz --also second.nii.gz second_labels.nii.gz --steps 800 -o liver.safetensors
  sam2annotate adapt third.nii.gz --mask third_labels.nii.gz --also first.nii.gz first_labels.nii.gz \
    --also second.nii.gz second_labels.nii.gz --from liver2.safetensors -o liver3.safetensors
  sam2annotate segment ct.nii.gz --adapter liver.safetensors --slice 17 --point 120,88,+ --extent 5,36 -o liver.nii.gz

Every slice of LABELS that holds the object is taken as annotated, or those of --slices; one of these without the object teaches
that it is not there, and so do slices beyond --extent. Slices are held out in turn: what is not better on them than the model as it came
is not kept, no file is written, and the exit code is 1. Of several volumes, from 20 slices on, the last one is held out as a whole; what
was learned then also carries masks from slice to slice, if slices that lie beside each other (at most 3 apart) are annotated.
With --from, IMAGE is the newest volume: it is the one that is held out, from what was learned of the others, and learning goes on with
it.
"""


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "adapt", help="learn an object from a few annotated slices", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Learn an object from slices that are annotated, for use with --adapter on others.",
    )  # fmt: skip
    add = parser.add_argument
    add("image", metavar="IMAGE", help="NIfTI, NRRD or MHA file, or a folder with a DICOM series")
    add_series_options(parser)
    add("--mask", required=True, metavar="LABELS", help="label map on the image's grid, with the object drawn on some slices")
    also = "a further volume of the same object and its label map, all its slices with the object; give it once for each"
    add("--also", nargs=2, action="append", default=[], metavar=("IMAGE", "LABELS"), help=also)
    started = "what was learned of the volumes of --also: learning goes on from it, with IMAGE as the newest volume"
    add("--from", dest="start", metavar="ADAPTER", help=started)
    add("--label", type=int, metavar="V", help="the object's value in it (default: every voxel that is not 0)")
    add("--slices", metavar="A,B,...", help="voxel indices of the slices to learn from (default: all that hold the object)")
    add("--extent", metavar="A,B", help="first and last slice of the object: what lies beyond teaches that it is not there")
    add("--axis", default="k", choices=("i", "j", "k", "axial", "coronal", "sagittal"), help="slice along this axis (default: k)")
    add("-o", "--output", required=True, metavar="OBJECT", help="what was learned, a .safetensors file")
    seconds = f"{_SECONDS:g}, or {_SECONDS_OF_SEVERAL:g} with --also"
    add("--seconds", type=float, metavar="S", help=f"of training; encoding comes on top (default: {seconds})")
    add("--steps", type=int, metavar="N", help="of training instead, however long they take: the same on every machine")
    add("--trained", default="decoder", choices=("decoder", "prompt_encoder"), help="the prompt encoder alone, or the mask decoder too")
    add("--seed", type=int, default=0, metavar="N", help="of every draw (default: 0)")
    add("--name", default="", metavar="NAME", help="the object's name, for the record")
    add("--code", metavar="SCHEME:VALUE:MEANING", help="what it is, such as SCT:10200004:Liver, for the record")
    windows = "two values, or liver, abdomen, lung, bone, brain, mediastinum, mr, or auto (default)"
    add("--window", default="auto", metavar="LO,HI|NAME", help=f"gray window: {windows}")
    regions = "around the object (auto, the default), the whole slice (full), or the box plus a margin in mm"
    add("--roi", default="auto", metavar="auto|full|MM", help=f"what the model sees: {regions}")
    add("--report", metavar="FILE.json", help="write what was learned from which slices, and scores before and after")
    add("--overwrite", action="store_true", help="replace output files that exist")
    add("--cache-mb", type=int, default=2048, metavar="MB", help="memory for encoded slices (default: 2048)")
    add_engine_options(parser, adapter=False)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ...adaptation import LearningOptions, learn, learned
    from ...annotator import Annotator
    from ...atomic_files import replaced_together, require_writable_folder
    from ...engine import Adapter, EmbeddingStore
    from ...engine.adapter import require_adapter_name
    from ...volume_io import read_volume
    from ...volume_io.write_dicom_seg import parsed_code

    require_adapter_name(options.output)
    outputs = [Path(path) for path in (options.output, options.report) if path]
    inputs = [Path(options.image), Path(options.mask), *(Path(file) for pair in options.also for file in pair)]
    inputs += [Path(options.start)] if options.start else []
    for number, output in enumerate(outputs):
        require_writable_folder(output)
        if any(output.absolute() == other.absolute() for other in (*inputs, *outputs[:number])):
            raise InputError(f"'{output}' would replace a file that this command reads or writes too. Choose another name.")
        if output.exists() and not options.overwrite:
            raise InputError(f"'{output}' exists already. Choose another name, or add --overwrite to replace it.")
    if options.code:
        parsed_code(options.code, options.name)
    if options.start and not options.also:
        raise InputError(
            "--from goes on from what was learned of earlier volumes, and needs them beside: name each with --also IMAGE LABELS."
        )
    start = Adapter.load(options.start) if options.start else None
    seconds = options.seconds if options.seconds is not None else _SECONDS_OF_SEVERAL if options.also else _SECONDS
    how = LearningOptions(seconds=seconds, steps=options.steps, trained=options.trained, seed=options.seed)
    read: list[tuple[Volume, Volume, list[int]]] = []
    names = [options.image, *(image for image, _ in options.also)]
    for image, mask in [(options.image, options.mask), *options.also]:
        first = not read
        volume = read_volume(image, options.series, options.volume) if first else read_volume(image)
        show_notes(image, volume.notes)
        labels = read_volume(mask)
        show_notes(mask, labels.notes)
        volume.grid.require_same(labels.grid, f"The image '{image}'", f"the label map '{mask}'")
        stack = SliceStack.along(volume.grid, options.axis)
        asked = _slices_asked(options, mask, labels, stack, options.slices if first else None)
        _require_a_further_one(image, volume, stack, names, [one for one, _, _ in read], options.axis)
        read.append((volume, labels, asked))
    engine, store = engine_from(options), EmbeddingStore(limit_bytes=options.cache_mb * 1024**2)
    if start is not None:
        engine.with_adapter(start)  # refused here, before anything is encoded, if it belongs to another model
    annotators = [Annotator(volume, engine, options.axis, options.window, options.roi, store) for volume, _, _ in read]
    annotator = annotators[0]
    own: list[AnnotatedSlice] = []
    others: list[AnnotatedSlice] = []
    for number, (one, (_, labels, asked)) in enumerate(zip(annotators, read, strict=True)):
        found = _annotated(options, one, labels, asked, options.extent if number == 0 else None)
        own, others = (found, others) if number == 0 else (own, others + found)
    slices = own + others if start is None else others + own  # the newest volume, which is held out from `start`, comes last
    with progress_bar("Learning", "") as show:
        learning = learn(slices, object_name=options.name, terminology=options.code, policy=annotator.policy, options=how, start=start)
        outcome = learned(learning, show)
    print(outcome.text)
    if start is not None:
        anew = "Learned anew: going on takes what was learned of two volumes, and 20 slices that show the object, 4 of them in IMAGE."
        print(f"Went on from {options.start}, SHA-256 {start.sha256}" if outcome.went_on else anew, file=sys.stderr)
    if outcome.adapter is None:
        return NOTHING_KEPT
    report = _report(options, outcome, how, own)
    if start is not None:
        report["from"] = {"adapter": str(options.start), "adapter_sha256": start.sha256, "went_on": outcome.went_on}
    with replaced_together(outputs) as places:
        places[0].write_bytes(outcome.adapter.to_bytes())
        if options.report:
            places[1].write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    window = annotator.mapping
    if window is not None:
        print(f"window {window.lower:g}..{window.upper:g} ({window.name}; {window.reason})", file=sys.stderr)
    size_mb = len(outcome.adapter.to_bytes()) / 1024**2
    print(f"{options.output}: {size_mb:.1f} MB, {outcome.steps} steps, {outcome.seconds:.1f} s, SHA-256 {outcome.adapter.sha256}")
    return 0


def _require_a_further_one(
    image: str, volume: Volume, stack: SliceStack, names: Sequence[str], earlier: Sequence[Volume], axis: str
) -> None:
    """Raise InputError for a volume that is one of the earlier ones, or that the axis cuts into slices of another plane."""
    for name, other in zip(names, earlier, strict=False):
        if volume.array_kji.shape == other.array_kji.shape and bool((volume.array_kji == other.array_kji).all()):
            raise InputError(
                f"'{image}' is the same image as '{name}': what is held out would have been learned from. Give each volume once, with all "
                "its annotated slices in one label map."
            )
        plane = SliceStack.along(other.grid, axis).plane
        if plane != stack.plane:
            raise InputError(
                f"--axis {axis} cuts '{name}' into {plane} slices, '{image}' into {stack.plane} ones. Name the plane: --axis {plane}."
            )


def _slices_asked(options: argparse.Namespace, mask: str, labels: Volume, stack: SliceStack, asked: str | None) -> list[int]:
    """Positions of the slices to learn from. What is wrong with them is told before a model is loaded."""
    from ...adaptation.learning import require_enough

    if options.label == 0:
        raise InputError("Label 0 is the background. Give the label of an object, or leave out --label to take every nonzero voxel.")
    held = labels.array_kji != 0 if options.label is None else labels.array_kji == options.label
    if not held.any():
        what = "nothing but 0" if options.label is None else f"no voxel of the value {options.label}"
        raise InputError(f"The label map '{mask}' holds {what}: there is nothing to learn from.")
    require_drawn_along(held, stack, mask)
    drawn = [position for position, frame in enumerate(stack.view(held)) if frame.any()]
    if asked is None:
        positions = drawn
    else:
        indices = parse_integers(asked, None, "--slices", "voxel indices of slices")
        positions = sorted({stack.position_of(index) for index in indices})
    present = set(positions).intersection(drawn)
    if not present:
        raise InputError(f"The object is on none of the slices {asked}: there is nothing to learn from.")
    try:
        require_enough(len(present))
    except InputError as exc:
        raise InputError(f"'{mask}': {exc}") from exc
    return positions


def _annotated(options: argparse.Namespace, annotator, labels: Volume, positions: list[int], ends: str | None) -> list[AnnotatedSlice]:
    """The slices to learn from, those beyond the extent among them."""
    from ...adaptation import AnnotatedSlice
    from ...adaptation.lessons import positions_beyond

    stack = annotator.stack
    held = stack.view(labels.array_kji != 0 if options.label is None else labels.array_kji == options.label)
    present = [position for position in positions if held[position].any()]
    extent = Extent(present[0], present[-1])
    beyond: list[int] = []
    if ends is not None:
        first, last = parse_integers(ends, 2, "--extent", "the first and the last slice, A,B")
        extent = stack.extent_of(Extent(first, last))
        if extent.first > present[0] or extent.last < present[-1]:
            outside = stack.index_of(present[0] if extent.first > present[0] else present[-1])
            raise InputError(f"The object is drawn on slice {outside}, which lies outside --extent {ends}. Widen it.")
        beyond = [position for position in positions_beyond(extent, stack.shape_src[0]) if position not in positions]
    middle = present[len(present) // 2]
    from ...geometry import Box2D

    encoder = annotator.encoder_for(middle, Box2D.around(held[middle]))
    slices = [AnnotatedSlice(encoder, position, held[position], extent) for position in positions]
    nothing = held[present[0]] & False
    return slices + [AnnotatedSlice(encoder, position, nothing, extent) for position in beyond]


def _report(options: argparse.Namespace, outcome: LearningOutcome, how: LearningOptions, own: list[AnnotatedSlice]) -> dict:
    assert outcome.adapter is not None
    stack = own[0].encoder.stack
    return {
        "sam2annotate": __version__,
        "image": str(options.image),
        "labels": str(options.mask),
        "label": options.label,
        "axis": stack.index_axis,
        "slices": sorted(stack.index_of(one.position) for one in own if one.holds_object),
        "slices_without_object": sorted(stack.index_of(one.position) for one in own if not one.holds_object),
        "also": [{"image": image, "labels": mask} for image, mask in options.also],
        "seed": how.seed,
        "asked_for": {"seconds": how.seconds} if how.steps is None else {"steps": how.steps},
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 3),
        "held_out_dsc": {"before": dict(outcome.before), "after": dict(outcome.after)},
        "adapter": str(options.output),
        "adapter_sha256": outcome.adapter.sha256,
        "card": outcome.adapter.card.to_json(),
        "engine": own[0].encoder.engine.describe(),
    }
