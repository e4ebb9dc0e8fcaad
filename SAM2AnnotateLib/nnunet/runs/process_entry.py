"""Runs inside nnU-Net's process: make our trainer known, call an entry point, end with whoever started it. Imports own_trainer, nnunetv2.

Called as a script: ``python process_entry.py MODULE FUNCTION [arguments of the entry point...]``, its standard input a pipe that the
starter keeps open. nnU-Net's helper processes import this file again, so nothing happens at import.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path


def main() -> None:
    """Call FUNCTION of MODULE with the remaining arguments as the command line."""
    # The script's folder comes first on the path, and its files must not stand in for packages of the same name.
    del sys.path[0]
    threading.Thread(target=_end_with_starter, daemon=True).start()
    module, function = sys.argv[1:3]
    if module.startswith("nnunetv2."):
        _make_own_trainer_known()
    sys.argv = [function, *sys.argv[3:]]
    getattr(importlib.import_module(module), function)()


def _make_own_trainer_known() -> None:
    """Put our trainer where nnU-Net looks first for a trainer of a given name: into the module of its own.

    nnU-Net 2.8 also searches folders named by nnUNet_extTrainer, but only after importing every trainer it brings, and some of those need
    packages that many installations have broken.
    """
    nnunet_module = importlib.import_module("nnunetv2.training.nnUNetTrainer.nnUNetTrainer")
    spec = importlib.util.spec_from_file_location("sam2annotate_own_trainer", Path(__file__).with_name("own_trainer.py"))
    assert spec is not None
    assert spec.loader is not None
    own_module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(own_module)
    nnunet_module.SAM2AnnotateTrainer = own_module.SAM2AnnotateTrainer  # type: ignore[attr-defined]


def _end_with_starter() -> None:
    """Wait for the end of standard input, which comes when the starter is gone however it went; then end, helpers included."""
    while os.read(0, 4096):
        pass
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)  # the starter made this process the leader of a group of its own
    os._exit(1)


if __name__ == "__main__":
    main()
