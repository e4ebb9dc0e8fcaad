"""The page's tests have a real server in a process of its own, and a real browser."""

from __future__ import annotations

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

from browser_page import ARGUMENTS, CHROMIUM, people  # noqa: E402 - needs what may be missing
from crowd_site import CrowdSite  # noqa: E402

# On a machine with much else to do a page takes its time.
playwright.expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(chromium, tmp_path_factory):
    with CrowdSite.started(tmp_path_factory.mktemp("crowd")) as running:
        yield running


@pytest.fixture
def crowd(chromium, site):
    """People with browsers; nothing may have gone wrong in any of them."""
    with people(chromium, site) as group:
        yield group
