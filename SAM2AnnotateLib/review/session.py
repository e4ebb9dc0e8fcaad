"""ReviewSession: the state of one object under review. Is told results and decisions; says what to compute. Calls no engine.

An accepted or corrected slice is *locked*: its mask is final, no later result changes it. With the prompted ones, locked slices are what is
*known*: a correction makes the slices up to the next known ones stale, and nothing beyond (study A; barriers between locked slices are
ours). An accepted slice says nothing new, so accepting makes nothing stale.

An *old proposal* is what a slice was proposed as before any lock bore upon it. It is kept as long as the prompts that it follows from:
corrections are weighed against it, and it comes back when they are unlocked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

import numpy as np

from ..errors import PromptError
from ..geometry import Extent
from ..prompts import SlicePrompt
from ..prompts.mask_runs import mask_from_runs, mask_to_runs
from ..propagation.results import SliceResult
from ..propagation.stretches import plan_stretches
from .change_marks import MarksChanges
from .slice_texts import SliceTexts, ToldOnce
from .stored_session import require_session


class SliceStatus(Enum):
    """What is known about a slice."""

    EMPTY = "empty"  # nothing computed yet
    PROPOSED = "proposed"  # computed, not looked at
    STALE = "stale"  # computed before a correction or a new prompt; due to be computed again
    ACCEPTED = "accepted"  # taken as proposed; locked
    CORRECTED = "corrected"  # drawn by a person; locked


@dataclass(frozen=True)
class DueWork:
    """The arguments of `propagate` that follow from a session's state; of the old proposals, those that bear upon what is due."""

    prompts: dict[int, SlicePrompt]
    extent: Extent
    locked: frozenset[int]
    corrected: frozenset[int]
    changed: int | None
    due: frozenset[int]
    proposals: dict[int, SliceResult]


@dataclass(frozen=True)
class Snapshot:
    """The state of a session at one moment, see `ReviewSession.snapshot`."""

    extent: Extent
    prompts: dict[int, SlicePrompt]
    results: dict[int, SliceResult]
    final: dict[int, np.ndarray]
    status: dict[int, SliceStatus]
    proposals: dict[int, SliceResult] = field(default_factory=dict)


