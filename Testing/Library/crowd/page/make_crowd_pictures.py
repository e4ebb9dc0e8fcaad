"""The README's pictures of the crowd's page and report: the demo's project, masks by the real model. Imports playwright, PIL.

.venv/bin/python Testing/Library/crowd/page/make_crowd_pictures.py          writes Resources/Screenshots/crowd-*.png
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from browser_page import ARGUMENTS, CHROMIUM, PHONE, Slice, boxes_of, wait_for_slice
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from processes import started

from SAM2AnnotateLib.cli.crowd.demo_project import truth_of
from SAM2AnnotateLib.crowd.outcome import CONSENSUS_FOLDER
from SAM2AnnotateLib.crowd.project import CrowdProject, read_project
from SAM2AnnotateLib.crowd.records import DATABASE_FILE, CrowdRecords
from SAM2AnnotateLib.crowd.report.report import REPORT_FILE

FOLDER = Path(__file__).resolve().parents[4] / "Resources" / "Screenshots"
PROGRAM = [sys.executable, "-m", "SAM2AnnotateLib"]


class Demo:
    """The demo's server, and who can sign in there."""

    def __init__(self, browser: Browser, folder: Path, said: str):
        self._browser = browser
        self._address, self._password = (re.search(pattern, said)[1] for pattern in (r"at (http://\S+)", r"password (\S+)"))
        self._records = CrowdRecords.open(folder / DATABASE_FILE)
        self.project: CrowdProject = read_project(folder)
        self._truth = truth_of(self.project)

    def close(self) -> None:
        self._records.close()

    def page(self, role: str, view: str = "", **options) -> Page:
        """Signed in; at the first slice, if it is the view of slices."""
        page = self._browser.new_context(**{"viewport": {"width": 1080, "height": 700}, **options}).new_page()
        page.goto(f"{self._address}#view={view}")
        page.get_by_label("Name").fill(role)
        page.get_by_label("Password").fill(self._password)
        page.get_by_role("button", name="Sign in").click()
        if view in ("", "annotate"):
            page.get_by_role("button", name="Start").click()
        return page

    def report(self) -> Page:
        """What `crowd consensus` wrote, as a file."""
        page = self._browser.new_context(viewport={"width": 1100, "height": 820}).new_page()
        page.goto((self.project.folder / CONSENSUS_FOLDER / REPORT_FILE).as_uri())
        return page

    def boxes_on(self, page: Page) -> list[list[int]]:
        """The right boxes on the slice that a page shows."""
        csrf = page.context.request.get(f"{self._address}api/me").json()
        told = page.context.request.post(
            f"{self._address}api/projects/{csrf['projects'][0]['id']}/next", data={"have": []}, headers={"X-CSRF-Token": csrf["csrf"]}
        ).json()
        name = csrf["name"]
        person = next(one.person for one in self._records.members(self.project.key) if one.person.name == name)
        _, turn = self._records.turn(person, told["task"]["id"])
        return [[box.row_start, box.row_stop, box.col_start, box.col_stop] for box in self._truth.at(turn.task.position)]

    def after_practice(self, page: Page) -> Slice:
        """Answer until a real slice with the object comes."""
        while True:
            picture = wait_for_slice(page)
            boxes = self.boxes_on(page)
            practice = page.locator(".notice", has_text="Practice: ").is_visible()
            if boxes and not practice:
                return picture
            for box in boxes:
                picture.draw(box)
            page.keyboard.press("Enter" if boxes else "a")
            if practice:
                page.get_by_role("button", name="Next", exact=True).click()


def save(page: Page, name: str) -> None:
    """A screenshot of few colors, which is a small file."""
    page.wait_for_load_state("networkidle")
    picture = Image.open(io.BytesIO(page.screenshot(scale="css"))).convert("RGB")
    file = FOLDER / f"crowd-{name}.png"
    picture.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
    sys.stdout.write(f"{file}: {picture.width} x {picture.height}, {file.stat().st_size // 1024} KB\n")


def take(demo: Demo) -> None:
    """All five."""
    page = demo.report()
    save(page, "report")

    page = demo.page("annotator")
    picture = demo.after_practice(page)
    [box] = demo.boxes_on(page)
    picture.draw(box)
    page.get_by_text("Boxes as numbers (1)").click()
    save(page, "annotate")

    page = demo.page("annotator", **{**PHONE, "viewport": {"width": 360, "height": 720}})
    picture = demo.after_practice(page)
    picture.draw([box + change for box, change in zip(demo.boxes_on(page)[0], (2, -3, 1, 2), strict=True)])
    save(page, "phone")

    page = demo.page("reviewer", "review")
    wait_for_slice(page)
    while not any(box[1] - box[0] > 20 for box in boxes_of(page)):  # one that shows something
        page.get_by_role("button", name="Leave for later").click()
        page.wait_for_timeout(500)
        wait_for_slice(page)
    page.get_by_label("Show each person\u2019s boxes").check()
    save(page, "review")

    page = demo.page("owner", "status")
    page.get_by_role("table", name="People").wait_for()
    save(page, "status")


def main() -> int:
    """Start the demo, let the model make masks, take the pictures."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name) / "demo"
        command = [*PROGRAM, "crowd", "demo", "--no-browser", "--folder", str(folder)]
        with started(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            said = ""
            while "Ctrl+C ends it" not in said:
                said += process.stdout.readline() or sys.exit(f"The demo did not start: {said}")
            subprocess.run([*PROGRAM, "crowd", "consensus", str(folder)], check=True)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            demo = Demo(browser, folder, said)
            try:
                take(demo)
            finally:
                demo.close()
                browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
