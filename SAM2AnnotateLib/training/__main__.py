"""``python -m SAM2AnnotateLib.training``: train the compact model, resume it, write its weights."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..processors import wait_patiently


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m SAM2AnnotateLib.training", description=__doc__)
    parser.add_argument("--cases", type=Path, help="folder with the training cases; without it, synthetic volumes only")
    parser.add_argument("--folder", type=Path, required=True, help="keeps state.pt (resumed if there) and log.jsonl")
    parser.add_argument("--weights", type=Path, help="file.safetensors to write at the end")
    parser.add_argument("--export-only", action="store_true", help="write the weights of the present state and stop")
    parser.add_argument("--threads", type=int, help="CPU threads of torch")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    wait_patiently()
    import torch

    from .export import write_weights
    from .real_cases import load_training_cases
    from .train import Trainer

    if options.threads:
        torch.set_num_threads(options.threads)
    if not options.export_only:
        real = load_training_cases(options.cases) if options.cases else []
        Trainer(real, options.folder, seed=options.seed).run()
    if options.weights:
        write_weights(options.folder / "state.pt", options.weights)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
