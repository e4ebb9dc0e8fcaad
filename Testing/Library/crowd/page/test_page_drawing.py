"""Boxes on the page by mouse, keys and numbers, in a real Chromium: what is drawn is what is meant, to the pixel."""

from __future__ import annotations

import pytest
from browser_page import boxes_of, people, spoken, wait_for_slice
from playwright.sync_api import expect

BOX = [20, 31, 40, 62]


@pytest.fixture(scope="module")
def _one_page(chromium, site):
    with people(chromium, site) as group:
        yield group.page()


@pytest.fixture
def page(_one_page):
    """A page on which nothing is drawn and all of the picture is seen; the same slice for all these tests."""
    yield _one_page
    _one_page.locator(".stage").focus()
    _one_page.keyboard.press("Escape")
    for _ in boxes_of(_one_page):
        _one_page.keyboard.press("b")
        _one_page.keyboard.press("Delete")
    _one_page.keyboard.press("0")
    assert boxes_of(_one_page) == []


@pytest.fixture
def picture(page):
    return wait_for_slice(page)


def test_a_box_is_drawn_in_every_direction(page, picture):
    r0, r1, c0, c1 = BOX
    for count, ends in enumerate([(r0, c0, r1, c1), (r1, c1, r0, c0), (r0, c1, r1, c0), (r1, c0, r0, c1)], start=1):
        page.keyboard.press("Escape")
        picture.page.keyboard.down("Shift")  # a new one, on top of the others
        picture.drag(*ends)
        picture.page.keyboard.up("Shift")
        assert boxes_of(page) == [BOX] * count


def test_what_is_shown_is_what_is_told(page, picture):
    picture.draw(BOX)
    shown = page.locator(".marks .selected .line").bounding_box()
    left, top = picture.at(BOX[0], BOX[2])
    right, bottom = picture.at(BOX[1], BOX[3])
    # The frame of a stroke 2 wide reaches 1 beyond the line.
    assert (shown["x"] + 1, shown["y"] + 1) == pytest.approx((left, top), abs=1.1)
    assert (shown["width"] - 2, shown["height"] - 2) == pytest.approx((right - left, bottom - top), abs=2.1)
    assert spoken(page) == "Box 1: top 20, bottom 31, left 40, right 62"


def test_a_box_ends_at_the_pictures_edge(page, picture):
    rows, columns = picture.shape_rc
    picture.drag(rows - 5, columns - 7, rows + 4, columns + 9)
    assert boxes_of(page) == [[rows - 5, rows, columns - 7, columns]]


def test_a_click_draws_nothing_and_chooses(page, picture):
    picture.draw([10, 20, 10, 20])
    picture.draw([30, 40, 30, 40])
    page.mouse.click(*picture.at(15, 15))
    assert "Box 1: top 10" in spoken(page)
    page.mouse.click(*picture.at(50, 50))
    assert len(boxes_of(page)) == 2
    expect(page.get_by_role("button", name="Delete the chosen box")).to_be_disabled()


def test_a_box_is_moved_and_stays_whole_at_the_edge(page, picture):
    rows, columns = picture.shape_rc
    picture.draw(BOX)
    picture.drag(25, 50, 32, 45)
    assert boxes_of(page) == [[27, 38, 35, 57]]
    picture.drag(32, 45, 32 + 2 * rows, 45 + 2 * columns)
    assert boxes_of(page) == [[rows - 11, rows, columns - 22, columns]]


@pytest.mark.parametrize(
    ("handle", "expected"),
    [
        ((20, 40), [23, 31, 44, 62]),
        ((20, 51), [23, 31, 40, 62]),
        ((20, 62), [23, 31, 40, 66]),
        ((25.5, 40), [20, 31, 44, 62]),
        ((25.5, 62), [20, 31, 40, 66]),
        ((31, 40), [20, 34, 44, 62]),
        ((31, 51), [20, 34, 40, 62]),
        ((31, 62), [20, 34, 40, 66]),
    ],
)
def test_each_handle_moves_its_edges(page, picture, handle, expected):
    picture.draw(BOX)
    row, column = handle
    picture.drag(row, column, row + 3, column + 4)
    assert boxes_of(page) == [expected]


