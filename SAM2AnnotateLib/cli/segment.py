"""``sam2annotate segment``: one box on one slice to a 3-D mask. Calls `Annotator`; imports the library inside functions."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import InputError, ServerError
from ..geometry import SliceStack, VolumeGrid
from .engine_options import add_engine_options, engine_from
from .server.check import access_from, add_server_options
from .values import add_series_options, add_untilt_option, parse_integers, parse_point, progress_bar, show_notes

if TYPE_CHECKING:
    import numpy as np

    from ..annotator import AnnotatedObject
    from ..geometry import Volume
    from ..remote.upload import State
    from ..volume_io import SliceSource

_BOX_FORM = "I0,J0,I1,J1"
_EXAMPLES = """examples:
  sam2annotate segment ct.nii.gz -o liver.nii.gz --slice 20 --box 34,60,210,190 --extent 2,37 --axis axial --window liver
  sam2annotate segment knee.nrrd -o femur.nrrd --axis sagittal --slice 80 --box 90,40,160,200 --extent 30,120 \\
      --report femur.json --preview femur.png
  sam2annotate segment ct.nii.gz -o liver.nii.gz --slice 20 --box 34,60,210,190 --extent 2,37 --server https://HOST:8765 \\
      --token-file my.token
  sam2annotate segment dicom_folder -o mask.nii.gz --slice 12 --point 120,88,+ --point 140,60,- --extent 8,15

