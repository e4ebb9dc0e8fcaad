"""A program that cannot be started is told by Windows within QProcess.start, not by a signal later: that must not leave anyone waiting."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import qt
from worlds import Heard, aVolume, makeLogic, markBall, waitFor

from SAM2AnnotateLib.errors import WorkerError
from SAM2AnnotateSlicer.Model import CommandProcess, WorkerProcess


class RefusedProcess:
    """A QProcess that Windows cannot start: it tells so before `start` returns."""

    NotRunning, FailedToStart, NormalExit = qt.QProcess.NotRunning, qt.QProcess.FailedToStart, qt.QProcess.NormalExit

    def __init__(self):
        self._slots = {}

    def connect(self, signal, slot):
        self._slots[signal.split("(")[0]] = slot

    def disconnect(self, signal, _slot):
        self._slots.pop(signal.split("(")[0], None)

    def start(self, _program, _arguments):
        if "errorOccurred" in self._slots:
            self._slots["errorOccurred"](self.FailedToStart)

    def state(self):
        return self.NotRunning

    def errorString(self):
        return "The system cannot find the file specified"

    def setWorkingDirectory(self, _path):
        """Nothing is started anywhere."""

    def setStandardErrorFile(self, _path, _mode):
        """Nothing is written."""


@pytest.fixture
def windows(monkeypatch):
    stand_in = SimpleNamespace(QProcess=RefusedProcess, QTimer=qt.QTimer, QByteArray=qt.QByteArray, QIODevice=qt.QIODevice)
    monkeypatch.setattr(WorkerProcess, "qt", stand_in)
    monkeypatch.setattr(CommandProcess, "qt", stand_in)


def test_a_model_that_cannot_be_started_is_told_and_can_be_asked_for_again(windows, tmp_path):
    logic = makeLogic(tmp_path, aVolume())
    heard = Heard(logic)
    annotated = markBall(logic)
    assert len(heard.errors) == 1 and "cannot find the file" in heard.errors[0]
    assert not logic.service.busy and not logic.service._process.running and not logic.service._process._watch.isActive()
    logic.propagate()
    assert not logic.running and len(heard.errors) == 2 and annotated.exists
    logic.service.close()


def test_a_command_that_cannot_be_started_raises_and_tells_nobody_twice(windows):
    ended = []
    command = CommandProcess.CommandProcess(print, ended.append, ["python"])
    with pytest.raises(WorkerError, match="cannot be started: The system cannot find the file"):
        command.start(["self-check"])
    assert not command.running and ended == []


def test_requests_behind_one_that_could_not_be_sent_are_not_left_waiting(tmp_path, monkeypatch):
    logic = makeLogic(tmp_path, aVolume())
    heard = Heard(logic)
    service = logic.service
    annotated = markBall(logic)
    logic.propagate()  # waits behind the preview

    def gone(*_arguments):
        raise WorkerError("The model's process is gone.")

    monkeypatch.setattr(service._process.client, "predict_slice", gone)
    waitFor(lambda: not logic.running, 30)
    assert heard.errors == ["The model's process is gone."] and len(annotated.session.results) == len(annotated.session.extent)
    service.close()
