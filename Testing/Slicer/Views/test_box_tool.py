"""A box drawn with the mouse: it lies where it was drawn, in every view and orientation, and nothing else happens to the view meanwhile."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import qt
import slicer
from orientations import SPACING_MM, directions, volumeNode

from SAM2AnnotateSlicer.Scene.SceneBridge import ijkToWorld, sliceAxis, worldToIjk
from SAM2AnnotateSlicer.Views.BoxTool import BoxTool
from slicer_host.views import views_and_mouse

SHAPE_KJI = (18, 20, 24)
VIEWS = ("Red", "Yellow", "Green")
BUTTON_EVENTS = [f"{button}Button{what}Event" for button in ("Left", "Right") for what in ("Press", "Release", "DoubleClick")]
ALL_EVENTS = [*BUTTON_EVENTS, "MouseMoveEvent", "MouseWheelForwardEvent", "KeyPressEvent"]


class Drawn:
    """What a tool under test said."""

    def __init__(self):
        self.boxes, self.messages, self.activity = [], [], []
        self.tool = BoxTool(lambda sliceNode, corners: self.boxes.append((sliceNode, corners)), self.messages.append)
        self.tool.activeChanged.connect(lambda: self.activity.append(self.tool.active))


@pytest.fixture
def drawn():
    one = Drawn()
    one.tool.install()
    yield one
    one.tool.remove()


@pytest.fixture
def volume():
    return shown(volumeNode(np.random.default_rng(3).integers(0, 200, SHAPE_KJI, dtype=np.int16), np.diag([-1, -1, 1])))


def shown(node):
    """Show a volume in all views, cut along its own slices, whole."""
    slicer.util.setSliceViewerLayers(background=node, fit=True, rotateToVolumePlane=True)
    return node


def sliceWidget(name):
    return slicer.app.layoutManager().sliceWidget(name)


def interactorOf(name):
    return sliceWidget(name).sliceView().interactor()


def send(name, event, xy=None, key=""):
    """What the window system does: an event, at a pixel (x, y) of a view, y up."""
    interactor = interactorOf(name)
    if xy is not None:
        interactor.SetEventInformation(*xy, 0, 0, chr(0), 0, None)
    if key:
        interactor.SetKeyEventInformation(0, 0, chr(0), 0, key)
    interactor.InvokeEvent(event)


def dragPixels(name, start, end):
    send(name, "MouseMoveEvent", start)
    send(name, "LeftButtonPressEvent", start)
    send(name, "MouseMoveEvent", tuple((a + b) // 2 for a, b in zip(start, end, strict=True)))
    send(name, "MouseMoveEvent", end)
    send(name, "LeftButtonReleaseEvent", end)


def observerCount(name):
    return str(interactorOf(name)).count("EventName:")


def propCount(name):
    renderers = sliceWidget(name).sliceView().renderWindow().GetRenderers()
    return sum(renderers.GetItemAsObject(n).GetViewProps().GetNumberOfItems() for n in range(renderers.GetNumberOfItems()))


@pytest.fixture
def overheard():
    """Events of the red view that get through to an observer just before Slicer's own, which may keep what they use."""
    heard, interactor = [], interactorOf("Red")
    tags = [interactor.AddObserver(event, lambda _caller, event: heard.append(event), 0.5) for event in ALL_EVENTS]
    yield heard
    for tag in tags:
        interactor.RemoveObserver(tag)


def windowLevel(node):
    return node.GetDisplayNode().GetWindow(), node.GetDisplayNode().GetLevel()


# -- where the box is -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", directions())
def test_the_corners_lie_where_the_mouse_was(drawn, orientation):
    node = shown(volumeNode(np.zeros(SHAPE_KJI, dtype=np.int16), directions()[orientation]))
    for name in VIEWS:
        sliceNode = sliceWidget(name).mrmlSliceNode()
        axis, parallel = sliceAxis(sliceNode, node)
        assert parallel
        at = "ijk".index(axis)
        cornersIjk = np.array([[4.0, 5.0, 3.0], [17.0, 12.0, 11.0]])
        cornersIjk[:, at] = worldToIjk(node, [sliceNode.GetXYToRAS().MultiplyPoint((50, 50, 0, 1))[:3]])[0, at]
        world = (np.column_stack([cornersIjk, np.ones(2)]) @ ijkToWorld(node).T)[:, :3]
        for start, end in (world, world[::-1]):
            drawn.tool.start()
            views_and_mouse.drag(name, tuple(start), tuple(end))
            boxNode, corners = drawn.boxes.pop()
            assert boxNode is sliceNode
            np.testing.assert_allclose(corners, [start, end], atol=min(SPACING_MM) / 2)
    assert not drawn.boxes


