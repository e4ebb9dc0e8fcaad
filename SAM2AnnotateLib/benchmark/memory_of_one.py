"""Run one case of the memory benchmark and print its peak memory as JSON: a process of its own, since peaks do not go back."""

from __future__ import annotations

import json
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
    try:
        import resource
    except ImportError:  # Windows
        print(json.dumps({"peak_mb": None, "note": "peak memory is measured on Linux and macOS only"}))
        return
    case = json.loads(text)
    phantom = make_phantom(512, case["slices"], case["object_slices"])
    size = case.get("image_size", 512)
    if case["who"] == "ours":
        engine = engine_of("compact", 256, random_weights("compact", 256), "auto")
        store = EmbeddingStore(limit_bytes=case.get("cache_mb", 2048) * 1024**2)
        for _ in _marked(Annotator(phantom.volume, engine, window="0,255", store=store), phantom).propagate():
            pass
        extra = {"model": "compact 256 px", "embeddings_mb": round(store.nbytes / 1e6)}
    else:
        stock = StockPredictor(_TINY, size, random_weights(_TINY, size))
        with tempfile.TemporaryDirectory() as folder:
            write_frames(Path(folder), phantom.volume.array_kji.astype(np.uint8), lossless=False)
            states = [stock.open(Path(folder))]
            stock.from_box((states[0], states[0]), phantom.center, phantom.box, most=4)
        extra = {"model": f"hiera tiny {size} px", "propagated": "4 slices each way"}
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    volume = phantom.volume.array_kji.nbytes
    print(json.dumps({"peak_mb": round((peak - volume) / 1e6), "volume_mb": round(volume / 1e6), **extra}))


if __name__ == "__main__":
    main(sys.argv[1])
