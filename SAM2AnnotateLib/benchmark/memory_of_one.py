"""Run one case of the memory benchmark and print its peak memory as JSON: a process of its own, since peaks do not go back."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

from ..annotator import Annotator
from ..engine import EmbeddingStore
from .parts import _TINY, _marked, engine_of, random_weights
from .phantom import make_phantom
from .stock import StockPredictor, write_frames


def main(text: str) -> None:
    """Run the case that the JSON text describes."""
    case = json.loads(text)
    start = _peak_bytes()
    if start is None:
        print(json.dumps({"peak_mb": None, "note": "peak memory is measured on Linux and macOS only"}))
        return
    phantom = make_phantom(512, case["slices"], case["object_slices"])
    size = case["image_size"]
    weights = random_weights(_TINY, size)
    if case["who"] == "ours":
        store = EmbeddingStore(limit_bytes=case.get("cache_mb", 2048) * 1024**2)
        annotator = Annotator(phantom.volume, engine_of(_TINY, size, weights, "auto"), window="0,255", store=store)
        for _ in _marked(annotator, phantom).propagate():
            pass
        extra: dict[str, object] = {"embeddings_mb": round(store.nbytes / 1e6)}
    else:
        stock = StockPredictor(_TINY, size, weights)
        with tempfile.TemporaryDirectory() as folder:
            write_frames(Path(folder), phantom.volume.array_kji.astype(np.uint8), lossless=False)
            state = stock.open(Path(folder))
            stock.from_box((state, state), phantom.center, phantom.box, most=4)
        extra = {"propagated": "4 slices each way"}
    volume = phantom.volume.array_kji.nbytes
    peak = (_peak_bytes() or 0) - volume
    print(json.dumps({"peak_mb": round(peak / 1e6), "of_which_python_and_torch_mb": round(start / 1e6), "image_size": size, **extra}))


def _peak_bytes() -> int | None:
    """The largest resident memory of this process so far; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would give the parent's peak where that was larger
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))
        return int(found.group(1)) * 1024 if found else None
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


if __name__ == "__main__":
    main(sys.argv[1])
