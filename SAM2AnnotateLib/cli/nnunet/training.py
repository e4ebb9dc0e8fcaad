"""``sam2annotate nnunet train`` and ``predict``: the real nnU-Net on a data set. Imports the library inside functions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ...errors import InputError
from . import evaluation

_TRAIN_EXAMPLES = """\
what is finished is not done again, and an interrupted fold goes on from its last checkpoint: give the same command once more.

examples:
  sam2annotate nnunet train nnUNet_raw/Dataset007_Liver --device cuda
  sam2annotate nnunet train nnUNet_raw/Dataset007_Liver --study --window -55,155 --crop-to liver_masks
  sam2annotate nnunet train nnUNet_raw/Dataset060_Hippocampus --device cpu --folds all --epochs 12 --iterations 30 \\
      --validation-iterations 3 --no-mirroring --processes 1 --seed 0

--study sets 3d_fullres, 5 folds, 150 epochs, batch size 8 and no mirroring; options given beside it win.
"""
_PREDICT_EXAMPLES = """\
images are named as nnU-Net names them, CASE_0000.nii.gz, one file a channel. They are clipped and cropped as the model's training images
were, and every result lies on the grid of its image. A model folder can hold code that runs when it is loaded: take only models you trust.

example:
  sam2annotate nnunet predict nnUNet_results/Dataset007_Liver/SAM2AnnotateTrainer__nnUNetPlans__3d_fullres imagesTs predictions
"""


def add_parsers(subparsers: argparse._SubParsersAction) -> None:
    """Register train, predict and evaluate."""
    _add_train(subparsers)
    _add_predict(subparsers)
    evaluation.add_parser(subparsers)


def _add_train(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "train",
        help="train a model with nnU-Net, or go on with it",
        description="Preprocess a data set and train a model on it with the real nnU-Net, in a process of its own.",
        epilog=_TRAIN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data_set", metavar="DATASET", type=Path, help="the folder DatasetNNN_Name, in nnU-Net's folder of raw data")
    add("--results", metavar="FOLDER", type=Path, help="nnU-Net's folder of results (default: nnUNet_results beside that of raw data)")
    add("--preprocessed", metavar="FOLDER", type=Path, help="its folder of preprocessed data (default: nnUNet_preprocessed there)")
    add("--study", action="store_true", help="the settings of the study, see below")
    add("--configuration", metavar="NAME", help="2d, 3d_fullres or 3d_lowres (default: 3d_fullres)")
    add("--folds", metavar="N,N,...", help="folds to train, or 'all' for one model of every case (default: 0,1,2,3,4)")
    add("--epochs", type=int, metavar="N", help="epochs (default: 1000)")
    add("--iterations", type=int, metavar="N", dest="iterations_per_epoch", help="batches in an epoch (default: 250)")
    add("--validation-iterations", type=int, metavar="N", help="validation batches after it (default: 50)")
    add("--batch-size", type=int, metavar="N", help="patches in a batch (default: what nnU-Net plans)")
    add("--trainer", metavar="CLASS", help="another of nnU-Net's trainers, which then sets length, batch and mirroring itself")
    add("--device", metavar="NAME", help="cuda, cpu or mps (default: cuda)")
    add("--no-mirroring", action="store_false", dest="mirroring", default=None, help="no mirroring, where left and right differ")
    add("--seed", type=int, metavar="N", help="make the run repeatable (with --processes 0, on one machine)")
    add("--checkpoint-every", type=int, metavar="N", help="epochs that a killed training loses at most (default: 10)")
    add("--processes", type=int, metavar="N", help="helper processes; 0 augments in the training process (default: nnU-Net's choice)")
    add("--threads", type=int, metavar="N", help="CPU threads of the network (default: all cores)")
    add("--window", metavar="LO,HI", help="clip intensities to this range before training and prediction")
    add("--crop-to", metavar="FOLDER", type=Path, help="crop to the box of an organ: a folder with a mask for each training case")
    add("--margin", type=float, metavar="MM", default=0.0, help="how far the box reaches beyond the organ (default: 0)")
    add("--restart", action="store_true", help="throw away what these folds were trained so far")
    parser.set_defaults(run=run_train)


def _add_predict(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "predict",
        help="label maps from a trained model",
        description="Predict every case of a folder with a trained model, by the real nnU-Net in a process of its own.",
        epilog=_PREDICT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, help="the model's folder, which holds plans.json and fold_0, fold_1, ...")
    add("images", metavar="IMAGES", type=Path, help="folder of images")
    add("output", metavar="OUTPUT", type=Path, help="folder for the label maps; made if it is missing")
    add("--folds", metavar="N,N,...", help="folds whose mean is taken (default: all that are trained)")
    add("--device", metavar="NAME", default="cuda", help="cuda, cpu or mps (default: cuda)")
    add("--checkpoint", default="final", choices=("final", "best", "latest"), help="which checkpoint (default: final)")
    add("--crop-to", metavar="FOLDER", type=Path, help="a mask for each case, if the model was trained on crops to an organ")
    parser.set_defaults(run=run_predict)


def run_train(options: argparse.Namespace) -> int:
    """Train; returns 0. Library errors propagate."""
    from ...nnunet.runs.folders import NnunetFolders
    from ...nnunet.runs.preparation import Preparation
    from ...nnunet.runs.training import train
    from ...nnunet.runs.training_options import TrainingOptions

    names = (
        "configuration", "epochs", "iterations_per_epoch", "validation_iterations", "batch_size", "trainer", "device", "mirroring", "seed",
        "checkpoint_every", "processes", "threads",
    )  # fmt: skip
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.folds is not None:
        given["folds"] = parse_folds(options.folds)
    given["preparation"] = Preparation(parse_window(options.window), options.crop_to is not None, options.margin)
    chosen = TrainingOptions.study(**given) if options.study else TrainingOptions(**given)
    folders = NnunetFolders.of_data_set(options.data_set, options.preprocessed, options.results)
    model = train(
        folders,
        chosen,
        organ_masks=options.crop_to,
        on_event=lambda event: print(event.what, file=sys.stderr, flush=True),
        restart=options.restart,
    )
    print(model)
    return 0


def run_predict(options: argparse.Namespace) -> int:
    """Predict; returns 0. Library errors propagate."""
    from ...nnunet.runs.prediction import predict

    cases = predict(
        options.model,
        options.images,
        options.output,
        folds=None if options.folds is None else parse_folds(options.folds),
        device=options.device,
        checkpoint=options.checkpoint,
        organ_masks=options.crop_to,
        on_line=lambda line: print(line, file=sys.stderr) if line.startswith(("Predicting", "done with")) else None,
    )
    for case in cases:
        print(case.path)
    return 0


def parse_folds(text: str) -> tuple[int | str, ...]:
    """``0,1,2`` or ``all``. Raises InputError."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part == "all" or part.isdecimal() for part in parts):
        raise InputError(f"--folds takes numbers separated by commas, or 'all'; got '{text}'.")
    return tuple(part if part == "all" else int(part) for part in parts)


def parse_window(text: str | None) -> tuple[float, float] | None:
    """``LO,HI``. Raises InputError."""
    if text is None:
        return None
    try:
        lower, upper = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--window takes two numbers separated by a comma, such as -55,155; got '{text}'.") from None
    return lower, upper