def test_a_drag_along_the_other_diagonal_gives_the_other_corners(drawn, volume):
    for start, end in (((60, 200), (160, 90)), ((160, 90), (60, 200)), ((160, 200), (60, 90))):
        drawn.tool.start()
        dragPixels("Red", start, end)
        sliceNode, corners = drawn.boxes.pop()
        for corner, xy in zip(corners, (start, end), strict=True):
            np.testing.assert_allclose(corner, sliceNode.GetXYToRAS().MultiplyPoint((*xy, 0, 1))[:3])


@pytest.mark.parametrize("move", [(0, 0), (3, -3)])
def test_a_click_gives_a_square_of_a_fifth_of_the_view(drawn, volume, move):
    sliceNode = sliceWidget("Yellow").mrmlSliceNode()
    drawn.tool.start()
    click = (120, 140)
    send("Yellow", "LeftButtonPressEvent", click)
    send("Yellow", "LeftButtonReleaseEvent", (click[0] + move[0], click[1] + move[1]))
    corners = np.array(drawn.boxes[0][1])
    center = sliceNode.GetXYToRAS().MultiplyPoint((click[0] + move[0], click[1] + move[1], 0, 1))[:3]
    np.testing.assert_allclose(corners.mean(axis=0), center, atol=1e-6)
    side = 0.2 * min(sliceNode.GetFieldOfView()[:2])
    assert np.linalg.norm(corners[1] - corners[0]) == pytest.approx(side * np.sqrt(2))


def test_a_drag_of_four_pixels_is_no_click(drawn, volume):
    drawn.tool.start()
    dragPixels("Red", (100, 100), (104, 100))
    corners = np.array(drawn.boxes[0][1])
    pixelMm = sliceWidget("Red").mrmlSliceNode().GetFieldOfView()[0] / sliceWidget("Red").mrmlSliceNode().GetDimensions()[0]
    assert np.linalg.norm(corners[1] - corners[0]) == pytest.approx(4 * pixelMm)


# -- one box a start ----------------------------------------------------------------------------------------------------------------


def test_one_start_gives_one_box(drawn, volume):
    drawn.tool.start()
    drawn.tool.start()
    dragPixels("Red", (60, 60), (90, 120))
    dragPixels("Red", (60, 60), (90, 120))
    assert len(drawn.boxes) == 1
    assert drawn.activity == [True, False]


def test_without_a_start_a_drag_draws_nothing(drawn, volume):
    dragPixels("Red", (60, 60), (90, 120))
    assert not drawn.boxes
    assert not drawn.tool.active


def test_the_tool_is_done_when_the_box_is_told(volume):
    active = []
    tool = BoxTool(lambda _node, _corners: (active.append(tool.active), tool.remove()), print)
    tool.install()
    tool.start()
    dragPixels("Red", (60, 60), (90, 120))
    assert active == [False]


def test_the_mouse_in_another_view_does_not_disturb_a_drag(drawn, volume):
    drawn.tool.start()
    send("Red", "LeftButtonPressEvent", (60, 60))
    send("Green", "MouseMoveEvent", (80, 80))
    assert not drawn.boxes
    send("Red", "LeftButtonReleaseEvent", (120, 90))
    assert len(drawn.boxes) == 1


@pytest.mark.parametrize("pressed", [False, True])
@pytest.mark.parametrize("how", ["escape", "right button", "call", "layout"])
def test_a_cancelled_box_is_not_drawn(drawn, volume, overheard, pressed, how):
    props = propCount("Red")
    drawn.tool.start()
    if pressed:
        send("Red", "LeftButtonPressEvent", (60, 60))
        send("Red", "MouseMoveEvent", (90, 90))
    if how == "escape":
        send("Red", "KeyPressEvent", key="Escape")
    elif how == "right button":
        send("Red", "RightButtonPressEvent", (90, 90))
        send("Red", "RightButtonReleaseEvent", (90, 90))
    elif how == "call":
        drawn.tool.cancel()
    else:
        slicer.app.layoutManager().layout = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    assert drawn.activity == [True, False]
    assert propCount("Red") == props
    if pressed:
        send("Red", "MouseMoveEvent", (95, 95))
        send("Red", "LeftButtonReleaseEvent", (95, 95))
    assert not drawn.boxes
    assert not overheard, "nobody else may see part of a press that was the tool's"
    send("Red", "MouseMoveEvent", (40, 40))
    send("Red", "LeftButtonPressEvent", (40, 40))
    assert overheard == ["MouseMoveEvent", "LeftButtonPressEvent"]


