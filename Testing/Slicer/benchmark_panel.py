"""How long the panel stands still while the model works: `python Testing/Slicer/benchmark_panel.py [SLICES [SIDE]]`.

The whole module on the test host, with slice views that draw, propagates the bundled model through a large object. Every turn of the event
loop is timed; the longest one is how long a click or a mouse move would have had to wait.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "SAM2Annotate"), str(HERE.parents[1])]


def main(slices: int = 160, side: int = 512) -> None:
    """Measure and print."""
    import slicer_host

    slicer_host.start()
    import slicer
    from orientations import volumeNode
    from worlds import waitFor

    from slicer_host.scripted_module import enter_module, load_module, unload_module
    from slicer_host.views_and_mouse import pixels

    rng = np.random.default_rng(0)
    k, j, i = np.ogrid[:slices, :side, :side]
    inside = ((k - slices / 2) / (0.4 * slices)) ** 2 + ((j - side / 2) / (0.3 * side)) ** 2 + ((i - side / 2) / (0.28 * side)) ** 2 < 1
    voxels = (np.where(inside, 120, -40) + rng.normal(0, 20, inside.shape)).astype(np.int16)
    load_module(HERE.parents[1] / "SAM2Annotate" / "SAM2Annotate.py")
    module = enter_module("SAM2Annotate")
    volume = volumeNode(voxels, np.diag([-1, -1, 1]))
    logic = module.logic
    logic.parameters.volume = volume
    logic.parameters.window = "abdomen"
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    bounds = [(int(0.2 * side), int(0.8 * side))] * 2 + [(int(0.1 * slices), int(0.9 * slices))]
    logic.markObject("k", slices // 2, bounds)
    waitFor(lambda: not logic.service.busy, 300)

    module_turns, turns, arrived = [], [], []
    logic.sliceArrived.connect(lambda position, *_: arrived.append(position))
    begun = time.perf_counter()
    logic.propagate()
    drawn = 0
    while logic.running:
        start = time.perf_counter()
        slicer.app.processEvents()
        module_turns.append(time.perf_counter() - start)
        if len(arrived) > drawn:  # the host draws when asked to; Slicer would do so here
            drawn = len(arrived)
            pixels("Red")
        turns.append(time.perf_counter() - start)
        time.sleep(0.001)
    sys.stdout.write(
        f"{slices} x {side} x {side} voxels: {len(arrived)} slices in {time.perf_counter() - begun:.1f} s\n"
        f"turns of the event loop, the module's part:             {summary(module_turns)}\n"
        f"with the slice view drawn anew for each (in software):  {summary(turns)}\n"
    )
    unload_module("SAM2Annotate")


def summary(seconds: list[float]) -> str:
    """Median of the turns that had something to do, and the longest ones."""
    busy = sorted(turn for turn in seconds if turn > 0.002)
    return f"median {1e3 * np.median(busy):.0f} ms, 95 % {1e3 * np.quantile(busy, 0.95):.0f} ms, longest {1e3 * busy[-1]:.0f} ms"


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
