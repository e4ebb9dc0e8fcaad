"""``sam2annotate study``: make a study, run it, see how far it is, write its report. Imports the library inside functions."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..study import Study
    from ..study.execution.executors import Executor
    from ..study.records.status import StudyStatus

_STUDY_EXAMPLES = """\
examples:
  sam2annotate study init hippocampus --images imagesTr --labels labelsTr      a study that two cores finish in an afternoon
  sam2annotate study run hippocampus                                           stop it as you like: the same command goes on
  sam2annotate study status hippocampus
  sam2annotate study report hippocampus                                        the report of what is finished so far
"""
_INIT_EXAMPLES = """\
presets:
  mini-hippocampus   small MR volumes, every step of a study in hours on a CPU
  learning           what learning saves: corrections, prompts, whole volumes
  crowd              boxes from many people, simulated: study C against consensus through memory
  misera-femur       study A on knee MR, with the paper's settings
  misera-liver       study A on liver tumors in CT, with the paper's settings
  comparison         workflows side by side at the same rules of acceptance

study.yaml explains each of its entries. Edit it, then run. What is changed later is done again, everything else is kept.

examples:
  sam2annotate study init hippocampus --images imagesTr --labels labelsTr
  sam2annotate study init liver --preset misera-liver --images lits/ct --labels lits/seg --images clm/ct --labels clm/seg
  sam2annotate study init compared --preset comparison --table cases.csv
"""
_RUN_EXAMPLES = """\
each unit of work (a case in a scenario, a model) is written when it is finished and not done again, so a run may be stopped or killed at
any time: the same command goes on. Results do not depend on the number of workers.

examples:
  sam2annotate study run hippocampus
  sam2annotate study run hippocampus --until calibration      look at the thresholds before the long part
  sam2annotate study run liver --device cuda --workers 8      two workers on each of four GPUs
  sam2annotate study run liver --ray 10.0.0.1:6379            on a cluster; all machines see the study's folder under the same path
"""
_DEFAULT_PRESET = "mini-hippocampus"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the command and its subcommands."""
    parser = _add(
        subparsers, "study", "simulate annotators, calibrate, train, compare: the published study on your own cases", _STUDY_EXAMPLES
    )
    commands = parser.add_subparsers(dest="study_command", metavar="COMMAND", required=True)

    parser = _add(commands, "init", "write the configuration of a new study", _INIT_EXAMPLES)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="of the study; made if it is missing")
    parser.add_argument("--preset", metavar="NAME", default=_DEFAULT_PRESET, help=f"what to begin with (default: {_DEFAULT_PRESET})")
    parser.add_argument("--images", metavar="FOLDER", type=Path, action="append", default=[], help="images; may be given several times")
    parser.add_argument("--labels", metavar="FOLDER", type=Path, action="append", default=[], help="label maps of the same file names")
    parser.add_argument("--table", metavar="FILE", type=Path, help="instead: a CSV file with the columns case, image and label")
    parser.set_defaults(run=run_init)

    parser = _add(commands, "run", "do what is not finished, up to the report", _RUN_EXAMPLES)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="of the study")
    parser.add_argument("--workers", metavar="N", type=int, help="cases at once (default: one a GPU, or one a core)")
    parser.add_argument("--device", metavar="NAME", help="auto, cuda, mps or cpu (default: what study.yaml says)")
    parser.add_argument("--ray", metavar="ADDRESS", help="use a Ray cluster: HOST:PORT, auto, or local for one that is made for this run")
    parser.add_argument(
        "--until", metavar="STEP", default="report", help="stop behind first, calibration, scenarios or models (default: the report)"
    )
    parser.set_defaults(run=run_run)

    parser = _add(commands, "status", "how far a study is, and how long the rest takes", "")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="of the study")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run_status)

    parser = _add(commands, "report", "write the report of what is finished so far", "")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="of the study")
    parser.set_defaults(run=run_report)


def run_init(options: argparse.Namespace) -> int:
    """Write study.yaml; returns 0. Library errors propagate."""
    from ..study import Study, StudyConfig
    from ..study.presets import preset_text
    from ..study.records.cases import find_cases
    from ..yaml_config.yaml_file import parse_yaml

    text = preset_text(options.preset)
    data = _data_entries(options)
    if data:
        text = with_data(text, data)
        cases = find_cases(StudyConfig.from_mapping(parse_yaml(text, "study.yaml")), options.folder)  # before anything is written
        training = sum(case.part == "train" for case in cases)
        print(f"{len(cases)} cases: {training} for training, {len(cases) - training} for testing.", file=sys.stderr)
    study = Study.create(options.folder, text)
    todo = "Check data.values, axis and window in it" if data else "Say in it where the data lie"
    print(f"{todo}, then: sam2annotate study run {options.folder}", file=sys.stderr)
    print(study.folder / "study.yaml")
    return 0


def run_run(options: argparse.Namespace) -> int:
    """Run a study; returns 0. Library errors propagate."""
    from ..study import Study
    from ..study.execution.run import run_study
    from ..study.work.readiness import require_ready

    study = Study.open(options.folder)
    executor = _executor(options, study)
    require_ready(study, models=options.until in ("models", "report"), here=options.ray is None)
    with _terminated_as_by_ctrl_c():
        report = run_study(study, executor, tell=lambda line: print(line, file=sys.stderr, flush=True), until=options.until)
    print(report or study.folder)
    return 0