def test_a_release_that_never_came_does_not_keep_the_next_press(drawn, volume, overheard):
    drawn.tool.start()
    send("Red", "LeftButtonPressEvent", (60, 60))
    drawn.tool.cancel()
    send("Red", "LeftButtonPressEvent", (60, 60))
    send("Red", "LeftButtonReleaseEvent", (60, 60))
    assert overheard == ["LeftButtonPressEvent", "LeftButtonReleaseEvent"]


def test_a_second_press_begins_the_box_anew(drawn, volume):
    props = propCount("Red")
    drawn.tool.start()
    send("Red", "LeftButtonPressEvent", (60, 60))
    dragPixels("Red", (100, 100), (140, 160))
    assert propCount("Red") == props
    toRas = sliceWidget("Red").mrmlSliceNode().GetXYToRAS()
    np.testing.assert_allclose(drawn.boxes[0][1][0], toRas.MultiplyPoint((100, 100, 0, 1))[:3])


# -- nothing else happens --------------------------------------------------------------------------------------------------------------


def test_drawing_does_not_change_window_and_level(drawn, volume):
    interactionNode = slicer.app.applicationLogic().GetInteractionNode()
    interactionNode.SetCurrentInteractionMode(interactionNode.AdjustWindowLevel)
    before = windowLevel(volume)
    drawn.tool.start()
    dragPixels("Red", (60, 60), (140, 120))
    assert len(drawn.boxes) == 1
    assert windowLevel(volume) == before
    dragPixels("Red", (60, 60), (140, 120))
    assert windowLevel(volume) != before, "the same drag without the tool does"


def test_drawing_places_no_point(drawn, volume):
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    points.CreateDefaultDisplayNodes()
    slicer.modules.markups.logic().SetActiveList(points)
    slicer.modules.markups.logic().StartPlaceMode(True)
    drawn.tool.start()
    dragPixels("Red", (60, 60), (140, 120))
    dragPixels("Red", (70, 70), (150, 130))
    assert points.GetNumberOfDefinedControlPoints() == 0
    assert len(drawn.boxes) == 1


def test_keys_and_wheel_go_on_working_while_drawing(drawn, volume, overheard):
    drawn.tool.start()
    send("Red", "KeyPressEvent", key="f")
    send("Red", "MouseWheelForwardEvent", (60, 60))
    assert overheard == ["KeyPressEvent", "MouseWheelForwardEvent"]
    assert drawn.tool.active


def test_a_press_before_the_start_gets_its_release(drawn, volume, overheard):
    send("Red", "LeftButtonPressEvent", (60, 60))
    drawn.tool.start()
    send("Red", "LeftButtonReleaseEvent", (60, 60))
    assert overheard == ["LeftButtonPressEvent", "LeftButtonReleaseEvent"]
    dragPixels("Red", (60, 60), (90, 120))
    assert len(drawn.boxes) == 1


def test_nothing_is_kept_from_others_while_the_tool_rests(drawn, volume, overheard):
    for event in ALL_EVENTS:
        send("Red", event, (60, 60))
    assert overheard == ALL_EVENTS


# -- what is seen ------------------------------------------------------------------------------------------------------------------------


def test_the_box_is_seen_while_it_is_dragged(drawn, volume):
    height = sliceWidget("Red").mrmlSliceNode().GetDimensions()[1]
    drawn.tool.start()
    send("Red", "LeftButtonPressEvent", (60, 80))
    send("Red", "MouseMoveEvent", (160, 200))
    yellow = isYellow(views_and_mouse.pixels("Red"))
    rows, cols = np.nonzero(yellow)
    assert (cols.min(), cols.max()) == pytest.approx((60, 160), abs=2)
    assert (height - 1 - rows.max(), height - 1 - rows.min()) == pytest.approx((80, 200), abs=2)
    send("Red", "LeftButtonReleaseEvent", (160, 200))
    assert not isYellow(views_and_mouse.pixels("Red")).any()