class ReviewSession(MarksChanges):
    """One object: its prompts, its extent, the mask and status of each slice.

    Args:
        prompts: by position; at least one, all within the extent.
        extent: positions of the first and last slice.
        frame_shape_rc: rows and columns of a slice.

    Raises:
        PromptError: if a prompt lies outside the extent or does not fit the slice.
    """

    def __init__(self, prompts: dict[int, SlicePrompt], extent: Extent, frame_shape_rc: tuple[int, int]):
        if not prompts:
            raise PromptError("An object needs a prompt on at least one slice.")
        for position, prompt in prompts.items():
            if position not in extent:
                raise PromptError(f"Slice {position} carries a prompt but lies outside the extent {extent.first}..{extent.last}.")
            prompt.require_inside(frame_shape_rc)
        self.extent, self.frame_shape_rc = extent, frame_shape_rc
        self._prompts = dict(prompts)
        self._results: dict[int, SliceResult] = {}
        self._proposals: dict[int, SliceResult] = {}  # the old ones
        self._final: dict[int, np.ndarray] = {}
        self._status: dict[int, SliceStatus] = {}
        # Counts what makes a running computation out of date: corrections, unlocked slices, undo, a changed extent or prompt.
        self.revision = 0
        self.version = 0  # counts every change; two equal versions of one session are the same state
        self._json: tuple[int, dict] | None = None
        self._told, self._texts = ToldOnce(), SliceTexts()

    # -- what is known ---------------------------------------------------------------------------------------------------------

    @property
    def locked(self) -> frozenset[int]:
        """Positions of accepted and corrected slices."""
        return frozenset(self._final)

    @property
    def results(self) -> dict[int, SliceResult]:
        """The latest result of each slice, by position; locked slices may have none."""
        return dict(self._results)

    def status(self, position: int) -> SliceStatus:
        """The status of a slice of the extent."""
        self._require_in_extent(position)
        return self._status.get(position, SliceStatus.EMPTY)

    def mask(self, position: int) -> np.ndarray | None:
        """(rows, cols) bool mask of a slice, read-only; None before anything is known."""
        self._require_in_extent(position)
        if position in self._final:
            return self._final[position]
        return self._results[position].mask if position in self._results else None

    # -- what happens ------------------------------------------------------------------------------------------------------------

    def add_result(self, result: SliceResult) -> bool:
        """Take a computed slice. Returns False, and changes nothing, if the slice has been locked meanwhile."""
        self._require_in_extent(result.position)
        if result.position in self._final:
            return False
        self._results[result.position] = result
        self._status[result.position] = SliceStatus.PROPOSED
        if result.position in self._prompts or not any(end in self._final for end in self._known_beside(result.position)):
            self._proposals[result.position] = result
        self.version += 1
        return True

    def amend_result(self, result: SliceResult) -> None:
        """Replace the result of a slice that has one and is not locked, and leave its status: it was cut anew, not computed anew."""
        if result.position in self._results and result.position not in self._final:
            if self._proposals.get(result.position) is self._results[result.position]:
                self._proposals[result.position] = result
            self._results[result.position] = result
            self.version += 1

    def outdate(self, positions: Iterable[int]) -> None:
        """Mark proposals stale, and forget the old ones, because something that they were made with does not hold any more."""
        for position in positions:
            self._proposals.pop(position, None)
            if self._status.get(position) is SliceStatus.PROPOSED:
                self._status[position] = SliceStatus.STALE
                self.version += 1

    def accept(self, position: int) -> None:
        """Lock a slice as it is. Raises PromptError if nothing is known of it."""
        mask = self.mask(position)
        if mask is None:
            raise PromptError(f"Slice {position} has no mask yet, so it cannot be accepted.")
        if position not in self._final:
            self._final[position] = mask
            self._status[position] = SliceStatus.ACCEPTED
            self.version += 1

    def correct(self, position: int, mask: np.ndarray) -> None:
        """Lock a slice with a person's mask (rows, cols); an empty one says that the object is not there."""
        self._require_in_extent(position)
        final = np.array(mask, dtype=bool)  # a copy, so that later drawing cannot change a locked slice
        SlicePrompt(mask=final).require_inside(self.frame_shape_rc)
        final.setflags(write=False)
        self._final[position] = final
        self._status[position] = SliceStatus.CORRECTED
        self._outdate_beside(position)

    def unlock(self, position: int) -> None:
        """Make a locked slice a proposal again, with the mask that was last computed for it, if any.

        What followed from a correction is stale then. An accepted slice said nothing new: without it, only what it kept apart from a
        correction is stale.
        """
        self._require_in_extent(position)
        if self._final.pop(position, None) is None:
            return
        was_drawn = self._status[position] is SliceStatus.CORRECTED
        self._status[position] = SliceStatus.PROPOSED if position in self._results else SliceStatus.EMPTY
        if was_drawn or any(self._status.get(end) is SliceStatus.CORRECTED for end in self._known_beside(position)):
            if position not in self._prompts and position in self._results:
                self._status[position] = SliceStatus.STALE
            self._outdate_beside(position)
        else:
            self._outdated()

    def set_extent(self, extent: Extent) -> None:
        """Move the object's ends. Masks of slices that fall outside are dropped.

        Raises:
            PromptError: if a prompted or locked slice would fall outside; unlock it first.
        """
        kept = {*self._prompts, *self._final}
        outside = sorted(position for position in kept if position not in extent)
        if outside:
            ends = f"{extent.first}..{extent.last}"
            raise PromptError(f"The extent {ends} would leave out slice {outside[0]}, which is prompted, accepted or corrected.")
        self.extent = extent
        self._results = {position: result for position, result in self._results.items() if position in extent}
        self._proposals = {position: result for position, result in self._proposals.items() if position in extent}
        self._status = {position: status for position, status in self._status.items() if position in extent}
        self._outdated()

    def set_prompt(self, position: int, prompt: SlicePrompt) -> None:
        """Prompt a slice, or prompt it anew.

        Raises:
            PromptError: if it lies outside the extent, does not fit the slice, or the slice is locked.
        """
        self._require_in_extent(position)
        prompt.require_inside(self.frame_shape_rc)
        if position in self._final:
            raise PromptError(f"Slice {position} is accepted or corrected. Unlock it before you prompt it anew.")
        self._prompts[position] = prompt
        self._outdate_for_prompt(position)

    def remove_prompt(self, position: int) -> None:
        """Take a prompt away; the slice is computed like any other then.

        Raises:
            PromptError: if it is the only one: an object needs a prompt.
        """
        self._require_in_extent(position)
        if position in self._prompts and len(self._prompts) == 1:
            raise PromptError(f"The prompt on slice {position} is the object's only one. Prompt another slice first.")
        if self._prompts.pop(position, None) is not None:
            self._outdate_for_prompt(position)

    def outdate_all(self) -> None:
        """Let all that is not locked be computed again, without what was proposed before: the model or what it sees is another one now."""
        self.outdate(self.extent.indices)
        self._outdated()

    @property
    def prompts(self) -> dict[int, SlicePrompt]:
        """The prompts by position, without the masks of locked slices."""
        return dict(self._prompts)

    # -- undo, and keeping it ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The whole state, for one step of undo. Cheap: masks are read-only and shared."""
        return Snapshot(self.extent, dict(self._prompts), dict(self._results), dict(self._final), dict(self._status), dict(self._proposals))

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a state that `snapshot` gave."""
        self.extent, self._prompts = snapshot.extent, dict(snapshot.prompts)
        self._results, self._final, self._status = dict(snapshot.results), dict(snapshot.final), dict(snapshot.status)
        self._proposals = dict(snapshot.proposals)
        self._outdated()

    def to_json(self) -> dict:
        """The whole state as plain JSON, masks as runs; `from_json` reads it back. Not to be changed: it is made once for each state."""
        if self._json is None or self._json[0] != self.version:
            self._json = (self.version, self._state())
        return self._json[1]

    def to_text(self) -> str:
        """`to_json` as JSON text; quick after a change of few slices."""
        return self._texts.text_of(self.to_json())

    def _state(self) -> dict:
        self._told.expect(len(self._results) + len(self._final))
        told = self._told.of
        return {
            "extent": [self.extent.first, self.extent.last],
            "frame_shape": list(self.frame_shape_rc),
            "prompts": {str(position): prompt.to_json() for position, prompt in self._prompts.items()},
            "results": {str(position): told(result, result.to_json) for position, result in self._results.items()},
            "final": {str(position): told(mask, partial(mask_to_runs, mask)) for position, mask in self._final.items()},
            "status": {str(position): status.value for position, status in self._status.items()},
            # Where nothing was corrected yet, a slice's old proposal is its latest result: those are named, not stored twice.
            "old": sorted(position for position, one in self._proposals.items() if one is self._results.get(position)),
            "proposals": {
                str(position): one.to_json() for position, one in self._proposals.items() if one is not self._results.get(position)
            },
        }

    @classmethod
    def from_json(cls, stored: dict) -> ReviewSession:
        """Read back what `to_json` wrote.

        Of a review that was stored before old proposals were kept, the latest results stand for them.

        Raises:
            PromptError: if it is damaged.
        """
        require_session(stored)
        try:
            rows, cols = stored["frame_shape"]
            prompts = {int(position): SlicePrompt.from_json(prompt) for position, prompt in stored["prompts"].items()}
            session = cls(prompts, Extent(*stored["extent"]), (rows, cols))
            session._results = {int(position): SliceResult.from_json(result) for position, result in stored["results"].items()}
            for position, runs in stored["final"].items():
                mask = mask_from_runs(runs)
                mask.setflags(write=False)
                session._final[int(position)] = mask
            session._status = {int(position): SliceStatus(value) for position, value in stored["status"].items()}
            session._proposals = {position: session._results[position] for position in stored.get("old", session._results)}
            for position, one in stored.get("proposals", {}).items():
                session._proposals[int(position)] = SliceResult.from_json(one)
            session.version += 1
        except (KeyError, TypeError, ValueError, OverflowError) as exc:
            raise PromptError(f"The stored review is damaged: {exc!r}.") from exc
        except MemoryError as exc:
            raise PromptError("The stored review needs more memory than this computer has. Close other programs.") from exc
        return session

    def state_of(self, positions: set[int]) -> dict:
        """The part of `to_json` that speaks of some positions, beside what speaks of none."""
        return self.only(positions)._state()

    # -- what to compute ----------------------------------------------------------------------------------------------------------

    def due_work(self, changed: int | None = None) -> DueWork:
        """What to give to `propagate`: all slices that are stale or not computed yet, or those beside `changed` alone.

        Raises:
            PromptError: if `changed` is not locked.
        """
        if changed is not None and changed not in self._final:
            raise PromptError(f"Slice {changed} is neither accepted nor corrected, so nothing follows from it.")
        prompts = {**self._prompts, **{position: SlicePrompt(mask=mask) for position, mask in self._final.items()}}
        due = {position for position in self.extent.indices if self.status(position) in (SliceStatus.EMPTY, SliceStatus.STALE)}
        if changed is not None:
            due &= {*self._stretch(changed, -1), *self._stretch(changed, 1)}
        drawn = frozenset(position for position in self._final if self._status[position] is SliceStatus.CORRECTED)
        stretches = [one for one in plan_stretches(self.extent, prompts) if due.intersection(one.positions)]
        bearing = {position for one in stretches for position in (*one.positions, *one.ends)}
        proposals = {position: self._proposals[position] for position in sorted(bearing) if position in self._proposals}
        return DueWork(prompts, self.extent, self.locked, drawn, changed, frozenset(due), proposals)

    def _outdated(self) -> None:
        self.revision += 1
        self.version += 1

    def _outdate_beside(self, position: int, forget: bool = False) -> None:
        """Mark proposals on both sides stale, up to the next known slice; `forget` the old ones there, too."""
        self._outdated()
        for beside in (*self._stretch(position, -1), *self._stretch(position, 1)):
            if self._status.get(beside) is SliceStatus.PROPOSED:
                self._status[beside] = SliceStatus.STALE
            if forget:
                self._proposals.pop(beside, None)

    def _outdate_for_prompt(self, position: int) -> None:
        """A prompt came, changed or went: what follows from it is proposed anew."""
        if self._status.get(position) is SliceStatus.PROPOSED:
            self._status[position] = SliceStatus.STALE
        if position not in self._final:
            self._proposals.pop(position, None)
        self._outdate_beside(position, forget=True)

    def _stretch(self, position: int, step: int) -> list[int]:
        """The slices from beside `position`, by `step` of 1 or -1, up to the next known one."""
        found = []
        beside = position + step
        while beside in self.extent and beside not in self._final and beside not in self._prompts:
            found.append(beside)
            beside += step
        return found

    def _known_beside(self, position: int) -> list[int]:
        """The next known slices on both sides."""
        ends = [position + step * (len(self._stretch(position, step)) + 1) for step in (-1, 1)]
        return [end for end in ends if end in self.extent]

    def _require_in_extent(self, position: int) -> None:
        if position not in self.extent:
            raise PromptError(f"Slice {position} lies outside the object's extent {self.extent.first}..{self.extent.last}.")
