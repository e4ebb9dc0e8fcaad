"""Make the README's pictures of the module: `python Testing/Slicer/make_screenshots.py [FOLDER] [--size 1920x1200] [--dark] [--steps]`.

The real module on the test host, annotating the sample case with the bundled model: what is to be seen is what the code does. The frame of
the window is the host's, not Slicer's. `--steps` makes a picture of every step instead of the README's, to be looked at after a change.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "SAM2Annotate"), str(ROOT)]


def main(folder: Path, size: tuple[int, int], dark: bool, steps: bool) -> None:
    """Write all pictures.

    Args:
        size: (width, height) of the main window in pixels.
        dark: whether Slicer's dark style is worn.
        steps: whether every step gets a picture, and not only those of the README.
    """
    import slicer_host

    slicer_host.start()
    import slicer
    from worlds import waitFor

    from slicer_host import look, pythonqt
    from slicer_host.modules.scripted_module import enter_module, load_module, unload_module
    from slicer_host.views.views_and_mouse import screenshot

    look.set_dark(dark)
    load_module(ROOT / "SAM2Annotate" / "SAM2Annotate.py")
    module = enter_module("SAM2Annotate")
    panel, logic, window = module.panel, module.logic, slicer.util.mainWindow()
    window.resize(*size)
    folder.mkdir(parents=True, exist_ok=True)
    from SAM2AnnotateSlicer.Panel.SampleRun import loadSample, sampleMarking

    def idle() -> None:
        waitFor(lambda: not logic.running and not logic.service.busy, 120)
        slicer.app.processEvents()

    def settle() -> None:
        waitFor(lambda: True)
        for _ in range(20):
            slicer.app.processEvents()

    def picture(name: str, inReadme: bool = True, widget=None) -> None:
        settle()
        if steps or inReadme:
            screenshot(widget, folder / f"{name}.png")

    def key(keys: str) -> None:
        pythonqt.press_key(window, keys)
        slicer.app.processEvents()

    library = tempfile.TemporaryDirectory(prefix="prototypes_")
    os.environ["SAM2ANNOTATE_PROTOTYPES"] = library.name
    picture("empty", inReadme=False)
    volume = loadSample(slicer.mrmlScene)
    logic.chooseVolume(volume)
    logic.parameters.newSegmentName = "Sarcoma"
    panel.views.showVolume(volume)
    panel.refresh()
    picture("volume", inReadme=False)
    annotated = logic.markObject(*sampleMarking(volume))
    annotated.segment.SetColor(0.86, 0.36, 0.36)  # Slicer draws lots; the pictures are to stay as they are
    panel.box.goToCenter()
    idle()
    # Off screen, slicer-core draws the handles of an ROI too far out, by the factor of 96 dpi to mm; in Slicer they are on its sides.
    logic.parameters.roi.GetDisplayNode().SetHandlesInteractive(False)
    picture("panel")

    key("Return")
    if steps:
        waitFor(lambda: logic.progress[0] >= 5, 60)
        picture("running", inReadme=False)
    idle()
    for position in range(annotated.center, annotated.center + 5):
        panel.review.show(position)
        key("A")
    logic.noObjectHere(annotated.session.extent.last)
    idle()
    panel.review.show(annotated.center - 2)
    picture("review")

    key("C")
    picture("correct")
    panel.trigger("thresholdTool")
    picture("threshold", inReadme=False)
    key("Escape")
    key("Escape")
    panel.review.show(annotated.session.extent.first)
    key("Down")
    key("A")
    picture("refused", inReadme=False)

    _learningPictures(panel, logic, picture, idle)
    if steps:
        _prototypePictures(panel, logic, picture, idle)
    for end in (annotated.session.extent.first, annotated.session.extent.last):
        panel.review.show(end)
        key("Shift+A")
    picture("done", inReadme=False)
    panel.ui.settingsSection.collapsed = False
    picture("settings", inReadme=False)
    panel.trigger("setUp")
    picture("setup", widget=panel.setUp.dialog)
    panel.trigger("worklist")
    picture("worklist", inReadme=False, widget=panel.dataSets.cases.dialog)
    _exportPicture(panel, picture, folder)
    if steps:
        _serverPictures(panel, picture)
    unload_module("SAM2Annotate")


def _learningPictures(panel, logic, picture, idle) -> None:
    """Learning offered, at work and done."""
    from worlds import waitFor

    annotated = logic.current
    for position in (annotated.center - 2, annotated.center - 4, annotated.center - 5):
        logic.correct(position, annotated.session.mask(position))
        idle()
    panel.review.show(annotated.center - 3)
    picture("learning_offered", inReadme=False)
    panel.learning.learner.options = {"steps": 60}
    panel.trigger("learn")
    waitFor(lambda: panel.learning.learner.share > 0.3, 300)
    picture("learning", inReadme=False)
    waitFor(lambda: not panel.learning.learner.running, 300)
    idle()
    picture("learned")


def _prototypePictures(panel, logic, picture, idle) -> None:
    """A prototype asked for; its object looked for on a second volume; ends offered."""
    import qt
    import slicer
    from worlds import waitFor

    from SAM2AnnotateSlicer.Learning.LearningText import keepQuestion

    annotated = logic.current
    panel.learning.confirm = lambda _question: True
    panel.trigger("keepPrototype")
    name, count = panel.learning.prototypes.wouldKeep()
    box = qt.QMessageBox(slicer.util.mainWindow())  # as `confirmOkCancelDisplay` opens it, which would wait for an answer here
    box.text = keepQuestion(name, count, "/home/reader/.local/share/sam2annotate/prototypes")
    box.setStandardButtons(qt.QMessageBox.Ok | qt.QMessageBox.Cancel)
    box.show()
    picture("prototype_asked", inReadme=False, widget=box)
    box.close()
    first, segmentationNode, segmentId = logic.parameters.volume, annotated.segmentationNode, annotated.segmentId
    second = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Another patient")
    second.CopyContent(first)
    second.CreateDefaultDisplayNodes()
    logic.nextObject()
    logic.chooseVolume(second)
    panel.views.showVolume(second)
    panel.refresh()
    picture("prototype_chosen", inReadme=False)
    panel.trigger("proposeObject")
    waitFor(lambda: panel.learning.prototypes.share > 0.3 or not panel.learning.prototypes.running, 300)
    picture("proposing", inReadme=False)
    waitFor(lambda: not panel.learning.prototypes.running, 600)
    idle()
    picture("proposed", inReadme=False)
    logic.nextObject()
    bounds = annotated.boundsIjk()
    index = annotated.stack.index_of(annotated.center)
    bounds["ijk".index(annotated.axis)] = index, index + 1
    logic.markObject(annotated.axis, index, bounds)
    waitFor(lambda: panel.learning.offer.ends is not None, 300)
    idle()
    picture("ends_offered", inReadme=False)
    logic.chooseVolume(first)
    panel.views.showVolume(first)
    logic.selectSegment(segmentationNode, segmentId)
    slicer.mrmlScene.RemoveNode(second)
    panel.refresh()


def _exportPicture(panel, picture, folder: Path) -> None:
    """The export page after a check of the data set that the sample was exported to."""
    from worlds import waitFor

    with tempfile.TemporaryDirectory(prefix="nnUNet_raw_") as raw:
        panel.trigger("exportNnunet")
        page = panel.dataSets.export.page
        picture("export", inReadme=False, widget=panel.dataSets.export.dialog)
        page.ui.rawFolderEdit.currentPath = raw
        page.ui.patientIdEdit.text, page.ui.nameEdit.text = "P01", "Sarcoma"
        for name in ("preview", "export", "verify"):
            button = getattr(page.ui, f"{name}Button")
            if not button.enabled:
                raise RuntimeError(f"'{name}' cannot be pressed: {button.toolTip}")
            button.click()
            waitFor(lambda: not page.exporter.busy, 120)
        picture("nnunet", widget=panel.dataSets.export.dialog)


def _serverPictures(panel, picture) -> None:
    """The page of the server that runs the model: empty, after a test, after one that failed; and the panel with the server's model."""
    import tempfile

    sys.path.append(str(ROOT / "Testing" / "Library"))
    from lent_server import LentServer
    from worlds import waitFor

    from SAM2AnnotateSlicer.Model.ServerSettings import forgetServer

    panel.object.askServer()
    page = panel.server.page
    picture("server-empty", inReadme=False, widget=panel.server.dialog)
    with tempfile.TemporaryDirectory() as folder, LentServer(Path(folder)) as server:
        for name, token in (("server-refused", "not-the-token"), ("server-answers", server.token)):
            page.ui.addressEdit.text, page.ui.tokenEdit.text = server.address, token
            page.ui.testButton.click()
            waitFor(lambda: not page.installer.busy, 120)
            picture(name, inReadme=False, widget=panel.server.dialog)
        page.ui.useButton.click()
        waitFor(lambda: not panel.logic.service.busy, 120)
        panel.ui.settingsSection.collapsed = False
        _scrollTo(panel.ui.modelLabel)
        picture("server-used", inReadme=False)
        panel.trigger("setUp")
        picture("server-setup", inReadme=False, widget=panel.setUp.dialog)
        forgetServer()


def _scrollTo(widget) -> None:
    """Bring a widget of the panel into sight."""
    import slicer

    slicer.app.processEvents()
    area = widget
    while not area.inherits("QScrollArea"):
        area = area.parent()
    area.ensureWidgetVisible(widget)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "Resources" / "Screenshots")
    parser.add_argument("--size", default="1366x768", help="of the main window, in pixels")
    parser.add_argument("--dark", action="store_true", help="Slicer's dark style")
    parser.add_argument("--steps", action="store_true", help="a picture of every step")
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    main(options.folder, (width, height), options.dark, options.steps)
