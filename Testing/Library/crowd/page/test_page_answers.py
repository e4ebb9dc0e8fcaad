"""Answers on their way from the page to the server: saved once each, whatever happens to browser, server and session in between."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import pytest
from browser_page import ARGUMENTS, CHROMIUM, all_saved, amounts, boxes_of, kept, past_instructions, wait_for_slice
from playwright.sync_api import Error, expect

BOX, OTHER = [20, 31, 40, 62], [50, 70, 80, 99]


def hurry(page, name):
    """Press a button that tries something again, unless the page has tried by itself meanwhile and the button is gone."""
    with contextlib.suppress(Error):
        page.get_by_role("button", name=name).click(timeout=1000)


def test_each_answer_is_saved_at_once_and_the_next_slice_comes(crowd, site):
    page = crowd.page()
    left, done = amounts(page)
    wait_for_slice(page).draw(BOX)
    page.get_by_role("button", name="Save, next").click()
    wait_for_slice(page)
    all_saved(page)
    assert boxes_of(page) == []
    page.get_by_role("button", name="Not on this slice").click()
    wait_for_slice(page)
    page.get_by_role("button", name="Not sure").click()
    wait_for_slice(page)
    all_saved(page)
    assert site.answers(page) == [("box", [BOX]), ("absent", []), ("unsure", [])]
    assert amounts(page) == (left - 3, done + 3)
    assert kept(page) == {"answers": 0, "drafts": 0}


def test_what_is_done_never_goes_back(crowd):
    """A slice that was asked for before an answer was saved, and comes after it, brings the numbers of before."""
    page = crowd.page()
    page.wait_for_load_state("networkidle")
    held = []
    page.route("**/next", lambda route: held.append(route))
    page.keyboard.press("a")
    wait_for_slice(page)
    page.keyboard.press("a")
    expect(page.locator(".left")).to_contain_text("2 done")
    _with(held[0], True, lambda told: {**told, "task": {**told["task"], "left": 7, "done": 0}})
    wait_for_slice(page)
    expect(page.locator(".left")).to_contain_text("2 done", timeout=1000)


def test_nothing_is_drawn_on_a_slice_that_is_answered_while_the_next_is_awaited(crowd, site):
    page = crowd.page()
    page.wait_for_load_state("networkidle")
    held = []
    page.route("**/next", lambda route: held.append(route))
    page.keyboard.press("a")
    picture = wait_for_slice(page)
    page.keyboard.press("a")
    expect(page.locator(".left")).to_contain_text("2 done")
    picture.draw(BOX)
    page.keyboard.press("n")
    page.keyboard.press("a")  # nor is it answered twice
    assert boxes_of(page) == []
    held[0].continue_()
    wait_for_slice(page).draw(OTHER)
    assert boxes_of(page) == [OTHER]
    assert kept(page) == {"answers": 0, "drafts": 1}
    assert site.answers(page) == [("absent", []), ("absent", [])]


def test_an_answer_with_boxes_needs_one(crowd, site):
    page = crowd.page()
    page.get_by_role("button", name="Save, next").click(force=True)  # it looks disabled, and says what it needs
    expect(page.locator(".notice")).to_contain_text("Draw a box first.")
    assert site.answers(page) == []


def test_several_parts_are_one_answer(crowd, site):
    page = crowd.page()
    picture = wait_for_slice(page)
    picture.draw(BOX)
    picture.draw(OTHER)
    page.keyboard.press("Enter")
    wait_for_slice(page)
    all_saved(page)
    assert site.answers(page) == [("box", [BOX, OTHER])]


def test_everything_goes_by_keyboard_alone(crowd, site):
    context = crowd.context()
    page = context.new_page()
    page.goto(site.join_link())
    for word in site.new_account(context):
        page.keyboard.type(word)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="What to do").wait_for()
    for _ in range(3):
        if page.evaluate("document.activeElement.textContent") == "Start":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait_for_slice(page)
    assert page.evaluate("document.activeElement.className") == "stage"
    page.keyboard.press("n")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowRight")
    boxes = boxes_of(page)
    for key in ("Enter", "a", "u"):
        page.keyboard.press(key)
        wait_for_slice(page)
    page.keyboard.press("p")
    wait_for_slice(page)
    page.keyboard.press("n")
    changed = boxes_of(page)
    page.keyboard.press("Enter")
    wait_for_slice(page)
    all_saved(page)
    assert site.answers(page) == [("box", boxes), ("absent", []), ("unsure", []), ("box", changed)]


def test_an_answer_is_looked_at_again_and_changed(crowd, site):
    page = crowd.page()
    wait_for_slice(page).draw(BOX)
    page.keyboard.press("Enter")
    wait_for_slice(page)
    page.keyboard.press("a")
    wait_for_slice(page)
    wait_for_slice(page).draw(OTHER)  # of the slice in hand; it waits
    all_saved(page)
    page.reload()  # what was answered before is asked of the server
    wait_for_slice(page)
    page.keyboard.press("p")
    expect(page.locator(".notice")).to_contain_text("You answered this slice: not on this slice.")
    expect(page.get_by_role("button", name="Not on this slice")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Previous").click()
    expect(page.locator(".notice")).to_contain_text("You answered this slice: 1 box.")
    wait_for_slice(page)
    assert boxes_of(page) == [BOX]
    page.get_by_role("button", name="Previous").click()
    expect(page.locator(".notice")).to_contain_text("There is no earlier answer.")
    page.get_by_role("button", name="Next").click()
    wait_for_slice(page)
    page.get_by_role("button", name="Not sure").click()  # instead of "absent"
    wait_for_slice(page)
    all_saved(page)
    assert boxes_of(page) == [OTHER]
    assert site.answers(page) == [("box", [BOX]), ("absent", []), ("unsure", [])]
    assert site.standing(page) == [("box", [BOX]), ("unsure", [])]


def test_boxes_and_half_a_box_are_there_after_a_reload(crowd):
    page = crowd.page()
    picture = wait_for_slice(page)
    picture.draw(BOX)
    picture.press(OTHER[0], OTHER[2], OTHER[1], OTHER[3])  # and not let go
    page.reload()
    wait_for_slice(page)
    assert boxes_of(page) == [BOX, OTHER]
    expect(page.locator(".notice")).to_contain_text("Not saved yet")


@pytest.mark.skipif(sys.platform != "linux", reason="finds the browser's process by a link that Chromium makes on Linux")
def test_a_browser_that_is_killed_in_the_middle_of_a_box_has_it_when_it_is_opened_again(crowd, site, chromium, tmp_path):
    """A profile on the disk; the browser's process is killed while the mouse button is down and while an answer cannot be sent."""
    options = {"executable_path": CHROMIUM, "args": ARGUMENTS, "viewport": {"width": 1200, "height": 800}}
    kind = chromium.browser_type
    context = kind.launch_persistent_context(tmp_path, **options)
    crowd.watch.over(context)
    person = site.sign_in(context)
    page = context.pages[0]
    page.goto(site.page_of(""))
    page.get_by_role("button", name="Start").click()
    picture = wait_for_slice(page)
    context.route("**/answer", lambda route: route.abort())
    picture.draw(OTHER)
    page.keyboard.press("Enter")
    wait_for_slice(page)
    expect(page.locator(".saving")).to_contain_text("Not saved: 1 answer.")
    picture.press(BOX[0], BOX[2], BOX[1], BOX[3])
    assert kept(page) == {"answers": 1, "drafts": 1}
    _kill_browser_of(tmp_path)
    with contextlib.suppress(Error):  # it may have been noticed already that it is gone
        context.close()
    assert site.answers(person) == []

    context = kind.launch_persistent_context(tmp_path, **options)
    crowd.watch.over(context)
    site.sign_in_as(context, person)
    page = context.pages[0]
    page.goto(site.page_of(""))
    past_instructions(page)
    all_saved(page)
    assert boxes_of(page) == [BOX]
    assert site.answers(person) == [("box", [OTHER])]
    page.keyboard.press("Enter")
    wait_for_slice(page)
    all_saved(page)
    context.close()
    assert site.answers(person) == [("box", [OTHER]), ("box", [BOX])]


