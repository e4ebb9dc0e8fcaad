"""The page's arithmetic, in Chromium's own JavaScript: boxes, the view, undo, keys. Random cases against plain Python."""

from __future__ import annotations

import random
import uuid

import pytest

SHAPE = [60, 90]


@pytest.fixture(scope="module")
def js(chromium, site):
    """Calls a function of one of the page's modules."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site.address}/")

    def call(module, expression, **values):
        return page.evaluate(
            f"async (values) => {{ const m = await import('/page/{module}.js');"
            f" const {{ {', '.join(values)} }} = values; return {expression}; }}",
            values,
        )

    yield call
    context.close()


def test_any_two_places_make_a_box_on_the_slice(js):
    rng = random.Random(1)
    places = [[rng.uniform(-20, 110), rng.uniform(-20, 110)] for _ in range(400)]
    boxes = js("boxes", "places.slice(1).map((p, i) => m.boxBetween(places[i], p, shape))", places=places, shape=SHAPE)
    good = js("boxes", "boxes.map((box) => m.isBox(box, shape))", boxes=boxes, shape=SHAPE)
    assert all(good)
    for one, other, (r0, r1, c0, c1) in zip(places, places[1:], boxes, strict=False):
        for (a, b), (start, stop), length in (((one[0], other[0]), (r0, r1), 60), ((one[1], other[1]), (c0, c1), 90)):
            a, b = (min(max(edge, 0), length) for edge in sorted((a, b)))
            if b - a >= 1:
                assert abs(start - a) <= 0.5
                assert abs(stop - b) <= 0.5


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, 0, 1],
        [1, 0, 0, 1],
        [-1, 1, 0, 1],
        [0, 61, 0, 1],
        [0, 1, 0, 91],
        [0, 1.5, 0, 1],
        ["0", 1, 0, 1],
        [0, 1, 0],
        [0, 1, 0, None],
        None,
        {},
    ],
)
def test_what_is_no_box_is_none(js, box):
    assert js("boxes", "m.isBox(box, shape)", box=box, shape=SHAPE) is False


def test_moving_keeps_the_size_and_resizing_the_other_edges(js):
    rng = random.Random(2)
    for _ in range(60):
        r0, c0 = rng.randrange(0, 59), rng.randrange(0, 89)
        box = [r0, rng.randrange(r0 + 1, 61), c0, rng.randrange(c0 + 1, 91)]
        step = [rng.uniform(-100, 100), rng.uniform(-100, 100)]
        moved = js("boxes", "m.moved(box, ...step, shape)", box=box, step=step, shape=SHAPE)
        assert js("boxes", "m.isBox(moved, shape)", moved=moved, shape=SHAPE)
        assert (moved[1] - moved[0], moved[3] - moved[2]) == (box[1] - box[0], box[3] - box[2])
        top = js("boxes", "m.resized(box, 'n', ...step, shape)", box=box, step=step, shape=SHAPE)
        assert top[2:] == box[2:]
        assert box[1] in top[:2] or step[0] + box[0] > 60 or top[1] - top[0] == 1


def test_an_edge_typed_is_taken_only_if_a_box_is_left(js):
    assert js("boxes", "m.withEdge([1, 5, 2, 6], 1, 9, shape)", shape=SHAPE) == [1, 9, 2, 6]
    for position, value in [(0, 5), (1, 61), (2, -1), (3, 2), (3, 4.5)]:
        assert js("boxes", "m.withEdge([1, 5, 2, 6], position, value, shape)", position=position, value=value, shape=SHAPE) is None


def test_places_go_to_the_screen_and_back_at_any_zoom_and_spacing(js):
    rng = random.Random(3)
    for spacing in ([1, 1], [0.7, 0.7], [5, 0.8], [0.5, 3.3]):
        turns = [[rng.uniform(0.3, 3), rng.uniform(0, 500), rng.uniform(0, 400)] for _ in range(12)]
        places = [[rng.uniform(0, 60), rng.uniform(0, 90)] for _ in range(20)]
        found = js(
            "view",
            "(() => { let v = new m.View(shape, spacing, [500, 400]);"
            "for (const [f, x, y] of turns) v = v.zoomed(f, [x, y]).panned(x - 250, y - 200);"
            "return [places.map((p) => v.toPicture(v.toScreen(p))), v.toScreen([1, 0])[1] - v.toScreen([0, 0])[1],"
            "v.toScreen([0, 1])[0] - v.toScreen([0, 0])[0], v.origin, v.width, v.height]; })()",
            shape=SHAPE, spacing=spacing, turns=turns, places=places,
        )  # fmt: skip
        assert [tuple(place) for place in found[0]] == [pytest.approx(place) for place in places]
        assert found[1] / found[2] == pytest.approx(spacing[0] / spacing[1])  # as in the patient
        for origin, length, stage in zip(found[3], found[4:], (500, 400), strict=True):
            if length <= stage:
                assert origin == pytest.approx((stage - length) / 2)  # in the middle
            else:
                assert stage - length - 1e-6 <= origin <= 1e-6  # it fills the stage


def test_zooming_keeps_the_place_under_the_pointer(js):
    before, after = js(
        "view",
        "(() => { const v = new m.View([60, 90], [1, 1], [500, 400]).zoomed(4, [250, 200]); return [v.toPicture([130, 90]),"
        "v.zoomed(1.7, [130, 90]).toPicture([130, 90])]; })()",
    )
    assert after == pytest.approx(before)


def test_a_stage_that_changes_its_size_shows_the_same_middle(js):
    before, after, fitted = js(
        "view",
        "(() => { const v = new m.View([60, 90], [1, 1], [500, 400]).zoomed(5, [200, 180]); return [v.toPicture([250, 200]),"
        "v.resized([300, 600]).toPicture([150, 300]), new m.View([60, 90], [1, 1], [500, 400]).resized([90, 900]).width]; })()",
    )
    assert after == pytest.approx(before)
    assert fitted == pytest.approx(90)


def test_undo_and_redo_agree_with_a_list_of_states(js):
    rng = random.Random(4)
    steps = [rng.choice(["put", "put", "undo", "redo"]) for _ in range(200)]
    told = js(
        "boxes",
        "(() => { const h = new m.History([]);"
        "return steps.map((step, i) => { step === 'put' ? h.put([[i, i + 1, 0, 1]]) : h[step](); return h.now; }); })()",
        steps=steps,
    )
    states, at = [[]], 0
    for number, (step, now) in enumerate(zip(steps, told, strict=True)):
        if step == "put":
            states[at + 1 :] = [[[number, number + 1, 0, 1]]]
            at += 1
        else:
            at = max(at - 1, 0) if step == "undo" else min(at + 1, len(states) - 1)
        assert now == states[at]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"key": "ArrowUp"}, ["move", -1, 0]),
        ({"key": "ArrowRight", "repeat": True}, ["move", 0, 4]),
        ({"key": "ArrowLeft", "shiftKey": True}, ["grow", 0, -1]),
        ({"key": "N"}, ["newBox"]),
        ({"key": "z", "metaKey": True, "shiftKey": True}, ["redo"]),
        ({"key": "Enter", "repeat": True}, []),  # held down, it must not answer one slice after the other
        ({"key": "a", "ctrlKey": True}, None),
        ({"key": "ArrowLeft", "altKey": True}, None),  # the browser's own
        ({"key": "Tab"}, None),
        ({"key": "a", "isComposing": True}, None),
    ],
)
def test_keys_ask_for_what_the_help_says(js, event, expected):
    assert js("keys", "m.asked(event)", event=event) == expected


def test_ids_are_random_and_of_the_common_form(js):
    ids = js("clock", "Array.from({ length: 500 }, m.newId)")
    assert len(set(ids)) == 500
    assert {uuid.UUID(one).version for one in ids} == {4}
    assert all(str(uuid.UUID(one)) == one for one in ids)
