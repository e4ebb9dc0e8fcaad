"""``python3 dev.py gpu-check``: what a GPU does with the models, in some minutes. Imports `gpu_parts` once there is a GPU.

One part after the other until time is up; a part that fails is told, and the next one begins. The result is one JSON file and a table.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

from .. import __version__
from ..atomic_files import write_text_atomically
from ..errors import SAM2AnnotateError

NO_GPU = 3  # exit code
_SHOWN = 200


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0 if all parts ran, 1 if one failed or time was up, `NO_GPU` without a GPU."""
    parser = argparse.ArgumentParser(prog="dev.py gpu-check", description="Try the models on this machine's GPU (CUDA).")
    parser.add_argument("--minutes", type=float, default=8.0, metavar="N", help="no part begins after this time (default: 8)")
    parser.add_argument("--json", type=Path, default=Path("gpu-check.json"), metavar="FILE", help="where to write all figures")
    parser.add_argument("--rehearse", action="store_true", help="run the smallest figures on the processor, to see that the command works")
    options = parser.parse_args(arguments)
    if not 0 < options.minutes <= 24 * 60:
        parser.error(f"--minutes should be above 0 and at most a day, got {options.minutes:g}")
    report = {**_machine(), "minutes": options.minutes, "rehearsal": options.rehearse, "parts": {}}
    _show(report)
    if report["gpu"] is None and not options.rehearse:
        report["problem"] = _why_not()
        print(f"\nNo GPU: {report['problem']}\nWhat can be tried without one: --rehearse, and 'sam2annotate benchmark'.")
        return _written(options.json, report, NO_GPU)
    return _written(options.json, report, _run_parts(report, time.monotonic() + 60 * options.minutes, options.json))


def _run_parts(report: dict[str, Any], until: float, path: Path) -> int:
    from .gpu_parts import PARTS, Rig

    rig = Rig.rehearsal() if report["rehearsal"] else Rig("cuda")
    whole = True
    for part in PARTS:
        name = part.__name__.replace("_", " ")
        if time.monotonic() >= until:
            whole = False
            _add(report, name, {"skipped": "time was up"})
            continue
        try:
            for title, figures in part(rig):
                _add(report, title, figures)
                if time.monotonic() >= until:
                    whole = False
                    _add(report, f"the rest of '{name}'", {"skipped": "time was up"})
                    break
        except (SAM2AnnotateError, RuntimeError, OSError, ValueError, AssertionError) as error:  # the other parts can still be tried
            whole = False
            _add(report, name, {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:_SHOWN]}"})
        write_text_atomically(path, json.dumps(report, indent=1) + "\n")  # what was found survives a kill
    return 0 if whole else 1


def _machine() -> dict[str, Any]:
    import torch

    cuda = torch.cuda.is_available()
    card = torch.cuda.get_device_properties(0) if cuda else None
    return {
        "sam2annotate": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda,
        "gpu": None if card is None else card.name,
        "gpu_memory_gb": None if card is None else round(card.total_memory / 1e9, 1),
        "bf16": bool(cuda and torch.cuda.is_bf16_supported()),
        "time": time.strftime("%Y-%m-%d %H:%M"),
    }


def _why_not() -> str:
    import torch

    if torch.version.cuda is None:
        return (
            f"torch {torch.__version__} is built without CUDA. On a machine with an NVIDIA card delete the folder .venv, see that pip "
            "takes torch from its own index (no '+cpu' folder in pip's configuration), and start again."
        )
    return f"torch {torch.__version__} (CUDA {torch.version.cuda}) finds no card. 'nvidia-smi' should list one; the driver may be too old."


def _show(report: dict[str, Any]) -> None:
    for name in ("sam2annotate", "python", "system", "torch", "cuda", "gpu", "gpu_memory_gb"):
        print(f"{name:16s}{'none' if report[name] is None else report[name]}", flush=True)


def _add(report: dict[str, Any], title: str, figures: dict[str, Any]) -> None:
    report["parts"][title] = figures
    print(f"\n{title}")
    for name, value in figures.items():
        print(f"  {name:34s}{value}", flush=True)


def _written(path: Path, report: dict[str, Any], code: int) -> int:
    try:
        write_text_atomically(path, json.dumps(report, indent=1) + "\n")
    except SAM2AnnotateError as error:
        print(f"\n{error}", file=sys.stderr)
        return code or 1
    print(f"\nAll figures: {path.absolute()}")
    return code


if __name__ == "__main__":
    sys.exit(main())