def isYellow(pixels):
    red, green, blue = (pixels[..., n].astype(int) for n in range(3))
    return (red > 200) & (green > 150) & (blue < 100)


def test_the_cursor_is_a_cross_as_long_as_a_box_can_be_drawn(drawn, volume):
    before = [sliceWidget(name).sliceView().cursor.shape() for name in VIEWS]
    drawn.tool.start()
    assert {sliceWidget(name).sliceView().cursor.shape() for name in VIEWS} == {qt.Qt.CrossCursor}
    drawn.tool.cancel()
    assert [sliceWidget(name).sliceView().cursor.shape() for name in VIEWS] == before


# -- the view the mouse is in -------------------------------------------------------------------------------------------------------------


def test_the_view_that_the_mouse_was_in_last_is_the_current_one(drawn):
    assert drawn.tool.currentSliceNode().GetLayoutName() == "Red"
    for name in ("Yellow", "Green", "Red"):
        send(name, "MouseMoveEvent", (30, 30))
        assert drawn.tool.currentSliceNode().GetLayoutName() == name


def test_a_view_that_is_hidden_is_not_the_current_one(drawn):
    send("Yellow", "MouseMoveEvent", (30, 30))
    slicer.app.layoutManager().layout = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpGreenSliceView
    assert drawn.tool.currentSliceNode().GetLayoutName() == "Green"


# -- coming and going ----------------------------------------------------------------------------------------------------------------------


def test_nothing_is_left_behind(volume):
    before = [(observerCount(name), propCount(name)) for name in VIEWS]
    one = Drawn()
    one.tool.install()
    one.tool.install()
    assert [observerCount(name) for name in VIEWS] != [count for count, _props in before]
    one.tool.start()
    send("Red", "LeftButtonPressEvent", (60, 80))
    send("Red", "MouseMoveEvent", (160, 200))
    one.tool.remove()
    one.tool.remove()
    assert [(observerCount(name), propCount(name)) for name in VIEWS] == before
    slicer.app.layoutManager().layout = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    assert [(observerCount(name), propCount(name)) for name in VIEWS] == before


def test_a_removed_tool_does_not_start(volume):
    one = Drawn()
    one.tool.start()
    assert not one.tool.active
    assert one.messages


def test_a_tool_can_be_installed_again(drawn, volume):
    drawn.tool.remove()
    drawn.tool.install()
    drawn.tool.start()
    dragPixels("Green", (60, 60), (90, 120))
    assert len(drawn.boxes) == 1


def test_without_a_main_window_nothing_happens(monkeypatch):
    monkeypatch.setattr(slicer, "app", SimpleNamespace(layoutManager=lambda: None))
    one = Drawn()
    one.tool.install()
    one.tool.start()
    one.tool.cancel()
    assert not one.tool.active
    assert one.tool.currentSliceNode() is None or one.tool.currentSliceNode().GetLayoutName() == "Red"
    one.tool.remove()


class LayoutWithFewerViews:
    """Slicer's layout manager as if some views were not made yet."""

    def __init__(self, names):
        self.names, self.receivers = names, []
        self._real = slicer.app.layoutManager()

    def sliceViewNames(self):
        return tuple(self.names)

    def sliceWidget(self, name):
        return self._real.sliceWidget(name) if name in self.names else None

    def connect(self, signal, receiver):
        assert signal == "layoutChanged(int)"
        self.receivers.append(receiver)

    def disconnect(self, signal, receiver):
        self.receivers.remove(receiver)

    def change(self, names):
        self.names = names
        for receiver in self.receivers:
            receiver(1)


def test_views_that_come_and_go_with_the_layout_are_followed(monkeypatch, volume):
    counts = [observerCount(name) for name in VIEWS]
    layout = LayoutWithFewerViews(["Red"])
    monkeypatch.setattr(slicer, "app", SimpleNamespace(layoutManager=lambda: layout, applicationLogic=slicer.app.applicationLogic))
    one = Drawn()
    one.tool.install()
    layout.change(["Red", "Yellow"])
    monkeypatch.undo()
    # What is asked of Slicer from here on goes to the real layout manager; the tool goes on with the one that it knows.
    one.tool.start()
    dragPixels("Yellow", (60, 60), (90, 120))
    assert [node.GetLayoutName() for node, _corners in one.boxes] == ["Yellow"]
    one.tool.remove()
    assert not layout.receivers
    assert [observerCount(name) for name in VIEWS] == counts