def run_status(options: argparse.Namespace) -> int:
    """Print how far a study is; returns 0. Library errors propagate."""
    from dataclasses import asdict

    from ..study import Study
    from ..study.records.status import study_status

    study = Study.open(options.folder)
    status = study_status(study)
    print(json.dumps({"folder": str(study.folder), **asdict(status)}, indent=1) if options.json else _text_of(status, study.folder))
    return 0


def run_report(options: argparse.Namespace) -> int:
    """Write the report; returns 0. Library errors propagate."""
    from ..study import Study
    from ..study.report.report import write_report

    print(write_report(Study.open(options.folder)))
    return 0


def with_data(text: str, entries: list[str]) -> str:
    """A configuration with other lines about where the data lie; its other lines and all comments stay."""
    lines = text.splitlines()
    start = lines.index("data:") + 1
    stop = next((n for n in range(start, len(lines)) if re.match(r"\S", lines[n]) and not lines[n].startswith("#")), len(lines))
    kept: list[str] = []
    place, dropping = None, False
    for line in lines[start:stop]:
        if re.match(r"  [^\s#-]", line):  # an entry of the block itself; what follows deeper, or as a list, belongs to it
            dropping = line.split(":")[0].strip() in ("table", "images", "labels", "folders")
            if dropping and place is None:
                place = len(kept)
        elif not re.match(r"   +[^\s#]|  - ", line):
            dropping = False
        if not dropping:
            kept.append(line)
    place = place or 0
    return "\n".join([*lines[:start], *kept[:place], *entries, *kept[place:], *lines[stop:]]) + "\n"


def _data_entries(options: argparse.Namespace) -> list[str]:
    """Lines of YAML that say where the data lie; none if the options do not."""

    def quoted(path: Path) -> str:
        return json.dumps(path.resolve().as_posix(), ensure_ascii=False)

    if len(options.images) != len(options.labels):
        raise InputError(f"Give --labels for each --images; got {len(options.images)} of images and {len(options.labels)} of labels.")
    if options.table is not None and options.images:
        raise InputError("Give either --table, or --images and --labels.")
    if options.table is not None:
        return [f"  table: {quoted(options.table)}"]
    pairs = [(quoted(images), quoted(labels)) for images, labels in zip(options.images, options.labels, strict=True)]
    if len(pairs) == 1:
        return [f"  images: {pairs[0][0]}", f"  labels: {pairs[0][1]}"]
    return ["  folders:", *(f"    - {{images: {images}, labels: {labels}}}" for images, labels in pairs)] if pairs else []


def _executor(options: argparse.Namespace, study: Study) -> Executor:
    """Who does the work: the options, and what they leave open as study.yaml says."""
    from ..study.execution.process_pool import ProcessPool
    from ..study.execution.ray_pool import RayPool

    config = study.config
    workers = options.workers if options.workers is not None or config.compute.workers == "auto" else int(config.compute.workers)
    device = options.device or config.model.device
    models_device = options.device or (config.downstream.device if config.downstream is not None else "auto")
    if options.ray is not None:
        return RayPool(options.ray, workers, device, models_device)
    return ProcessPool(workers, device, models_device, log_file=study.folder / "workers.log")


@contextlib.contextmanager
def _terminated_as_by_ctrl_c() -> Iterator[None]:
    """Let SIGTERM, with which systems and queues end a program, end the workers too."""
    if threading.current_thread() is not threading.main_thread():  # only there can signals be received
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _text_of(status: StudyStatus, folder: Path) -> str:
    from ..study.records.status import duration

    lines = [f"Study '{status.name}' in {folder}{', a run is going on' if status.running else ''}", ""]
    lines.append(f"{'stage':<12}{'finished':>14}{'mean of one':>14}{'time left':>14}")
    for stage in status.stages:
        finished = f"{stage.finished} of {stage.total}"
        mean = "" if stage.mean_seconds is None else duration(stage.mean_seconds)
        done = stage.finished == stage.total
        left = "" if done else "not known" if stage.seconds_left is None else duration(stage.seconds_left)
        outdated = f"   {stage.outdated} outdated" if stage.outdated else ""
        lines.append(f"{stage.stage:<12}{finished:>14}{mean:>14}{left:>14}{outdated}".rstrip())
    lines += ["", f"Time left is reckoned with {status.workers} {'workers' if status.workers > 1 else 'worker'}."]
    for name, found in status.thresholds.items():
        lines.append(f"Scenario {name}: {found.target:.0%} of slices, DSC above {found.dsc:.4f}, NSD above {found.nsd:.4f}.")
    return "\n".join([*lines, *status.problems])


def _add(subparsers: argparse._SubParsersAction, name: str, what: str, examples: str) -> argparse.ArgumentParser:
    description = what[0].upper() + what[1:] + "."
    return subparsers.add_parser(
        name, help=what, description=description, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
