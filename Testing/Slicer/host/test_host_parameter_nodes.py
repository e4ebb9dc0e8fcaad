"""The host's parameterNodeWrapper stores, checks and binds as Slicer's does."""

from __future__ import annotations

import dataclasses
import enum
import pathlib
from typing import Annotated, Optional, Union

import ctk
import pytest
import qt
import slicer
from slicer.parameterNodeWrapper import Choice, Default, Minimum, WithinRange, parameterNodeWrapper, parameterPack


class Color(enum.Enum):
    RED = 1
    GREEN = 2


@parameterPack
class Point:
    x: Annotated[float, WithinRange(-10, 10)]
    y: float = 2.5


@parameterPack
@dataclasses.dataclass
class Settings:
    name: str = "none"
    point: Point = dataclasses.field(default=Point())


@parameterNodeWrapper
class Parameters:
    volume: slicer.vtkMRMLScalarVolumeNode
    either: Union[slicer.vtkMRMLTextNode, slicer.vtkMRMLTableNode, None]  # noqa: UP007 - Slicer does not know the | between types
    count: Annotated[int, WithinRange(0, 100)] = 7
    ratio: Annotated[float, Minimum(0.0), Default(0.5)]
    flag: bool
    text: str = "a"
    path: pathlib.Path
    color: Color = Color.GREEN
    preset: Annotated[str, Choice(["CT", "MR"])] = "MR"
    numbers: list[int]
    pair: tuple[int, str] = (0, "")  # without a default of its own, a tuple fails on the second node
    table: dict[str, float]
    maybe: Optional[int]  # noqa: UP045 - as above
    settings: Settings


@pytest.fixture
def node():
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


@pytest.fixture
def parameters(node):
    return Parameters(node)


def test_defaults_are_written_at_once_in_slicers_format(parameters, node):
    written = {name: node.GetParameter(name) for name in ("count", "ratio", "flag", "text", "color", "numbers.len", "settings.point.y")}
    assert written == {
        "count": "7",
        "ratio": "0.5",
        "flag": "False",
        "text": "a",
        "color": "GREEN",
        "numbers.len": "0",
        "settings.point.y": "2.5",
    }
    assert parameters.volume is None and parameters.either is None and parameters.maybe is None


def test_values_come_back_and_another_wrapper_on_the_node_sees_them(parameters, node):
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
    parameters.volume, parameters.either, parameters.count, parameters.color = volume, table, 9, Color.RED
    parameters.path, parameters.pair, parameters.maybe = pathlib.Path("/a/b"), (3, "c"), 4
    parameters.numbers = [1, 2, 3]
    parameters.numbers.append(4)
    parameters.table = {"a": 1.5}
    parameters.table["b"] = 2.0
    parameters.settings.point.x = -3.0
    other = Parameters(node)
    assert (other.volume, other.either, other.count, other.color) == (volume, table, 9, Color.RED)
    assert (other.path, other.pair, other.maybe) == (pathlib.Path("/a/b"), (3, "c"), 4)
    assert other.numbers == [1, 2, 3, 4] and other.table == {"a": 1.5, "b": 2.0}
    assert other.settings.point == Point(-3.0, 2.5) and other.getValue("settings.point.x") == -3.0
    assert [node.GetParameter(f"numbers.{i}") for i in range(4)] == ["1", "2", "3", "4"]
    assert node.GetNodeReferenceID("volume") == volume.GetID()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 101),
        ("count", 1.5),
        ("count", None),
        ("ratio", -0.1),
        ("flag", 1),
        ("text", 3),
        ("preset", "PET"),
        ("color", "RED"),
        ("numbers", [1, "2"]),
        ("pair", (1,)),
        ("maybe", "x"),
        ("settings.point.x", 11.0),
    ],
)
def test_values_outside_the_type_are_refused_and_nothing_changes(parameters, name, value):
    before = parameters.getValue(name)
    with pytest.raises((TypeError, ValueError)):
        parameters.setValue(name, value)
    assert parameters.getValue(name) == before


def test_a_node_of_another_class_is_refused(parameters):
    with pytest.raises(TypeError):
        parameters.volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")


def test_a_removed_node_reads_as_none(parameters):
    parameters.volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    slicer.mrmlScene.RemoveNode(parameters.volume)
    assert parameters.volume is None


def test_unknown_names_reserved_names_and_unknown_types_are_refused(parameters):
    with pytest.raises(ValueError, match="Cannot find a param"):
        parameters.getValue("nosuch")
    with pytest.raises(ValueError, match="reserved"):

        @parameterNodeWrapper
        class _Reserved:
            default: int

    with pytest.raises(TypeError, match="Unable to create serializer"):

        @parameterNodeWrapper
        class _Unknown:
            thing: object

    with pytest.raises(ValueError, match="needs a parameter node"):
        Parameters(None)


def test_observers_pass_through_and_one_change_is_one_event(parameters):
    events = []
    tag = parameters.AddObserver("ModifiedEvent", lambda _caller, event: events.append(event))
    parameters.numbers = [1, 2, 3]
    assert len(events) == 1
    parameters.RemoveObserver(tag)
    parameters.count = 8
    assert len(events) == 1


def widgets():
    """One bound widget each, on a parent that keeps them."""
    panel = qt.QWidget()
    layout = qt.QVBoxLayout(panel)
    made = {
        "count": qt.QSpinBox(),
        "flag": qt.QCheckBox(),
        "text": qt.QLineEdit(),
        "preset": qt.QComboBox(),
        "color": qt.QComboBox(),
        "volume": slicer.qMRMLNodeComboBox(),
        "ratio": qt.QDoubleSpinBox(),
        "path": ctk.ctkPathLineEdit(),
    }
    for name, widget in made.items():
        widget.setProperty("SlicerParameterName", name)
        layout.addWidget(widget)
    made["volume"].setMRMLScene(slicer.mrmlScene)
    made["volume"].noneEnabled = True
    return panel, made


def test_widgets_follow_the_node_and_the_node_follows_the_widgets(parameters):
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    panel, bound = widgets()
    tag = parameters.connectGui(panel)
    assert bound["count"].value == 7 and bound["count"].maximum == 100 and bound["preset"].currentText == "MR"
    assert bound["volume"].nodeTypes == ("vtkMRMLScalarVolumeNode",) and bound["volume"].currentNode() is None
    parameters.count, parameters.flag, parameters.color = 11, True, Color.RED
    assert bound["count"].value == 11 and bound["flag"].checked and bound["color"].currentText == "RED"
    bound["count"].value = 12
    bound["text"].text = "typed"
    bound["preset"].currentIndex = 0
    bound["volume"].setCurrentNode(volume)
    assert (parameters.count, parameters.text, parameters.preset, parameters.volume) == (12, "typed", "CT", volume)
    parameters.disconnectGui(tag)
    bound["count"].value = 13
    assert parameters.count == 12


def test_a_widget_of_a_subclass_or_for_an_unbounded_number_is_refused(parameters):
    class MyCheckBox(qt.QCheckBox):
        pass

    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        parameters.connectParametersToGui({"flag": MyCheckBox()})
    with pytest.raises(RuntimeError, match="bound"):
        parameters.connectParametersToGui({"ratio": ctk.ctkSliderWidget()})
    with pytest.raises(ValueError, match="Cannot find a param"):
        parameters.connectParametersToGui({"nosuch": qt.QCheckBox()})
