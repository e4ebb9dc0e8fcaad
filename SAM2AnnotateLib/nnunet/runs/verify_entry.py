"""Runs inside nnU-Net's process: its integrity check, and what it says as one line. Imports nnunetv2."""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Check the data set ``argv[1]`` with ``argv[2]`` processes; the verdict is an empty string, or why nnU-Net refuses."""
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    refused = ""
    try:
        verify_dataset_integrity(sys.argv[1], int(sys.argv[2]))
    except (AssertionError, RuntimeError, FileNotFoundError, ValueError) as exc:  # what nnU-Net raises for a data set it does not take
        refused = str(exc) or type(exc).__name__
    sys.stdout.write(f"verdict {json.dumps(refused)}\n")
    sys.stdout.flush()