def _kill_browser_of(profile) -> None:
    """Kill the process that holds a profile: Chromium notes it in a link's name, HOST-PID."""
    os.kill(int(str((profile / "SingletonLock").readlink()).rpartition("-")[2]), signal.SIGKILL)


def test_what_is_answered_while_the_server_is_away_is_saved_when_it_is_back(crowd, site):
    page = crowd.page()
    picture = wait_for_slice(page)
    page.wait_for_load_state("networkidle")  # the slice ahead is there
    site.stop()
    try:
        picture.draw(BOX)
        page.keyboard.press("Enter")
        wait_for_slice(page)
        expect(page.locator(".saving")).to_contain_text("Not saved: 1 answer.")
        expect(page.locator(".saving")).to_contain_text("It waits in this browser")
        page.keyboard.press("a")
        expect(page.get_by_role("heading", name="The slice cannot be loaded")).to_be_visible()
        expect(page.locator(".saving")).to_contain_text("Not saved: 2 answers.")
        assert site.answers(page) == []
    finally:
        site.start()
    hurry(page, "Try now")
    all_saved(page)
    hurry(page, "Try again")
    wait_for_slice(page)
    assert site.answers(page) == [("box", [BOX]), ("absent", [])]
    assert kept(page) == {"answers": 0, "drafts": 0}


