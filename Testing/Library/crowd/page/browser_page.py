"""What a person does on the page, in a real Chromium. Imports playwright."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect

AXE = Path(__file__).resolve().parents[3] / "Data" / "axe-core" / "axe.min.js"
# Chromium as Debian and others name it; a sandbox needs what containers forbid.
CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]

# The policy's violations, as the page itself hears them, kept over reloads by the test.
_LISTEN = (
    "addEventListener('securitypolicyviolation', (event) => console.error('POLICY ' + event.violatedDirective + ' ' + event.blockedURI));"
)
PHONE = {"viewport": {"width": 360, "height": 640}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


@dataclass
class Watch:
    """What went wrong in a browser: errors of scripts, violations of the content security policy, requests to elsewhere."""

    address: str
    faults: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Watch all pages of a context."""
        context.add_init_script(_LISTEN)
        context.on("request", self._request)
        context.on("page", self._page)

    def _page(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.faults.append(f"error in {page.url}: {error}"))
        page.on("console", lambda message: self._console(message.type, message.text, message.location["url"]))

    def _console(self, kind: str, text: str, url: str) -> None:
        # What the server refused is told on the page, and Chromium notes it too. No server is asked for a blob: that is the page's own.
        refused = text.startswith("Failed to load resource") and not url.startswith("blob:")
        if kind in ("error", "warning") and not refused:
            self.faults.append(f"{kind}: {text} {url}")

    def _request(self, request) -> None:
        if not request.url.startswith((self.address + "/", f"blob:{self.address}/", "data:")):
            self.faults.append(f"request to elsewhere: {request.url}")


@dataclass(frozen=True)
class Slice:
    """Where the picture lies on the screen, by the picture's own element: not by the code that is tested."""

    page: Page

    @property
    def frame(self) -> tuple[float, float, float, float, int, int]:
        """Left, top, width, height in CSS pixels; rows, columns of the picture."""
        return tuple(
            self.page.evaluate(
                "() => { const img = document.querySelector('img.slice'), at = img.getBoundingClientRect();"
                "return [at.left, at.top, at.width, at.height, img.naturalHeight, img.naturalWidth]; }"
            )
        )

    @property
    def shape_rc(self) -> tuple[int, int]:
        return self.frame[4:]

    def at(self, row: float, column: float) -> tuple[float, float]:
        """The place on the screen of a place in the picture, whose edges between pixels are whole numbers."""
        left, top, width, height, rows, columns = self.frame
        return left + column * width / columns, top + row * height / rows

    def press(self, row: float, column: float, to_row: float, to_column: float, off_px: float = 0.0) -> None:
        """Press the mouse and move it, without letting go; `off_px` misses both places by so much."""
        start, stop = self.at(row, column), self.at(to_row, to_column)
        self.page.mouse.move(start[0] + off_px, start[1] - off_px)
        self.page.mouse.down()
        self.page.mouse.move((start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2)
        self.page.mouse.move(stop[0] - off_px, stop[1] + off_px)

    def drag(self, row: float, column: float, to_row: float, to_column: float, off_px: float = 0.0) -> None:
        self.press(row, column, to_row, to_column, off_px)
        self.page.mouse.up()

    def draw(self, box: list[int], off_px: float = 0.0) -> None:
        """Draw a box [r0, r1, c0, c1] from corner to corner."""
        self.drag(box[0], box[2], box[1], box[3], off_px)


def boxes_of(page: Page) -> list[list[int]]:
    """The boxes as the page tells them in numbers."""
    rows = page.evaluate(
        "() => [...document.querySelectorAll('.numbers fieldset')].map((row) => [...row.querySelectorAll('input')].map((one) => one.value))"
    )
    return [[int(value) for value in row] for row in rows]


def spoken(page: Page) -> str:
    """What a screen reader was told last."""
    return page.locator("#spoken").text_content().strip()


def wait_for_slice(page: Page) -> Slice:
    """The picture, once it is there."""
    page.wait_for_function(
        "() => { const stage = document.querySelector('.stage');"
        " return stage && stage.checkVisibility() && !stage.hasAttribute('aria-busy')"
        " && stage.querySelector('img').complete && stage.querySelector('img').naturalWidth > 0"
        " && !document.querySelector('.answers button').disabled; }"
    )
    return Slice(page)


def past_instructions(page: Page) -> Slice:
    """Close the instructions if they are shown, which a browser that was killed may have forgotten; the picture, once it is there."""
    page.wait_for_function("() => document.querySelector('dialog[open]') || document.querySelector('.stage[aria-label]')")
    if page.locator("dialog[open]").count():
        page.get_by_role("button", name="Start").click()
    return wait_for_slice(page)


def all_saved(page: Page) -> None:
    """Wait until the page says that everything is saved."""
    expect(page.locator(".saving")).to_have_attribute("data-kind", "saved")


def amounts(page: Page) -> tuple[int, int]:
    """(left, done), as the page tells them."""
    found = re.search(r"(\d+) slices? left, (\d+) done", page.locator(".left").text_content())
    return int(found[1]), int(found[2])


def violations(page: Page) -> list[str]:
    """What axe-core finds against the page as it is shown, contrast among it; empty if nothing."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations', 'incomplete'] })")
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found["violations"] for node in rule["nodes"]]


def kept(page: Page) -> dict:
    """What the browser keeps for later: number of answers and of drafts."""
    return page.evaluate(
        """() => new Promise((resolve) => {
            const request = indexedDB.open("sam2annotate-crowd");
            request.onsuccess = () => {
                const names = ["answers", "drafts"];
                const opened = request.result.transaction(names);
                Promise.all(names.map((name) => new Promise((done) => {
                    const asked = opened.objectStore(name).getAll();
                    asked.onsuccess = () => done([name, asked.result.length]);
                }))).then((counts) => { request.result.close(); resolve(Object.fromEntries(counts)); });
            };
        })"""
    )


@dataclass
class People:
    """Browsers of different people, each their own, all watched."""

    browser: Browser
    site: object
    watch: Watch
    contexts: list[BrowserContext] = field(default_factory=list)

    def context(self, **options) -> BrowserContext:
        """A new browser window of someone who is not signed in."""
        context = self.browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
        context.set_default_timeout(30_000)
        self.watch.over(context)
        self.contexts.append(context)
        return context

    def page(self, role: str = "annotator", view: str = "", practice: bool = False, **options) -> Page:
        """A page on which a new person of that role is signed in and has read the instructions."""
        context = self.context(**options)
        self.site.sign_in(context, role, practice)
        page = context.new_page()
        page.goto(self.site.page_of(view))
        if view in ("", "annotate"):
            page.get_by_role("button", name="Start").click()
            wait_for_slice(page)
        return page


@contextlib.contextmanager
def people(browser: Browser, site) -> Iterator[People]:
    """People with browsers; fails afterwards if anything went wrong in any of them that no test looked for."""
    watch = Watch(site.address)
    group = People(browser, site, watch)
    try:
        yield group
    finally:
        for context in group.contexts:
            context.close()
    assert not watch.faults, json.dumps(watch.faults, indent=1)
