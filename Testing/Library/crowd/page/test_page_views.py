"""All views of the page: practice, the reviewer's queue, the owner's status and invitations; each checked by axe-core, contrast too."""

from __future__ import annotations

import pytest
from browser_page import all_saved, boxes_of, kept, spoken, violations, wait_for_slice
from playwright.sync_api import expect

BOX = [20, 31, 40, 62]


def test_who_is_not_signed_in_sees_a_form_without_barriers(crowd, site):
    page = crowd.context().new_page()
    page.goto(site.address)
    page.get_by_role("button", name="Sign in").wait_for()
    assert violations(page) == []
    page.get_by_label("Name").fill("nobody")
    page.get_by_label("Password").fill("not the password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page) == []


def test_signing_in_leads_to_the_view_that_was_asked_for(crowd, site):
    name, password = site.account("reviewer")
    page = crowd.context().new_page()
    page.goto(site.page_of("review"))
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Review")).to_have_attribute("aria-current", "page")


def test_annotating_has_no_barriers_whatever_is_open(crowd):
    page = crowd.page()
    assert violations(page) == []
    wait_for_slice(page).draw(BOX)
    page.get_by_text("Boxes as numbers (1)").click()
    page.get_by_label("Top of box 1").fill("99")
    page.keyboard.press("Tab")
    assert violations(page) == []
    page.locator(".stage").focus()
    page.keyboard.press(".")
    expect(page.locator("p.banner")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Keys").click()
    page.get_by_role("heading", name="Keys").wait_for()
    assert violations(page) == []
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="What to do").click()
    page.get_by_role("heading", name="What to do").wait_for()
    assert violations(page) == []
    page.get_by_role("button", name="Start").click()
    page.route("**/answer", lambda route: route.abort())
    page.get_by_role("button", name="Back to yours").click()
    page.keyboard.press("Enter")
    expect(page.locator(".saving")).to_contain_text("Not saved: 1 answer.")
    wait_for_slice(page)
    page.keyboard.press("p")
    wait_for_slice(page)
    expect(page.locator(".notice")).to_be_visible()
    assert violations(page) == []
    page.context.clear_cookies()
    page.keyboard.press(",")
    page.get_by_role("dialog", name="Please sign in again").wait_for()
    assert violations(page) == []


def test_practice_says_how_it_went_and_goes_on(crowd, site):
    page = crowd.page(practice=True)
    expect(page.locator(".notice")).to_have_text("Practice: you are told how it went.")
    known = site.known_boxes(page)
    picture = wait_for_slice(page)
    wrong = [0, 3, 0, 3]
    picture.draw(wrong)
    page.keyboard.press("Enter")
    next_button = page.get_by_role("button", name="Next", exact=True)
    next_button.wait_for()
    expect(page.locator(".feedback")).to_have_class("feedback wrong")
    expect(page.locator(".marks .known")).to_have_count(len(known))
    assert page.evaluate("document.activeElement.textContent") == "Next"
    assert "known answer" in spoken(page)
    assert violations(page) == []
    page.keyboard.press("n")
    assert boxes_of(page) == [wrong]  # it is answered; nothing is drawn any more
    next_button.click()
    picture = wait_for_slice(page)
    for box in site.known_boxes(page):
        picture.draw(box)
    page.keyboard.press("Enter" if boxes_of(page) else "a")
    expect(page.locator(".feedback")).to_have_class("feedback right")
    assert violations(page) == []
    next_button.click()
    wait_for_slice(page)
    page.get_by_role("button", name="Not sure").click()
    next_button.click()
    expect(page.locator(".notice")).to_have_text("Practice is over. From now on your answers count.")


def test_who_had_too_little_right_practices_again(crowd, site):
    page = crowd.page(practice=True)
    next_button = page.get_by_role("button", name="Next", exact=True)
    for notice in [*3 * ["Practice: you are told how it went."], "Practice again: too few of your answers were right."]:
        wait_for_slice(page)
        expect(page.locator(".notice")).to_have_text(notice)
        page.get_by_role("button", name="Not sure").click()
        expect(page.locator(".feedback")).to_have_class("feedback wrong")
        next_button.click()
    picture = wait_for_slice(page)
    expect(page.locator(".notice")).to_have_text("Practice again: too few of your answers were right.")
    assert boxes_of(page) == []
    for box in site.known_boxes(page):
        picture.draw(box)
    page.keyboard.press("Enter" if boxes_of(page) else "a")
    expect(page.locator(".feedback")).to_have_class("feedback right")
    next_button.click()
    expect(page.locator(".notice")).to_have_text("Practice is over. From now on your answers count.")


def test_a_reviewer_accepts_changes_and_takes_away(crowd, site):
    proposals = site.fill_review_queue()
    page = crowd.page("reviewer", "review")
    picture = wait_for_slice(page)
    expect(page.locator(".doubt")).to_contain_text("Doubt: ")
    assert page.locator(".reasons li").count() >= 1
    assert violations(page) == []
    assert boxes_of(page) == proposals[0]
    page.get_by_role("button", name="Accept").click()
    picture = wait_for_slice_with(page, proposals[1])
    picture.draw([1, 6, 1, 6])
    expect(page.locator(".saving")).to_have_text("All saved")
    page.route("**/decision", lambda route: route.abort())
    page.get_by_role("button", name="Save my boxes").click()
    picture = wait_for_slice_with(page, proposals[2])
    page.on("dialog", lambda dialog: dialog.accept())  # the browser asks whether to leave, as something is not saved
    page.reload()  # the queue is asked for anew: what was decided and is not saved yet is not asked again
    wait_for_slice_with(page, proposals[2])
    expect(page.locator(".saving")).to_contain_text("Not saved: 1 answer.")
    page.unroute("**/decision")
    page.get_by_role("button", name="Leave for later").click()
    wait_for_slice_with(page, proposals[3])
    page.get_by_role("button", name="Not on this slice").click()
    expect(page.get_by_role("heading", name="That is all, but for what you left")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Show what I left").click()
    picture = wait_for_slice_with(page, proposals[2])
    picture.draw([60, 70, 20, 34])
    page.reload()
    wait_for_slice(page)
    assert boxes_of(page) == [*proposals[2], [60, 70, 20, 34]]
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nothing to review")).to_be_visible()
    all_saved(page)
    assert kept(page) == {"answers": 0, "drafts": 0}
    assert site.decisions() == [
        ("box", proposals[0]),
        ("box", [*proposals[1], [1, 6, 1, 6]]),
        ("absent", []),
        ("box", [*proposals[2], [60, 70, 20, 34]]),
    ]


def test_a_reviewer_accepts_that_it_is_not_on_the_slice_or_draws_it(crowd, site):
    drawn, kept_box, wrong = [20, 31, 40, 62], [50, 70, 80, 99], [5, 9, 5, 9]
    site.propose(site.practice, [[], [], [], [kept_box], [wrong]])
    page = crowd.page("reviewer", "review", practice=True)
    wait_for_slice_with(page, [])
    accept = page.locator(".answers button.main")
    expect(page.get_by_text("Proposed: not on this slice.")).to_be_visible()
    expect(accept).to_have_text("Accept: not on this slice")
    expect(accept).to_have_attribute("aria-disabled", "false")
    assert violations(page) == []
    accept.click()
    expect(page.locator(".left")).to_have_text("4 slices to review")

    wait_for_slice_with(page, []).draw(drawn)
    expect(accept).to_have_text("Save my boxes")
    page.keyboard.press("Delete")
    expect(accept).to_have_text("Accept: not on this slice")
    page.keyboard.press("z")
    accept.click()
    expect(page.locator(".left")).to_have_text("3 slices to review")

    wait_for_slice_with(page, [])
    page.keyboard.press("Enter")
    wait_for_slice_with(page, [kept_box])
    expect(accept).to_have_text("Accept")
    page.keyboard.press("Enter")
    wait_for_slice_with(page, [wrong])
    page.keyboard.press("Delete")  # boxes were proposed: to take them away is no answer yet
    expect(accept).to_have_attribute("aria-disabled", "true")
    accept.click(force=True)
    expect(page.locator(".notice")).to_contain_text("There is no box.")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Not on this slice", exact=True).click()
    expect(page.get_by_role("heading", name="Nothing to review")).to_be_visible()
    all_saved(page)
    assert site.decisions(site.practice) == [("absent", []), ("box", [drawn]), ("absent", []), ("box", [kept_box]), ("absent", [])]


def test_a_reviewer_looks_at_each_person_s_boxes(crowd, site):
    drawn, proposal, next_proposal = [[22, 41, 30, 61], [50, 60, 10, 20]], [[21, 40, 30, 60]], [[5, 9, 5, 9]]
    people = site.let_all_say([("box", [[20, 40, 30, 60]]), ("box", drawn), ("absent", []), ("unsure", [])], number=5)
    site.propose(site.plain, [proposal, next_proposal], skipped=5)
    page = crowd.page("reviewer", "review")
    picture = wait_for_slice_with(page, proposal)
    said = page.locator(".said li").all_text_contents()  # people of other tests may be among them
    words = ("1 box", "2 boxes", "not on this slice", "not sure")
    assert {f"{who}: {what}" for who, what in zip(people, words, strict=True)} <= set(said) and said == sorted(said)
    boxes = [number for number, line in enumerate(said, start=1) for _ in range(int(line.split()[1]) if "box" in line else 0)]
    assert len(boxes) >= 3
    shown, numbers = page.locator(".marks .person .line"), page.locator(".marks .person text")
    expect(shown).to_have_count(0)  # at first one looks for oneself
    assert violations(page) == []
    page.get_by_label("Show each person\u2019s boxes").check()
    expect(shown).to_have_count(len(boxes))
    assert numbers.all_text_contents() == [str(number) for number in boxes]
    assert violations(page) == []
    places = [tuple(one.get_attribute(side) for side in ("x", "y", "width", "height")) for one in shown.all()]
    left, top, *_ = page.locator(".marks").bounding_box().values()
    for box in drawn:
        (x, y), (right, bottom) = picture.at(box[0], box[2]), picture.at(box[1], box[3])
        wanted = (x - left, y - top, right - x, bottom - y)
        assert any(max(abs(float(a) - b) for a, b in zip(place, wanted, strict=True)) < 0.5 for place in places), (places, wanted)
    page.locator(".stage").focus()
    page.keyboard.press(".")
    expect(page.locator("p.banner")).to_be_visible()
    expect(shown).to_have_count(0)  # they are not boxes of that slice
    page.keyboard.press(",")
    expect(shown).to_have_count(len(boxes))
    assert boxes_of(page) == proposal
    page.get_by_role("button", name="Leave for later").click()
    wait_for_slice_with(page, next_proposal)
    there = page.locator(".said li").all_text_contents()
    expect(shown).to_have_count(sum(int(line.split()[1]) for line in there if "box" in line))


def test_nothing_is_decided_for_a_slice_that_is_not_shown_yet(crowd, site):
    before, first, second = len(site.decisions(site.practice)), [[20, 40, 30, 60]], [[50, 70, 80, 99]]
    site.propose(site.practice, [first, second], skipped=5)
    page = crowd.context().new_page()
    site.sign_in(page.context, "reviewer", practice=True)
    pictures = []  # only the first of them comes at once
    page.route("**/image", lambda route: pictures.append(route) or (len(pictures) == 1 and route.continue_()))
    page.goto(site.page_of("review"))
    wait_for_slice_with(page, first)
    page.keyboard.press("Enter")
    expect(page.locator(".left")).to_have_text("1 slice to review")
    page.keyboard.press("Enter")
    page.keyboard.press("a")
    page.locator(".answers button.main").click(force=True)
    for route in pictures[1:]:
        route.continue_()
    wait_for_slice_with(page, second)
    page.get_by_role("button", name="Not on this slice", exact=True).click()
    expect(page.get_by_role("heading", name="Nothing to review")).to_be_visible()
    all_saved(page)
    assert site.decisions(site.practice)[before:] == [("box", first), ("absent", [])]


def wait_for_slice_with(page, boxes):
    """The next slice of the queue, known by its proposal."""
    expect(page.locator(".numbers fieldset")).to_have_count(len(boxes))
    picture = wait_for_slice(page)
    page.wait_for_function(f"() => String([...document.querySelectorAll('.numbers input')].map((one) => one.value)) === '{_flat(boxes)}'")
    return picture


def _flat(boxes):
    return ",".join(str(edge) for box in boxes for edge in box)


def test_the_owner_sees_how_far_it_is_and_invites(crowd, site):
    page = crowd.page("owner", "status")
    expect(page.get_by_role("table", name="Volumes")).to_be_visible()
    expect(page.get_by_role("table", name="People")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("Role").select_option("annotator")
    page.get_by_label("Valid for days").fill("3")
    page.get_by_label("Note for yourself").fill("the student")
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("Invitation link").input_value()
    assert violations(page) == []

    guest = crowd.context().new_page()
    guest.goto(link)
    assert violations(guest) == []
    name, password = site.new_account(guest.context)
    guest.get_by_label("Name").fill(name)
    guest.get_by_label("Password").fill(password)
    guest.get_by_role("button", name="Join").click()
    guest.get_by_role("button", name="Start").click()
    wait_for_slice(guest)
    assert "invite" not in guest.url
    guest.keyboard.press("a")
    wait_for_slice(guest)
    all_saved(guest)
    assert site.answers(guest)[-1] == ("absent", [])

    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("cell", name=name)).to_be_visible()
    expect(page.get_by_role("row", name="the student")).to_contain_text("used up")


def test_the_owner_revokes_an_invitation(crowd, site):
    page = crowd.page("owner", "status")
    page.get_by_label("Note for yourself").fill("sent to the wrong ward")
    page.get_by_role("button", name="Make a link").click()
    invitation = page.get_by_role("row", name="sent to the wrong ward")
    expect(invitation).to_be_visible()
    link = page.get_by_label("Invitation link").input_value()
    assert violations(page) == []
    invitation.get_by_role("button", name="Revoke invitation").click()
    assert violations(page) == []
    page.get_by_role("button", name="Keep it").click()
    invitation.get_by_role("button", name="Revoke invitation").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(invitation).to_contain_text("revoked ")
    expect(invitation.get_by_role("button")).to_have_count(0)
    assert page.evaluate("document.activeElement.textContent") == "Status" and "is revoked" in spoken(page)
    assert violations(page) == []

    guest = crowd.context().new_page()
    guest.goto(link)
    guest.get_by_label("Name").fill("Guest")
    guest.get_by_label("Password").fill("three words together")
    guest.get_by_role("button", name="Join").click()
    expect(guest.get_by_role("alert")).to_contain_text("This invite is not valid")


@pytest.mark.parametrize(
    ("role", "views"), [("annotator", []), ("reviewer", ["Annotate", "Review"]), ("owner", ["Annotate", "Review", "Status"])]
)
def test_each_role_has_its_views(crowd, role, views):
    page = crowd.page(role)
    assert page.get_by_role("navigation").get_by_role("link").all_text_contents() == views


def test_with_several_projects_one_chooses(crowd):
    page = crowd.page()

    def two(route):
        told = route.fetch()
        me = told.json()
        route.fulfill(response=told, json={**me, "projects": [*me["projects"], {**me["projects"][0], "id": "other", "title": "Another"}]})

    page.route("**/api/me", two)
    page.reload()
    expect(page.get_by_role("heading", name="Your projects")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("listitem").get_by_role("link").first.click()
    wait_for_slice(page)
    page.get_by_role("link", name="Projects").click()
    expect(page.get_by_role("heading", name="Your projects")).to_be_visible()


@pytest.mark.parametrize("late", ["neighbor", "slice"])
def test_a_picture_that_comes_after_its_view_is_gone_is_no_error(crowd, late):
    page = crowd.page("reviewer")
    held = []
    page.route("**/image*", lambda route: held.append(route))
    with page.expect_request("**/image*"):
        page.keyboard.press(".") if late == "neighbor" else page.reload()
    page.get_by_role("link", name="Review").click()
    expect(page.get_by_role("link", name="Review")).to_have_attribute("aria-current", "page")
    for route in held:
        route.continue_()
    page.unroute("**/image*")
    page.wait_for_timeout(500)  # for what the page does with it; what goes wrong is found at the end
    page.get_by_role("link", name="Annotate").click()
    wait_for_slice(page)


def test_nothing_moves_by_itself(crowd, site):
    page = crowd.context().new_page()
    page.goto(site.address)
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.evaluate("() => [...document.styleSheets[0].cssRules].every((rule) => !/transition|animation/.test(rule.cssText))")