Indices are voxel indices on the volume's own grid, zero-based. A box is half-open: its second corner lies one voxel past the
object. Its numbers come in the order of the two other index axes (I,J across k; I,K across j; J,K across i). An extent is the
object's first and last slice, both included.
"""


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "segment", help="one box on one slice to a 3-D mask", epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Segment one object: SAM 2 outlines it on the prompted slice and carries the outline to both ends of the extent.",
    )  # fmt: skip
    add = parser.add_argument
    add("image", metavar="IMAGE", help="NIfTI, NRRD or MHA file, or a folder with a DICOM series")
    add_series_options(parser)
    add_untilt_option(parser)
    add(
        "-o",
        "--output",
        required=True,
        metavar="MASK",
        help="mask to write (.nii.gz, .nii, .nrrd, .mha), on the image's grid; .dcm: DICOM SEG",
    )
    add("--label", default="Segment 1", metavar="NAME", help="the object's name in a DICOM SEG")
    add("--code", metavar="SCHEME:VALUE:MEANING", help="what it is, in a DICOM SEG, such as SCT:10200004:Liver (default: tissue)")
    add("--slice", type=int, required=True, metavar="K", help="voxel index of the slice that the box is on")
    add("--box", metavar=_BOX_FORM, help="box around the object on that slice, half-open")
    add("--point", action="append", default=[], metavar="I,J,+|-", help="a click on (+) or beside (-) the object; may be repeated")
    add("--mask", metavar="FILE", help="a mask on the image's grid whose slice K is the prompt, instead of or with a box")
    add("--extent", required=True, metavar="A,B", help="first and last slice of the object, both included")
    add("--axis", default="k", choices=("i", "j", "k", "axial", "coronal", "sagittal"), help="slice along this axis (default: k)")
    windows = "two values, or liver, abdomen, lung, bone, brain, mediastinum, mr, or auto (default)"
    add("--window", default="auto", metavar="LO,HI|NAME", help=f"gray window: {windows}")
    regions = "around the object (auto, the default), the whole slice (full), or the box plus a margin in mm"
    add("--roi", default="auto", metavar="auto|full|MM", help=f"what the model sees: {regions}")
    add("--report", metavar="FILE.json", help="write prompts, mapping, model and its hash, scores and seconds of each slice")
    add("--preview", metavar="FILE.png", help="write a montage of slices with outlines")
    add("--overwrite", action="store_true", help="replace output files that exist")
    add("--cache-mb", type=int, default=2048, metavar="MB", help="memory for encoded slices (default: 2048)")
    add_engine_options(parser)
    server = add_server_options(parser)
    server.add_argument("--server", metavar="URL", help="let this server compute: neither PyTorch nor SAM 2 is needed here then")
    parser.set_defaults(run=run, checkpoint=None)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ..atomic_files import require_writable_folder, sole_writer

    _require_one_machine(options)
    require_writable_folder(options.output)
    with sole_writer(options.output), ExitStack() as exits:
        return _segment(options, exits)


def _require_one_machine(options: argparse.Namespace) -> None:
    """Raise InputError if options for a model on a server and here are mixed."""
    here = {"--architecture": options.architecture, "--image-size": options.image_size}
    here |= {"--device": options.device != "auto", "--precision": options.precision != "auto"}
    named = [name for name, value in here.items() if value]
    if options.server is None and (options.token_file or options.ca_file):
        raise InputError("--token-file and --ca-file are for a server; name it with --server URL.")
    if options.server is not None and named:
        raise InputError(f"{named[0]} is the server's business: leave it out with --server, or leave out --server.")


def _segment(options: argparse.Namespace, exits: ExitStack) -> int:
    from ..adaptation.fitting import misfits
    from ..annotator import Annotator
    from ..atomic_files import replaced_together, require_writable_folder
    from ..engine import EmbeddingStore
    from ..geometry import Volume
    from ..nnunet.data_sets.transaction import settle_around
    from ..pictures.montage import require_png_name
    from ..volume_io import is_dicom_path, read_volume, write_volume
    from ..volume_io.write import require_writable
    from ..volume_io.write_dicom_seg import is_dicom_name, parsed_code, require_dicom_writable

    box = None if options.box is None else parse_integers(options.box, 4, "--box", f"two corners, {_BOX_FORM}")
    extent = parse_integers(options.extent, 2, "--extent", "the first and the last slice, A,B")
    if extent[0] > extent[1]:
        raise InputError(f"--extent takes the first slice before the last one, got {extent[0]},{extent[1]}. Swap them.")
    points = [parse_point(text) for text in options.point]
    if options.code:
        parsed_code(options.code, options.label)
    if box is None and not points and options.mask is None:
        raise InputError("Nothing marks the object: give --box I0,J0,I1,J1, or --point I,J,+, or --mask FILE.")
    outputs = [Path(path) for path in (options.output, options.report, options.preview) if path]
    _require_separate(outputs, [Path(path) for path in (options.image, options.mask) if path])
    for path in outputs:
        require_writable_folder(path)
    if options.preview:
        require_png_name(Path(options.preview))
    as_dicom = is_dicom_name(options.output)
    if as_dicom:
        require_dicom_writable(options.output, is_dicom_path(Path(options.image)))
    else:
        require_writable(options.output)
    for one in filter(None, (options.image, options.mask)):
        settle_around(one)  # it may lie in a data set
    volume, slices = _image(options)
    if as_dicom and not slices:
        raise InputError(
            f"Cannot write '{options.output}': the slices were shifted back (--untilt), and a DICOM segmentation refers to the images as "
            "they are. Use .nii.gz or .nrrd."
        )
    show_notes(options.image, volume.notes)
    if not as_dicom:
        require_writable(options.output, volume.grid)
    start_mask = None
    if options.mask is not None:
        start_mask = read_volume(options.mask)
        show_notes(options.mask, start_mask.notes)
        volume.grid.require_same(start_mask.grid, f"The image '{options.image}'", f"the mask '{options.mask}'")
    store = EmbeddingStore(limit_bytes=options.cache_mb * 1024**2)
    started = time.perf_counter()
    engine = exits.enter_context(_engine(options))
    loaded = time.perf_counter()
    annotator = Annotator(volume, engine, axis=options.axis, window=options.window, roi=options.roi, store=store)
    mask_slice = None
    if start_mask is not None:
        position = annotator.stack.position_of(options.slice)
        mask_slice = annotator.stack.slice_from_frame(annotator.stack.frame(start_mask.array_kji != 0, position))
        if not mask_slice.any():
            raise InputError(f"The mask '{options.mask}' is empty on slice {options.slice}, so it marks nothing there.")
    corners = None if box is None else (box[:2], box[2:])
    if box is not None:
        _require_box_inside(box, annotator.stack, volume.grid)
    item = annotator.new_object(options.slice, corners, points, mask_slice, (extent[0], extent[1]))
    for path in outputs:  # after all that may be wrong with the command, so that nothing of it turns up on the second try
        if path.exists() and not options.overwrite:
            raise InputError(f"'{path}' exists already. Choose another name, or add --overwrite to replace it.")
    stopped, failure = False, None
    with progress_bar("Segmenting", " slices") as show:
        try:
            if options.server is None:
                for _ in item.propagate(progress=show):
                    pass
            else:
                engine.propagate(item, show)
        except KeyboardInterrupt:
            stopped = True
        except ServerError as exc:
            if not item.review.results:
                raise
            failure = exc  # told when what came before it is kept
    finished = time.perf_counter()
    mask_kji = item.mask_kji()
    report = {"sam2annotate": __version__, "image": str(options.image), "output": str(options.output), **item.report()}
    report["seconds"] = {"loading_model": round(loaded - started, 3), "segmenting": round(finished - loaded, 3)}
    report["notes"] = list(volume.notes)
    mapping, grid = item.encoder.mapping, volume.grid
    adapter = engine.adapter
    misfit = () if adapter is None else misfits(adapter.card, item.encoder.stack, mapping)
    report["notes"] += misfit
    prompted = item.slice_mask(options.slice)
    done, asked = len(item.review.results), len(item.review.extent)
    with replaced_together(outputs) as partials:  # a report and a picture beside a mask that they do not speak of would mislead
        mask_place, *places = partials
        if options.preview:
            _write_preview(places.pop(), item, mask_kji)
        if options.report:
            places.pop().write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        store.clear()
        del item, annotator, volume, start_mask  # room for the copies that writing takes: the image is as large as both of them
        if as_dicom:
            _write_dicom(options, mask_kji, slices, mask_place)
        else:
            write_volume(Volume(grid, mask_kji), mask_place)
    show_notes(options.image, misfit)
    print(f"window {mapping.lower:g}..{mapping.upper:g} ({mapping.name}; {mapping.reason})", file=sys.stderr)
    if prompted is not None and not prompted.any():
        print(f"warning: the model found nothing on slice {options.slice}; check the box and the window.", file=sys.stderr)
    voxels = int(mask_kji.sum())
    print(
        f"{options.output}: {voxels} voxels ({voxels * grid.voxel_volume_mm3 / 1000:.1f} ml) on {done} of {asked} slices, "
        f"{finished - loaded:.1f} s with {engine.name} on {engine.describe()['device']}"
    )
    if stopped:
        raise KeyboardInterrupt
    if failure is not None:
        raise failure
    return 0


@contextmanager
def _engine(options: argparse.Namespace) -> Iterator[Any]:
    """The model: here, or what stands for the one on a server."""
    if options.server is None:
        yield engine_from(options)
        return
    from ..remote.segmenting import lent_by

    access = access_from(options.server, options)
    with lent_by(access, options.checkpoint, _tell, options.adapter) as model:
        described = model.describe()
        print(f"server {access.address}: model {model.name} on {described.get('device', '?')}", file=sys.stderr)
        yield model


def _tell(state: State) -> None:
    """How it stands with the server: what breaks is said in any case, how an upload gets on to a person on a terminal."""
    if state.state in ("reconnecting", "lost"):
        print(f"note: {state.text}.", file=sys.stderr)
    elif state.state == "uploading" and sys.stderr.isatty():
        print(f"\r\x1b[K{state.text}", end="" if state.done < state.total else "\n", file=sys.stderr, flush=True)


def _image(options: argparse.Namespace) -> tuple[Volume, tuple[SliceSource, ...]]:
    """The image, and where its slices come from if it is a DICOM series."""
    from ..volume_io import is_dicom_path, read_dicom, read_volume

    if is_dicom_path(Path(options.image)):
        image = read_dicom(Path(options.image), options.series, options.volume, options.untilt)
        return image.volume, image.slices
    return read_volume(options.image, options.series, options.volume, options.untilt), ()


def _write_dicom(options: argparse.Namespace, mask_kji: np.ndarray, slices: tuple[SliceSource, ...], path: Path) -> None:
    from ..volume_io.write_dicom_seg import TISSUE, DicomSegment, parsed_code, write_dicom_seg

    kind = parsed_code(options.code, options.label) if options.code else TISSUE
    write_dicom_seg([DicomSegment(options.label, mask_kji, kind=kind)], slices, path)


def _write_preview(path: Path, item: AnnotatedObject, mask_kji: np.ndarray) -> None:
    from ..geometry import Extent
    from ..pictures.montage import write_montage

    stack, results = item.annotator.stack, item.review.results
    captions = {p: f"slice {stack.index_of(p)}   predicted IoU {r.predicted_iou:.2f}" for p, r in results.items()}
    boxes = {} if item.prompt.box is None else {item.prompted_position: item.prompt.box}
    shown = Extent(item.review.extent.first, item.review.extent.last)
    write_montage(path, item.annotator.volume, stack, item.encoder.mapping, mask_kji, shown, boxes=boxes, captions=captions)


def _require_box_inside(box: tuple[int, ...], stack: SliceStack, grid: VolumeGrid) -> None:
    """Raise InputError if corners are swapped, or the box reaches past the image: both are slips of the hand."""
    sizes = dict(zip("kji", grid.shape_kji, strict=True))
    for name, low, high in zip(stack.in_plane_axes, box[:2], box[2:], strict=True):
        if low > high:
            raise InputError(
                f"The corners of --box are swapped along {name} ({low} comes before {high}). Give the lower one first, as {_BOX_FORM}."
            )
        if (low < 0 or high > sizes[name]) and low < sizes[name] and high > 0:  # one that lies outside altogether is told of as such
            raise InputError(f"--box reaches past the image along {name}: it takes {low}..{high}, the image has {name} 0..{sizes[name]}.")


def _require_separate(outputs: list[Path], inputs: list[Path]) -> None:
    """Raise InputError if a result would replace what was read, or another result."""
    for number, output in enumerate(outputs):
        for other in (*inputs, *outputs[:number]):
            if output.absolute() == other.absolute() or (output.exists() and other.exists() and output.samefile(other)):
                raise InputError(f"'{output}' would replace '{other}', which this command reads or writes too. Choose another name.")
