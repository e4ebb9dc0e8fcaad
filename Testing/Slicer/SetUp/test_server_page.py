"""The page of the server that runs the model, with a real server: nothing before a click, what it says, what is kept and forgotten."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import qt
from lent_server import LentServer
from panel_bench import makeBench, plainText, settle
from worlds import waitFor

import SAM2AnnotateSlicer
from SAM2AnnotateSlicer.Model.ModelService import ModelChoice
from SAM2AnnotateSlicer.Model.ServerSettings import Server, keepServer, lentModels, readServer
from SAM2AnnotateSlicer.Panel.ObjectSection import ASK_FOR_SERVER
from slicer_host import look


@pytest.fixture(scope="module")
def aServer(tmp_path_factory):
    with LentServer(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


def choose(bench, data):
    """As a person chooses a row of the models."""
    box = bench.ui.modelComboBox
    row = box.findData(data)
    assert row >= 0, [box.itemText(at) for at in range(box.count)]
    box.setCurrentIndex(row)
    box.activated.emit(row)
    settle()


def openPage(bench, server=None):
    choose(bench, ASK_FOR_SERVER)
    page = bench.panel.server.page
    if server is not None:
        page.ui.addressEdit.text, page.ui.tokenEdit.text = server.address, server.token
        settle()
    return page


def connectNow(page):
    page.ui.testButton.click()
    waitFor(lambda: not page.installer.busy, 60)
    settle()


def status(page):
    return plainText(page.ui.statusLabel)


def rows(page):
    table = page.ui.serverTable
    return {table.item(row, 0).text(): table.item(row, 1).text() for row in range(table.rowCount)}


def test_the_choice_of_models_leads_to_the_page_and_stays_what_it_was(bench):
    page = openPage(bench)
    assert bench.panel.server.dialog.visible
    assert bench.logic.parameters.model == "bundled" and bench.ui.modelComboBox.currentData == "bundled"
    assert not page.ui.testButton.enabled and "Type address and token" in plainText(page.ui.testHintLabel)
    assert not page.ui.useButton.enabled and not page.ui.forgetButton.enabled
    assert readServer() is None


def test_the_test_says_what_the_server_is_and_only_then_it_can_be_used(bench, aServer):
    page = openPage(bench, aServer)
    assert not page.ui.useButton.enabled
    connectNow(page)
    said = rows(page)
    assert status(page) == "The server answers."
    assert (
        said["Device"] == "cpu"
        and said["Models"] == "bundled"
        and said["You are"] == "anna"
        and said["Version"].startswith("SAM2Annotate ")
    )
    assert "ms" in said["Round trip"] and "this very computer" in said["Encrypted"]
    assert readServer() is None, "nothing is kept before it is used"
    page.ui.useButton.click()
    settle()
    assert readServer() == Server(aServer.address, aServer.token) and lentModels() == ["bundled"]
    assert bench.logic.parameters.model == "server:bundled"
    assert bench.service.choice == ModelChoice("server:bundled", server=readServer())
    assert bench.ui.modelComboBox.currentText == "bundled (on the server)"


def test_what_was_typed_anew_is_to_be_tested_anew(bench, aServer):
    page = openPage(bench, aServer)
    connectNow(page)
    page.ui.tokenEdit.text = "another-one"
    settle()
    assert not page.ui.useButton.enabled and not rows(page)
    connectNow(page)
    assert "does not accept this token. Ask whoever runs the server" in status(page) and not page.ui.useButton.enabled
    assert "another-one" not in status(page)


@pytest.mark.parametrize(
    ("address", "words"),
    [("http://127.0.0.1:9", "cannot be reached"), ("http://example.com", "not encrypted"), ("no address", "no server's address")],
)
def test_what_is_wrong_is_said_on_the_page(bench, address, words):
    page = openPage(bench)
    page.ui.addressEdit.text, page.ui.tokenEdit.text = address, "any"
    settle()
    connectNow(page)
    assert words in status(page)


def test_a_test_can_be_stopped(bench, aServer):
    page = openPage(bench, aServer)
    page.ui.testButton.click()
    settle(1)
    if page.installer.busy:
        page.ui.cancelButton.click()
        assert status(page) == "The test was stopped."
    assert page.ui.testButton.enabled


def test_the_server_is_forgotten_with_its_token(bench, aServer):
    keepServer(Server(aServer.address, aServer.token), ["bundled"])
    bench.panel.object.refreshModels()
    choose(bench, "server:bundled")
    assert bench.logic.parameters.model == "server:bundled"
    page = openPage(bench)
    assert page.ui.tokenEdit.text == aServer.token and page.ui.tokenEdit.echoMode == qt.QLineEdit.Password
    page.ui.forgetButton.click()
    settle()
    assert readServer() is None and lentModels() == [] and page.ui.tokenEdit.text == ""
    assert aServer.token not in "".join(str(qt.QSettings().value(key)) for key in qt.QSettings().allKeys())
    assert bench.logic.parameters.model == "bundled" and bench.ui.modelComboBox.findData("server:bundled") < 0


def test_a_scene_holds_neither_address_nor_token(bench, aServer):
    keepServer(Server(aServer.address, aServer.token), ["bundled"])
    bench.panel.object.refreshModels()
    choose(bench, "server:bundled")
    bench.mark()
    bench.logic.storeNow()
    import slicer

    slicer.mrmlScene.SetSaveToXMLString(1)
    slicer.mrmlScene.Commit()
    slicer.mrmlScene.SetSaveToXMLString(0)  # while it is on, nothing is written to files
    scene = slicer.mrmlScene.GetSceneXMLString()
    assert "server:bundled" in scene and aServer.token not in scene and aServer.address not in scene


def test_the_page_says_where_address_and_token_are_kept_and_what_is_sent(bench):
    page = openPage(bench)
    assert qt.QSettings().fileName() in plainText(page.ui.keptLabel)
    assert "no names, dates, numbers" in page.ui.introductionLabel.text


def test_the_window_fits_a_small_screen_and_enter_presses_nothing(bench):
    page, dialog = openPage(bench), bench.panel.server.dialog
    assert dialog.width < look.SMALL_SCREEN[0] and dialog.height <= look.SMALL_SCREEN[1] - 60
    for name in ("testButton", "useButton", "forgetButton", "installButton", "cancelButton"):
        assert not getattr(page.ui, name).autoDefault


def test_without_websockets_the_page_and_the_set_up_ask_for_that_alone(bench, monkeypatch, tmp_path):
    installer = bench.panel.setUp._installer
    monkeypatch.setattr(installer, "_searchPath", [str(tmp_path)])
    page = openPage(bench)
    page.ui.addressEdit.text, page.ui.tokenEdit.text = "http://127.0.0.1:9", "any"
    page.refresh()
    assert "numpy, websockets" in plainText(page.ui.packagesLabel) and page.ui.installButton.visible and not page.ui.testButton.enabled
    keepServer(Server("http://127.0.0.1:9", "any"), ["bundled"])
    bench.panel.object.refreshModels()
    choose(bench, "server:bundled")
    bench.click("setUp")
    setUp = bench.panel.setUp.page
    needed = [row.name for row in setUp._packages]
    assert needed == ["numpy", "websockets"] and "A server runs the model" in plainText(setUp.ui.introductionLabel)
    assert not setUp.ui.cpuTorchCheckBox.enabled
    for model, first in (("bundled", "setuptools"), ("server:bundled", "numpy"), ("bundled", "setuptools")):
        choose(bench, model)
        bench.click("setUp")
        setUp.ui.modelsTable.selectRow(0)
        setUp.refresh()
        assert setUp._packages[0].name == first, model


def test_the_set_up_checks_the_server_where_that_runs_the_model(bench, aServer):
    keepServer(Server(aServer.address, aServer.token), ["bundled"])
    bench.panel.object.refreshModels()
    choose(bench, "server:bundled")
    bench.click("setUp")
    page = bench.panel.setUp.page
    page.ui.checkButton.click()
    waitFor(lambda: not page.installer.busy, 60)
    assert "Check: SAM2Annotate" in plainText(page.ui.statusLabel) and "on cpu" in plainText(page.ui.statusLabel)


def test_nothing_of_it_is_imported_by_the_module():
    sources = [file.read_text() for file in Path(SAM2AnnotateSlicer.__file__).parent.rglob("*.py")]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    imported = {node.module or "" for node in nodes}
    assert "SAM2AnnotateLib.worker.messages" in imported
    assert not [name for name in imported if name.startswith(("SAM2AnnotateLib.remote", "SAM2AnnotateLib.server", "websockets"))]