def test_an_edge_drawn_over_the_other_changes_places_with_it(page, picture):
    picture.draw(BOX)
    picture.drag(20, 51, 36, 51)
    assert boxes_of(page) == [[31, 36, 40, 62]]


def test_small_boxes_can_be_moved_and_resized_too(page, picture):
    picture.draw([20, 22, 40, 42])
    picture.drag(21, 41, 25, 45)
    assert boxes_of(page) == [[24, 26, 44, 46]]
    corner = page.locator(".marks .handle").nth(3).bounding_box()
    per_pixel = picture.at(1, 1)[1] - picture.at(0, 0)[1]
    x, y = corner["x"] + corner["width"] / 2, corner["y"] + corner["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 4 * per_pixel, y + 4 * per_pixel)
    page.mouse.up()
    assert boxes_of(page)[0][:1] == [24]
    assert boxes_of(page)[0][1] == 30


def test_escape_lets_go_of_a_box_being_drawn(page, picture):
    picture.press(20, 40, 31, 62)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert boxes_of(page) == []


def test_undo_and_redo_go_through_every_step(page, picture):
    picture.draw(BOX)
    picture.drag(25, 50, 30, 50)
    page.keyboard.press("Delete")
    assert boxes_of(page) == []
    steps = [[25, 36, 40, 62], BOX]
    for step in steps:
        page.keyboard.press("z")
        assert boxes_of(page) == [step]
    page.get_by_role("button", name="Undo").click()
    assert boxes_of(page) == []
    for step in reversed(steps):
        page.keyboard.press("Control+Shift+Z")
        assert boxes_of(page) == [step]
    page.get_by_role("button", name="Redo").click()
    assert boxes_of(page) == []
    page.keyboard.press("Control+z")
    picture.draw([1, 5, 1, 5])
    expect(page.get_by_role("button", name="Redo")).to_be_disabled()


def test_keys_alone_make_move_resize_and_delete_boxes(page, picture):
    page.locator(".stage").focus()
    page.keyboard.press("n")
    [[r0, r1, c0, c1]] = boxes_of(page)
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "Shift+ArrowDown", "Shift+ArrowLeft", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    assert boxes_of(page) == [[r0 + 1, r1 + 2, c0 + 2, c1]]
    assert spoken(page) == f"Box 1: top {r0 + 1}, bottom {r1 + 2}, left {c0 + 2}, right {c1}"
    page.keyboard.press("n")
    page.keyboard.press("b")  # the first again
    page.keyboard.press("Delete")
    assert boxes_of(page) == [[r0, r1, c0, c1]]
    assert spoken(page) == "Box 1 deleted. 1 box."


def test_a_box_grown_smaller_by_keys_keeps_a_pixel(page, picture):
    picture.draw([20, 22, 40, 42])
    for _ in range(4):
        page.keyboard.press("Shift+ArrowUp")
        page.keyboard.press("Shift+ArrowLeft")
    assert boxes_of(page) == [[20, 21, 40, 41]]


def test_keys_do_nothing_while_something_else_has_the_focus(page, picture):
    picture.draw(BOX)
    page.get_by_role("button", name="Keys").focus()
    page.keyboard.press("n")
    page.keyboard.press("Delete")
    assert boxes_of(page) == [BOX]


def test_a_box_is_edited_as_numbers_and_no_box_is_refused(page, picture):
    rows = picture.shape_rc[0]
    picture.draw(BOX)
    page.get_by_text("Boxes as numbers (1)").click()
    bottom = page.get_by_label("Bottom of box 1")
    bottom.fill("35")
    bottom.press("Tab")
    assert boxes_of(page) == [[20, 35, 40, 62]]
    for wrong in ("20", str(rows + 1), "-3", "24.5", ""):
        bottom.fill(wrong)
        bottom.press("Tab")
        expect(bottom).to_have_attribute("aria-invalid", "true")
        assert "top is less than bottom" in spoken(page)
    bottom.fill("36")
    bottom.press("Tab")
    assert boxes_of(page) == [[20, 36, 40, 62]]
    page.get_by_role("button", name="Delete box 1").click()
    assert boxes_of(page) == []
    page.get_by_text("Boxes as numbers (0)").click()


def test_the_wheel_zooms_where_it_is_and_the_right_button_moves_the_picture(page, picture):
    before = picture.at(30, 50)
    page.mouse.move(*before)
    page.mouse.wheel(0, -500)
    assert picture.frame[2] > 1.5 * page.locator(".stage").bounding_box()["height"]
    assert picture.at(30, 50) == pytest.approx(before, abs=2)  # a wheel tells its place in whole CSS pixels, and here they are doubled
    before = picture.at(30, 50)
    page.mouse.move(*before)
    page.mouse.down(button="right")
    page.mouse.move(before[0] + 37, before[1] + 21)
    page.mouse.up(button="right")
    assert picture.at(30, 50) == pytest.approx((before[0] + 37, before[1] + 21), abs=0.6)
    assert boxes_of(page) == []
    page.get_by_role("button", name="Whole picture").click()
    stage = page.locator(".stage").bounding_box()
    assert max(picture.frame[2] - stage["width"], picture.frame[3] - stage["height"]) == pytest.approx(-4, abs=0.6)  # its frame is 2 wide


def test_keys_zoom_and_move_the_picture_while_no_box_is_chosen(page, picture):
    page.locator(".stage").focus()
    whole = picture.frame
    for _ in range(4):
        page.keyboard.press("+")
    assert picture.frame[2] / whole[2] == pytest.approx(1.25**4, rel=1e-3)  # browsers lay out in 64ths of a pixel
    before = picture.at(0, 0)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert picture.at(0, 0) == pytest.approx((before[0] - 60, before[1] - 60), abs=0.1)  # what lies right of it and below is seen
    page.keyboard.press("-")
    page.keyboard.press("0")
    assert picture.frame == pytest.approx(whole, abs=0.1)
    assert boxes_of(page) == []


def test_the_picture_is_moved_with_one_finger_or_button_if_asked(page, picture):
    for _ in range(4):
        page.get_by_role("button", name="Larger").click()
    hand = page.get_by_role("button", name="Drag moves the picture")
    hand.click()
    row, column = picture.shape_rc[0] // 2, picture.shape_rc[1] // 2
    goal = picture.at(row + 2, column + 3)
    picture.drag(row, column, row + 2, column + 3)
    assert picture.at(row, column) == pytest.approx(goal, abs=0.6)
    assert boxes_of(page) == []
    hand.click()
    expect(hand).to_have_attribute("aria-pressed", "false")


def test_neighbors_are_looked_at_and_not_drawn_on(page, picture):
    own = page.locator("img.slice").get_attribute("src")
    picture.draw(BOX)
    page.keyboard.press(".")
    expect(page.locator("p.banner")).to_have_text("1 slice after yours: only to look")
    assert page.locator("img.slice").get_attribute("src") != own
    expect(page.locator(".marks rect")).to_have_count(0)
    picture.drag(5, 5, 15, 15)
    page.keyboard.press("n")
    page.keyboard.press("Delete")
    page.keyboard.press("z")
    assert boxes_of(page) == [BOX]
    page.keyboard.press("Enter")  # an answer is for one's own slice: first one sees it again
    expect(page.locator(".notice")).to_contain_text("You were at a neighbor.")
    assert page.locator("img.slice").get_attribute("src") == own
    page.mouse.move(*picture.at(5, 5))
    page.keyboard.down("Shift")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Shift")
    expect(page.locator("p.banner")).to_have_text("1 slice before yours: only to look")
    page.get_by_role("button", name="Back to yours").click()
    expect(page.locator("p.banner")).to_be_hidden()
    assert boxes_of(page) == [BOX]


@pytest.mark.parametrize("density", [1, 1.5, 3])
def test_boxes_are_exact_at_any_zoom_and_density(crowd, density):
    page = crowd.page(device_scale_factor=density)
    picture = wait_for_slice(page)
    expected = []
    for turns, box, at in [(0, [7, 60, 3, 88], (30, 50)), (-300, [25, 33, 41, 60], (28, 50)), (-1500, [29, 30, 50, 52], (29.5, 51))]:
        page.keyboard.press("Escape")
        page.mouse.move(*picture.at(*at))
        if turns:
            page.mouse.wheel(0, turns)
        page.keyboard.down("Shift")
        picture.draw(box, off_px=0.4)  # a pixel is at least 3 wide here: less than half of it is no other edge
        page.keyboard.up("Shift")
        expected.append(box)
        assert boxes_of(page) == expected
    assert page.evaluate("devicePixelRatio") == density
