"""How long the panel stands still while the model works: `python Testing/Slicer/benchmark_panel.py [--slices N ...] [--fast]`.

The whole module on the test host propagates a large object, the views following or not. Slice jumps, renderings and the painting of the
strip take what they took in a real Slicer with software OpenGL (`slicer_host/view_costs.py`). Every turn of the event loop is timed: the
longest one is how long a click or a mouse move would have had to wait. Then one slice is accepted, alone and beside many other segments.

A turn's time is given twice: by the clock, and as the work in it: processor time of this process plus those costs. The second figure does
not grow when other programs use the machine's cores.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "SAM2Annotate"), str(HERE.parents[1])]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, nargs="+", default=[34, 150], help="slices of the object")
    parser.add_argument("--side", type=int, default=512, help="rows and columns of a slice")
    parser.add_argument(
        "--segments", type=int, nargs="+", default=[0, 14], help="other segments beside the object when one slice is accepted"
    )
    parser.add_argument("--fast", action="store_true", help="a model that needs 20 ms a slice, as on a GPU, instead of the bundled one")
    options = parser.parse_args()

    import slicer_host

    slicer_host.start()
    from slicer_host.modules.scripted_module import enter_module, load_module
    from slicer_host.views import view_costs

    _pay_for_the_strip(view_costs)
    load_module(HERE.parents[1] / "SAM2Annotate" / "SAM2Annotate.py")
    module = enter_module("SAM2Annotate")
    if options.fast:
        _speed_up(module.logic.service)
    for slices in options.slices:
        for follow in (True, False):
            bench = PanelBench(module, slices, options.side)  # anew: what is up to date is not computed again
            view_costs.switch(view_costs.REAL)
            turns, count, seconds = bench.propagate(follow)
            view_costs.switch(view_costs.Costs())
            words = f"{slices} slices of {options.side} x {options.side}, Follow {'on' if follow else 'off'}: {count} in {seconds:.1f} s"
            sys.stdout.write(f"{words}\n  by the clock: {summary([t.clock for t in turns])}\n  work: {summary([t.work for t in turns])}\n")
    for segments in options.segments:
        bench.add_segments(segments)
        view_costs.switch(view_costs.REAL)
        turns = bench.accept()
        view_costs.switch(view_costs.Costs())
        drawn = 3 * (view_costs.REAL.rendering + segments * view_costs.REAL.segment)
        sys.stdout.write(
            f"Accept beside {segments} other segments: {1e3 * sum(t.clock for t in turns):.0f} ms by the clock, "
            f"{1e3 * sum(t.work for t in turns):.0f} ms of work, in which one rendering of the three views is {1e3 * drawn:.0f} ms\n"
        )


class Turn:
    """One turn of the event loop, in seconds by the clock and of work; use it with `with`."""

    def __enter__(self) -> Turn:
        from slicer_host.views import view_costs

        self._costs = view_costs
        self._begun = (time.perf_counter(), time.thread_time() + view_costs.paid())
        return self

    def __exit__(self, *_error) -> None:
        self.clock = time.perf_counter() - self._begun[0]
        self.work = time.thread_time() + self._costs.paid() - self._begun[1]


class PanelBench:
    """An object of so many slices, marked."""

    _made = 0

    def __init__(self, module, slices: int, side: int):
        import slicer
        from orientations import volumeNode
        from worlds import waitFor

        self.panel, self.logic = module.panel, module.logic
        slicer.mrmlScene.Clear(False)
        slicer.app.processEvents()
        depth = slices + 4
        PanelBench._made += 1
        rng = np.random.default_rng(PanelBench._made)  # another volume each time, or the last one's journal would be offered
        k, j, i = np.ogrid[:depth, :side, :side]
        radii = (0.51 * depth, 0.3 * side, 0.28 * side)
        inside = ((k - depth / 2) / radii[0]) ** 2 + ((j - side / 2) / radii[1]) ** 2 + ((i - side / 2) / radii[2]) ** 2 < 1
        voxels = (np.where(inside, 120, -40) + rng.normal(0, 20, inside.shape)).astype(np.int16)
        volume = volumeNode(voxels, np.diag([-1, -1, 1]))
        self.logic.parameters.volume = volume
        self.logic.parameters.window = "abdomen"
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        bounds = [(int(0.2 * side), int(0.8 * side))] * 2 + [(2, 2 + slices)]
        self.logic.markObject("k", depth // 2, bounds)
        waitFor(lambda: not self.logic.service.busy, 300)
        self.panel.box.goToCenter()

    def propagate(self, follow: bool) -> tuple[list[Turn], int, float]:
        """Compute all slices; returns the turns of the event loop, the number of slices, and the seconds."""
        import slicer

        arrived, turns = [], []
        self.logic.sliceArrived.connect(lambda position, *_: arrived.append(position))
        self.panel.ui.followCheckBox.checked = follow
        begun = time.perf_counter()
        with Turn() as turn:
            self.panel.trigger("propagate")
        turns.append(turn)
        ended = None
        while ended is None or time.perf_counter() - ended < 0.5:
            with Turn() as turn:
                slicer.app.processEvents()
            turns.append(turn)
            if not self.logic.running and ended is None:
                ended = time.perf_counter()
            time.sleep(0.001)
        return turns, len(arrived), ended - begun

    def add_segments(self, count: int) -> None:
        """Let there be so many other segments."""
        import slicer

        segmentation = self.logic.current.segmentationNode.GetSegmentation()
        while segmentation.GetNumberOfSegments() < 1 + count:
            segmentation.AddEmptySegment()
        slicer.app.processEvents()

    def accept(self) -> list[Turn]:
        """Accept the next open slice; returns the turns of the event loop from there on."""
        import slicer
        from worlds import waitFor

        session = self.logic.current.session
        position = next(one for one in session.extent.indices if one not in session.locked)
        self.panel.review.show(position)
        settled = time.perf_counter() + 0.5
        waitFor(lambda: time.perf_counter() > settled, 60)
        turns = []
        with Turn() as turn:
            self.panel.trigger("accept")
        turns.append(turn)
        until = time.perf_counter() + 0.3
        while time.perf_counter() < until:
            with Turn() as turn:
                slicer.app.processEvents()
            turns.append(turn)
            time.sleep(0.001)
        return turns


def _pay_for_the_strip(view_costs) -> None:
    from SAM2AnnotateSlicer.Views.ReviewStrip import ReviewStrip

    paint = ReviewStrip._paintCell

    def costly(self, *arguments):
        begun = time.thread_time()
        paint(self, *arguments)
        view_costs.pay(view_costs.costs.strip / len(self._cells) - (time.thread_time() - begun))

    ReviewStrip._paintCell = costly


def _speed_up(service) -> None:
    """Let the scripted model answer, 20 ms a slice."""
    from SAM2AnnotateSlicer.Model.PythonCommand import pythonCommand

    service._process._command = [*pythonCommand(), "-u", str(HERE / "scripted_worker.py"), "no-fault", "0.02"]


def summary(seconds: list[float]) -> str:
    """Median of the turns that had something to do, and the longest ones."""
    busy = sorted(turn for turn in seconds if turn > 0.002)
    return f"median {1e3 * np.median(busy):.0f} ms, 95 % {1e3 * np.quantile(busy, 0.95):.0f} ms, longest {1e3 * busy[-1]:.0f} ms"


if __name__ == "__main__":
    main()
