"""Make the README's pictures of the module: `python Testing/Slicer/make_screenshots.py [FOLDER]`.

The real module on the test host, annotating the sample case with the bundled model: what is to be seen is what the code does. The frame of
the window is the host's, not Slicer's.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "SAM2Annotate"), str(ROOT)]


def main(folder: Path) -> None:
    """Write all pictures."""
    import slicer_host

    slicer_host.start()
    import slicer
    from worlds import waitFor

    from slicer_host import pythonqt
    from slicer_host.scripted_module import enter_module, load_module, unload_module
    from slicer_host.views_and_mouse import screenshot

    load_module(ROOT / "SAM2Annotate" / "SAM2Annotate.py")
    module = enter_module("SAM2Annotate")
    panel, logic, window = module.panel, module.logic, slicer.util.mainWindow()
    window.resize(1240, 1010)
    folder.mkdir(parents=True, exist_ok=True)
    from SAM2AnnotateSlicer.Panel.SampleRun import loadSample, sampleMarking

    def idle() -> None:
        waitFor(lambda: not logic.running and not logic.service.busy, 120)
        slicer.app.processEvents()

    def picture(name: str) -> None:
        waitFor(lambda: True)
        for _ in range(20):
            slicer.app.processEvents()
        screenshot(None, folder / name)

    def key(keys: str) -> None:
        pythonqt.press_key(window, keys)
        slicer.app.processEvents()

    volume = loadSample(slicer.mrmlScene)
    logic.chooseVolume(volume)
    logic.parameters.newSegmentName = "Sarcoma"
    panel.views.showVolume(volume)
    annotated = logic.markObject(*sampleMarking(volume))
    panel.box.goToCenter()
    idle()
    # Off screen, slicer-core draws the handles of an ROI too far out, by the factor of 96 dpi to mm; in Slicer they are on its sides.
    logic.parameters.roi.GetDisplayNode().SetHandlesInteractive(False)
    picture("panel.png")

    key("Return")
    idle()
    for position in range(annotated.center, annotated.center + 5):
        panel.review.show(position)
        key("A")
    logic.noObjectHere(annotated.session.extent.last)
    idle()
    panel.review.show(annotated.center + 2)
    picture("review.png")

    key("N")
    key("C")
    picture("correct.png")
    key("Escape")

    panel.trigger("setUp")
    slicer.app.processEvents()
    screenshot(panel.setUp.dialog, folder / "setup.png")
    unload_module("SAM2Annotate")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Resources" / "Screenshots")
