"""The page on a phone of 360 x 640 with fingers."""

from __future__ import annotations

import pytest
from browser_page import PHONE, boxes_of, violations, wait_for_slice
from playwright.sync_api import expect

BOX = [20, 61, 40, 92]


class Fingers:
    """Touches, several at once, as the screen reports them."""

    def __init__(self, page):
        self._session = page.context.new_cdp_session(page)

    def _send(self, kind, *places):
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def drag(self, start, stop):
        self.drag_all([start], [stop])

    def drag_all(self, starts, stops, steps=4):
        self._send("touchStart", *starts)
        for step in range(1, steps + 1):
            part = step / steps
            self._send(
                "touchMove", *[(a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1])) for a, b in zip(starts, stops, strict=True)]
            )
        self._send("touchEnd")


@pytest.fixture
def page(crowd):
    return crowd.page(**PHONE)


def draw(page, picture, box):
    Fingers(page).drag(picture.at(box[0], box[2]), picture.at(box[1], box[3]))


def tap(target, has_come):
    """Tap until it has come: on a busy machine a tap may last so long that the browser takes it for a long press, which is no click."""
    for _ in range(5):
        target.tap()
        for _ in range(20):
            if has_come():
                return
            target.page.wait_for_timeout(100)
    raise AssertionError("five taps did nothing")


def test_a_finger_draws_moves_and_resizes(page, site):
    picture = wait_for_slice(page)
    draw(page, picture, BOX)
    assert boxes_of(page) == [BOX]
    Fingers(page).drag(picture.at(40, 66), picture.at(45, 60))
    assert boxes_of(page) == [[25, 66, 34, 86]]
    x, y = picture.at(66, 86)
    per_pixel = picture.at(1, 1)[1] - picture.at(0, 0)[1]
    Fingers(page).drag((x + 12, y + 12), (x + 12 + 10 * per_pixel, y + 12 + 10 * per_pixel))  # a finger need not hit the corner
    assert boxes_of(page) == [[25, 76, 34, 96]]
    tap(page.get_by_role("button", name="Save, next"), lambda: site.answers(page))
    expect(page.locator(".saving")).to_have_text("All saved")
    assert site.answers(page) == [("box", [[25, 76, 34, 96]])]


def test_a_small_box_can_be_taken_by_a_finger_in_its_middle_and_outside_its_corner(page):
    picture = wait_for_slice(page)
    before = 2 * picture.frame[2]
    tap(page.get_by_role("button", name="Larger"), lambda: picture.frame[2] > before)
    row, column = (round(edge / 2) for edge in picture.shape_rc)
    draw(page, picture, [row, row + 4, column, column + 4])
    Fingers(page).drag(picture.at(row + 2, column + 2), picture.at(row + 12, column + 12))
    assert boxes_of(page) == [[row + 10, row + 14, column + 10, column + 14]]


def test_two_fingers_zoom_and_draw_nothing(page):
    picture = wait_for_slice(page)
    before = picture.frame
    middle = [before[0] + before[2] / 2, before[1] + before[3] / 2]
    apart = lambda distance: [(middle[0] - distance, middle[1]), (middle[0] + distance, middle[1])]  # noqa: E731
    Fingers(page).drag_all(apart(30), apart(75))
    assert picture.frame[2] / before[2] == pytest.approx(2.5, rel=0.05)
    assert boxes_of(page) == []
    Fingers(page).drag_all(apart(75), apart(20))
    assert picture.frame[2] == pytest.approx(before[2], abs=1)
    draw(page, picture, BOX)
    assert boxes_of(page) == [BOX]


def test_nothing_is_wider_than_the_phone_and_the_answers_are_in_sight(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for name in ("Not on this slice", "Not sure", "Save, next"):
        expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    expect(page.locator("img.slice")).to_be_in_viewport(ratio=1)


def test_everything_to_be_touched_is_large_enough(page):
    draw(page, wait_for_slice(page), BOX)
    tap(page.get_by_text("Boxes as numbers (1)"), lambda: page.get_by_label("Top").is_visible())
    small = page.evaluate(
        "() => [...document.querySelectorAll('button, input, summary, a')].filter((one) => one.checkVisibility())"
        ".map((one) => [one.textContent || one.getAttribute('aria-label'), one.getBoundingClientRect()])"
        ".filter(([, at]) => at.height < 44 || at.width < 44).map(([name, at]) => `${name} ${at.width} x ${at.height}`)"
    )
    assert small == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert violations(page) == []