def test_an_answer_whose_receipt_was_lost_is_sent_again_and_counts_once(crowd, site):
    page = crowd.page()
    sent = []

    def lose_the_receipt(route):
        sent.append(route.request.post_data_json["client_id"])
        if len(sent) == 1:
            route.fetch()  # the server has it
            route.abort()
        else:
            route.continue_()

    page.route("**/answer", lose_the_receipt)
    page.keyboard.press("a")
    expect(page.locator(".saving")).to_have_text("All saved")
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert site.answers(page) == [("absent", [])]


def test_an_answer_that_the_server_refuses_is_told_and_does_not_hold_up_the_next(crowd, site):
    page = crowd.page()
    page.route(
        "**/answer", lambda route: route.fulfill(status=422, json={"problem": "This is no box.", "remedy": "Draw it again."}), times=1
    )
    page.keyboard.press("a")
    expect(page.locator(".refused")).to_contain_text("The server did not take an answer: This is no box. Draw it again.")
    wait_for_slice(page)
    page.keyboard.press("u")
    wait_for_slice(page)
    page.get_by_role("button", name="Drop it").click()
    all_saved(page)
    assert site.answers(page) == [("unsure", [])]
    assert kept(page)["answers"] == 0


def test_two_people_at_once_do_not_see_each_other(crowd, site):
    pages = [crowd.page(), crowd.page()]
    for page, box in zip(pages, (BOX, OTHER), strict=True):
        wait_for_slice(page).draw(box)
    for page in pages:
        page.keyboard.press("Enter")
    for page in pages:
        wait_for_slice(page)
        all_saved(page)
        assert boxes_of(page) == []
        page.keyboard.press("p")
        expect(page.locator(".notice")).to_contain_text("You answered this slice: 1 box.")
        wait_for_slice(page)
    assert [boxes_of(page) for page in pages] == [[BOX], [OTHER]]
    assert [site.answers(page) for page in pages] == [[("box", [BOX])], [("box", [OTHER])]]


def test_an_expired_session_asks_to_sign_in_and_loses_no_box(crowd, site):
    page = crowd.page()
    picture = wait_for_slice(page)
    page.wait_for_load_state("networkidle")
    name, password = site.account_of(page)
    page.context.clear_cookies()
    picture.draw(BOX)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Please sign in again")
    dialog.wait_for()
    expect(page.locator(".saving")).to_contain_text("You are signed out.")
    assert dialog.get_by_label("Name").input_value() == name
    page.keyboard.press("Escape")  # does not get rid of it
    dialog.get_by_label("Password").fill("not the password")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    wait_for_slice(page)
    all_saved(page)
    assert site.answers(page) == [("box", [BOX])]


def test_another_person_who_signs_in_over_the_page_gets_their_own(crowd, site):
    page = crowd.page()
    picture = wait_for_slice(page)
    picture.draw(BOX)
    first, second = site.account_of(page), site.account("annotator")
    page.context.clear_cookies()
    page.keyboard.press(".")  # a neighbor has to be asked of the server
    dialog = page.get_by_role("dialog", name="Please sign in again")
    dialog.get_by_label("Name").fill(second[0])
    dialog.get_by_label("Password").fill(second[1])
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.get_by_role("button", name="Start").click()
    wait_for_slice(page)
    assert boxes_of(page) == []
    assert kept(page)["drafts"] == 1  # the first person's waits for them
    assert first != second


