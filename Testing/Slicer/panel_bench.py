"""The module as a user has it, on a model that answers at once by a rule: what tests of the panel begin with."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from fake_service import FakeService
from worlds import aVolume, markBall, waitFor

from slicer_host.modules.scripted_module import enter_module, load_module
from slicer_host.pythonqt import press_key

MODULE = Path(__file__).resolve().parents[2] / "SAM2Annotate" / "SAM2Annotate.py"


def makeBench(folder: Path, monkeypatch) -> Bench:
    """The module, loaded and entered; journals go to the folder."""
    from SAM2AnnotateSlicer.Model import ModelService
    from SAM2AnnotateSlicer.Review import JournalKeeper

    made = Bench()

    def service(logFolder):
        made.services.append(FakeService(logFolder, 0.25))
        return made.services[-1]

    keeper = JournalKeeper.JournalKeeper
    monkeypatch.setattr(ModelService, "ModelService", service)
    monkeypatch.setattr(JournalKeeper, "JournalKeeper", lambda _settings: keeper(folder / "journals"))
    load_module(MODULE)
    made.enter()
    return made


def plainText(label):
    """What a label says; the module puts marks into long words where a line may be broken."""
    return label.text.replace("\u200b", "")


class Bench:
    """The module as the user has it, on a fake model; `service` is that of the panel of the moment."""

    def __init__(self):
        self.services: list[FakeService] = []
        self.panel = self.ui = self.logic = None

    def enter(self):
        self.take(enter_module("SAM2Annotate"))

    def take(self, widget):
        self.panel, self.ui, self.logic = widget.panel, widget.panel.ui, widget.logic

    @property
    def service(self):
        return self.services[-1]

    @property
    def annotated(self):
        return self.logic.current

    @property
    def message(self):
        return plainText(self.ui.messageLabel)

    def letThrough(self, count):
        """Let that many slices come, and wait until they are shown."""
        from SAM2AnnotateSlicer.Turns import waits

        self.service.letThrough(count)
        waitFor(lambda: not self.logic.arrivals.waiting and not waits(self.panel._followNewest), 5)
        settle()

    def click(self, name):
        button = getattr(self.ui, f"{name}Button")
        settle()
        assert button.enabled, (name, button.toolTip)
        button.click()
        settle()

    def key(self, keys):
        press_key(slicer.util.mainWindow(), keys)
        settle()

    def status(self, position):
        return self.annotated.session.status(position)

    def position(self):
        return self.panel.views.position(self.annotated)

    def show(self, position):
        self.panel.review.show(position)
        settle()

    def mark(self, volume=None):
        """The ball, marked and previewed, with the views on its center."""
        volume = volume or aVolume()
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        self.ui.volumeSelector.setCurrentNode(volume)
        self.logic.parameters.window = "0,255"
        annotated = markBall(self.logic)
        self.click("goToCenter")
        return annotated

    def propagated(self):
        annotated = self.mark()
        self.click("propagate")
        # A decision before the views have returned would be refused: nobody has looked at that slice.
        waitFor(lambda: not self.logic.running and not self.panel.box.following.active, 20, "for the end of the propagation")
        settle()
        return annotated


def settle(milliseconds=60):
    """Let timers of up to 50 ms fire."""
    done = []
    qt.QTimer.singleShot(milliseconds, lambda: done.append(True))
    waitFor(lambda: done, 5)


def segmentArray(annotated):
    return slicer.util.arrayFromSegmentBinaryLabelmap(annotated.segmentationNode, annotated.segmentId, annotated.volumeNode) > 0
