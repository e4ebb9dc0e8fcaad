"""Folding: which sections of the panel are open. They follow the work; the user has the last word. Imports PanelState; no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..Words import shortened
from .PanelState import PanelState

_TITLE_LETTERS = 42  # a title is no wider than the panel

IMAGE, BOX, PROPAGATE, REVIEW, SAVE, SETTINGS = "image", "box", "propagate", "review", "save", "settings"


def openSections(state: PanelState) -> frozenset[str]:
    """What is to be open: what comes next, and nothing that is done."""
    if state.correcting:
        return frozenset({REVIEW})
    return _ofWork(state) | ({SETTINGS} if state.windowDiffers else frozenset())  # 'Show what is fed' is there


def _ofWork(state: PanelState) -> frozenset[str]:
    if not state.hasObject:
        return frozenset({IMAGE, BOX, PROPAGATE, REVIEW})  # the way, at one glance
    if state.running:
        return frozenset({PROPAGATE, REVIEW})
    if state.lockedCount == 0 and state.open <= 1:  # marked, and previewed at most
        return frozenset({BOX, PROPAGATE})
    if state.due and not state.open:
        return frozenset({PROPAGATE, REVIEW})
    return frozenset({REVIEW}) if state.open else frozenset({REVIEW, SAVE})


class Folding:
    """Opens and closes sections.

    Args:
        sections: ctkCollapsibleButtons by name.
    """

    def __init__(self, sections: Mapping[str, object]):
        self._sections = dict(sections)
        self._titles = {name: section.text for name, section in self._sections.items()}
        self._summaries: dict[str, str] = {}
        self._wanted: frozenset[str] | None = None
        self._chosen: set[str] = set()  # sections that the user set against us; they stay as they are
        self._moving = False
        for name, section in self._sections.items():
            section.connect("contentsCollapsed(bool)", self._listener(name))

    def follow(self, wanted: frozenset[str]) -> None:
        """Open these sections and close the others, except where the user decided otherwise."""
        if wanted == self._wanted:
            return
        self._wanted = wanted
        self._moving = True
        for name, section in self._sections.items():
            if name not in self._chosen and section.collapsed == (name in wanted):
                section.collapsed = name not in wanted
        self._moving = False
        self._showTitles()

    def tell(self, summaries: Mapping[str, str]) -> None:
        """Say in the titles of closed sections what is in them."""
        self._summaries = dict(summaries)
        self._showTitles()

    def _showTitles(self) -> None:
        for name, section in self._sections.items():
            summary = self._summaries.get(name, "") if section.collapsed else ""
            title = f"{self._titles[name]}: {summary}" if summary else self._titles[name]
            shown = shortened(title, _TITLE_LETTERS).replace("&", "&&")
            if section.text != shown:
                section.text = shown
                section.toolTip = title

    def _listener(self, name: str) -> Callable[[bool], None]:
        def listen(collapsed: bool) -> None:
            if not self._moving:
                agrees = self._wanted is None or (name in self._wanted) != bool(collapsed)
                (self._chosen.discard if agrees else self._chosen.add)(name)
                self._showTitles()

        return listen