def test_a_tab_in_which_someone_else_signed_in_takes_nothing_along(crowd, site):
    page = crowd.page()
    picture = wait_for_slice(page)
    page.wait_for_load_state("networkidle")
    first = page.context.person
    site.sign_in(page.context)  # as in another tab of the same browser
    picture.draw(BOX)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.get_by_role("button", name="Start").click()
    wait_for_slice(page)
    assert boxes_of(page) == []
    assert site.answers(first) == site.answers(page) == []
    assert kept(page)["answers"] == 1  # the first person's, until they are back
    site.sign_in_as(page.context, first)
    page.reload()
    wait_for_slice(page)
    expect(page.locator(".saving")).to_have_text("All saved")
    assert site.answers(first) == [("box", [BOX])]


def test_signing_in_anew_elsewhere_goes_on_unseen(crowd, site):
    page = crowd.page()
    site.sign_in_as(page.context, page.context.person)
    page.keyboard.press("a")
    expect(page.locator(".saving")).to_have_text("All saved")
    assert site.answers(page) == [("absent", [])]


def test_a_fault_of_the_page_is_told(crowd):
    page = crowd.page()
    page.evaluate("() => { Promise.reject(new Error('a fault')); }")
    expect(page.get_by_role("alert")).to_contain_text("Something went wrong in this page (a fault)")
    assert [fault for fault in crowd.watch.faults if "a fault" not in fault] == []
    crowd.watch.faults.clear()


def test_signing_out_leaves_nothing_in_the_browser(crowd, site):
    page = crowd.page()
    wait_for_slice(page).draw(BOX)
    page.route("**/answer", lambda route: route.abort())
    page.keyboard.press("Enter")
    expect(page.locator(".saving")).to_contain_text("Not saved: 1 answer.")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Stay").click()
    assert kept(page)["answers"] == 1
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign out and lose them").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    assert kept(page) == {"answers": 0, "drafts": 0}
    assert page.evaluate("() => [...Object.keys(localStorage)].length") == 0


def test_the_end_is_told(crowd, site):
    page = crowd.page()
    left, _ = amounts(page)
    for _ in range(left):
        wait_for_slice(page)
        page.keyboard.press("a")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    all_saved(page)
    assert len(site.answers(page)) == left
    page.get_by_role("button", name="Look at my answers").click()
    wait_for_slice(page)
    expect(page.locator(".notice")).to_contain_text("You answered this slice: not on this slice.")


def test_a_server_that_lets_nobody_in_is_told_in_its_own_words(crowd, site):
    page = crowd.context().new_page()
    page.route("**/api/me", lambda route: route.fulfill(status=503, json={"problem": "The disk is full.", "remedy": "Call Ada."}))
    page.goto(site.address)
    expect(page.get_by_role("alert")).to_have_text("The disk is full. Call Ada.")


@pytest.mark.parametrize("kind", ["name", "project"])
def test_what_people_entered_is_shown_as_text(crowd, kind):
    page = crowd.page()
    evil = "<img src=x onerror=\"document.title='taken'\"><b>bold</b>"
    page.route("**/api/me", lambda route: _with(route, kind == "name", lambda told: {**told, "name": evil}))
    page.route(
        "**/api/projects/*",
        lambda route: _with(
            route,
            kind == "project",
            lambda told: {
                **told,
                "title": evil,
                "instructions": evil,
                "objects": [{**one, "name": evil, "sentence": evil} for one in told["objects"]],
            },
        ),
    )
    page.reload()
    if kind == "name":
        page.get_by_role("button", name="Start").click()
    wait_for_slice(page)
    assert page.title() != "taken"
    assert page.locator("#page b").count() == 0
    if kind == "project":
        assert page.locator("header .title").text_content() == evil


def _with(route, changed, change) -> None:
    told = route.fetch()
    route.fulfill(response=told, json=change(told.json()) if changed else told.json())
