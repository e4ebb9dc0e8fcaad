"""``sam2annotate nnunet evaluate``: models against the truth and each other. Imports errors; the library inside functions."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...errors import InputError, OutputError
from ..values import progress_bar

_EPILOG = """\
DSC, NSD and HD95 are computed in 3-D for every case and label, and as their mean over the labels of a case. With several models each is
compared with the reference: two-tailed Wilcoxon signed-rank test on the same cases, Holm-corrected over the models.

OUTPUT gets scores.csv (every case), summary.csv and summary.md (median, IQR, bootstrap intervals, p-values), and boxes.png.

examples:
  sam2annotate nnunet evaluate nnUNet_raw/Dataset007_Liver ours=predictions --output evaluation
  sam2annotate nnunet evaluate nnUNet_raw/Dataset007_Liver truth=pred_a no_edits=pred_b high=pred_c --reference truth --output evaluation
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score predictions of one or more models, and compare the models",
        description="Score the predictions of models on the test cases of a data set, and compare the models.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data_set", metavar="DATASET", type=Path, help="the folder DatasetNNN_Name; its labelsTs are the truth")
    add("models", metavar="NAME=FOLDER", nargs="*", help="a model's name for tables, and the folder of its predictions")
    add("--truth", metavar="FOLDER", type=Path, help="label maps to judge by (default: labelsTs of the data set)")
    add("--scores", metavar="FILE.csv", type=Path, action="append", default=[], help="scores.csv of an earlier call, to compare with")
    add("--reference", metavar="NAME", help="the model that the others are compared with (default: the first)")
    add("--tolerance", metavar="MM", type=float, default=1.0, help="largest distance that counts as agreement for the NSD (default: 1)")
    add("--output", metavar="FOLDER", type=Path, help="where tables and box plots go; made if it is missing")
    add("--no-plots", action="store_true", help="no box plots, which need Matplotlib")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Score, compare, print the table, write the files. Returns 0; library errors propagate."""
    from ...atomic_files import replaced_together, sole_writer
    from ...nnunet.data_sets.transaction import settle_around
    from ...nnunet.scores.box_plots import write_box_plots
    from ...nnunet.scores.comparison import compare
    from ...nnunet.scores.evaluation import evaluate_folder, read_labels
    from ...nnunet.scores.evaluation_tables import read_scores_csv, summary_markdown, write_markdown, write_scores_csv, write_summary_csv

    settle_around(options.data_set)
    table = read_labels(options.data_set / "dataset.json")
    models = [_named_folder(text) for text in options.models]
    evaluations = []
    for name, folder in models:
        with progress_bar(f"Scoring {name}", "case") as show:
            truth = options.truth or options.data_set / "labelsTs"
            evaluations.append(evaluate_folder(name, folder, truth, table, tolerance_mm=options.tolerance, on_progress=show))
    evaluations += [evaluation for path in options.scores for evaluation in read_scores_csv(path)]
    if not evaluations:
        raise InputError("There is nothing to evaluate: give a model as NAME=FOLDER, or earlier scores by --scores.")
    comparisons = compare(evaluations, options.reference or evaluations[0].model)
    if options.output is not None:
        try:
            options.output.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"Cannot write to '{options.output}': {exc.strerror}.") from exc
        names = ["scores.csv", "summary.csv", "summary.md", *([] if options.no_plots else ["boxes.png"])]
        outputs = [options.output / name for name in names]
        with sole_writer(outputs[0]), replaced_together(outputs) as (scores, summary, table_file, *plots):
            write_scores_csv(scores, evaluations)
            write_summary_csv(summary, evaluations, comparisons)
            write_markdown(table_file, evaluations, comparisons)
            for plot in plots:
                write_box_plots(plot, evaluations, comparisons)
    print(summary_markdown(evaluations, comparisons), end="")
    return 0


def _named_folder(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not separator or not name or not folder:
        raise InputError(f"A model is given as NAME=FOLDER, such as ours=predictions; got '{text}'.")
    return name, Path(folder)
