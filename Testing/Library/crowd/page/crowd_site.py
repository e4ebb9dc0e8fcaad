"""A real server of a crowd in a process of its own, its people, and what its records hold. Imports crowd's records and project."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from processes import started

from SAM2AnnotateLib.crowd.answers import Task
from SAM2AnnotateLib.crowd.assignment import next_task
from SAM2AnnotateLib.crowd.project import CrowdProject, read_project
from SAM2AnnotateLib.crowd.records import CrowdRecords, Doubtful, Passwords, Person
from SAM2AnnotateLib.crowd.records.columns import utc_now
from SAM2AnnotateLib.geometry import Box2D

SAMPLE = Path(__file__).resolve().parents[4] / "SAM2AnnotateLib" / "sample_data" / "ct_sarcoma_003"
PASSWORD = "a long enough secret"

# Seven slices: enough for every test, few enough to come to an end. The tumor is on none of the first of them.
_PROJECT = """\
key: {key}
title: {title}
instructions: |
  Find the tumor in the thigh.

  Take your time.
axis: axial
window: [-160, 240]
slices: {{first: 10, last: 34, every: 4}}
people_per_slice: 100
gold_share: 0
training_count: {training}
training_pass: 0.3
objects:
  - key: sarcoma
    name: Sarcoma
    sentence: A roundish gray mass in the muscle of the thigh.
    examples: [example.png]
    label: 1
volumes:
  - key: thigh
    image: {image}
{gold}"""
_GOLD = """\
    gold: {label}
    gold_slices: {{first: 16, last: 32, every: 4}}
"""


def _write_project(folder: Path, key: str, title: str, training: int) -> CrowdProject:
    from PIL import Image

    folder.mkdir()
    Image.new("L", (64, 48), 90).save(folder / "example.png")
    gold = _GOLD.format(label=SAMPLE / "label.nii.gz") if training else ""
    text = _PROJECT.format(key=key, title=title, training=training, image=SAMPLE / "image.nii.gz", gold=gold)
    (folder / "project.yaml").write_text(text, encoding="utf-8")
    return read_project(folder)


class CrowdSite:
    """Two projects, one with a training round, behind one server.

    Args:
        folder: empty, for projects and database.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._database = folder / "crowd.sqlite"
        # Each password takes milliseconds instead of a tenth of a second.
        self.records = CrowdRecords.open(self._database, passwords=Passwords(memory_kib=64, time_cost=1))
        self.plain = _write_project(folder / "plain", "plain", "Tumors of the thigh", 0)
        self.practice = _write_project(folder / "practice", "practice", "Tumors, with practice", 3)
        self.ids = {project.key: self.records.add_project(project) for project in (self.plain, self.practice)}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        self._names = itertools.count(1)
        self._people: dict[str, Person] = {}
        self._process = contextlib.ExitStack()

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path) -> Iterator[CrowdSite]:
        """A site whose server runs until the end of the block."""
        site = cls(folder)
        with contextlib.closing(site.records), contextlib.ExitStack() as running:
            running.callback(site.stop)
            site.start()
            yield site

    def start(self) -> None:
        """Start the server, with the records as they are."""
        command = [sys.executable, "-m", "SAM2AnnotateLib", "crowd", "serve", str(self._folder / "plain"), str(self._folder / "practice")]
        command += ["--database", str(self._database), "--port", str(self._port)]
        log = self._process.enter_context((self._folder / "server.log").open("ab"))
        process = self._process.enter_context(
            started(command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        )
        until = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.address}/health"):
                return
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError((self._folder / "server.log").read_text(encoding="utf-8", errors="replace"))
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill the server."""
        self._process.close()

    # People

    def account(self, role: str, practice: bool = False) -> tuple[str, str]:
        """A new person's name and password."""
        name = f"{role} {next(self._names)}"
        project = self.practice if practice else self.plain
        self._people[name] = self.records.add_member(project.key, name, role, PASSWORD)
        return name, PASSWORD

    def new_account(self, context) -> tuple[str, str]:
        """Name and password for somebody who will join in this browser."""
        context.person = f"newcomer {next(self._names)}"
        return context.person, PASSWORD

    def join_link(self) -> str:
        """An invitation as an owner would send it."""
        return f"{self.address}/#invite={self.records.make_invite(self.plain.key)}"

    def sign_in(self, context, role: str = "annotator", practice: bool = False) -> str:
        """Make a new person and sign them in in this browser; returns their name."""
        return self.sign_in_as(context, self.account(role, practice)[0])

    def sign_in_as(self, context, name: str) -> str:
        """Sign a known person in."""
        context.person = name
        context.add_cookies([{"name": "crowd", "value": self.records.open_session(self._people[name]), "url": self.address}])
        return name

    def account_of(self, page) -> tuple[str, str]:
        """Name and password of whoever sits before a page."""
        return page.context.person, PASSWORD

    def page_of(self, view: str) -> str:
        """The address of a view."""
        return f"{self.address}/#view={view}" if view else f"{self.address}/"

    # What is kept

    def answers(self, who) -> list[tuple[str, list[list[int]]]]:
        """All answers of a person (a name, or whoever sits before a page), as they came."""
        found = self._answers_of(who, every_round=True)
        return [(answer.kind, _lists(answer.boxes_rc)) for answer in sorted(found, key=lambda answer: answer.answered)]

    def standing(self, who) -> list[tuple[str, list[list[int]]]]:
        """The answers of a person that count, by when the slice was answered first."""
        first: dict[Task, object] = {}
        for answer in sorted(self._answers_of(who, every_round=True), key=lambda answer: answer.answered):
            first.setdefault(answer.task, answer.answered)
        found = sorted(self._answers_of(who, every_round=False), key=lambda answer: first[answer.task])
        return [(answer.kind, _lists(answer.boxes_rc)) for answer in found]

    def _answers_of(self, who, every_round: bool):
        name = who if isinstance(who, str) else who.context.person
        projects = (self.plain.key, self.practice.key)
        pseudonyms = {one.person.pseudonym for key in projects for one in self.records.members(key) if one.person.name == name}
        return [answer for key in projects for answer in self.records.answers(key, every_round=every_round) if answer.person in pseudonyms]

    def known_boxes(self, page) -> list[list[int]]:
        """The known answer to the slice of the training round that a page shows, which the page cannot know."""
        address = f"{self.address}/api/projects/{self.ids[self.practice.key]}/next"
        csrf = page.context.request.get(f"{self.address}/api/me").json()["csrf"]
        told = page.context.request.post(address, data={"have": []}, headers={"X-CSRF-Token": csrf}).json()
        _, turn = self.records.turn(self._people[page.context.person], told["task"]["id"])
        return _lists(self.records.gold_answers(self.practice.key)[turn.task].boxes_rc)

    def let_all_say(self, answers: list[tuple[str, list[list[int]]]], number: int) -> list[str]:
        """New people, each with one of these answers to a slice of the project without practice; their pseudonyms."""
        pseudonyms = []
        for kind, boxes in answers:
            person = self._people[self.account("annotator")[0]]
            rng, wanted = np.random.default_rng(0), self.plain.volume("thigh").positions[number]
            have: list[str] = []
            while (given := next_task(self.records, self.plain, person, utc_now(), rng, have)).turn.task.position != wanted:
                have.append(given.id)
            self.records.save_answer(person, given.id, kind, [Box2D(*box) for box in boxes])
            pseudonyms.append(person.pseudonym)
        return pseudonyms

    def fill_review_queue(self) -> list[list[list[int]]]:
        """Four doubtful slices; returns their proposals, most doubtful first."""
        proposals = [[[20, 40, 30, 60]], [[50, 70, 80, 99], [10, 14, 20, 22]], [[5, 9, 5, 9]], [[30, 50, 60, 90]]]
        self.propose(self.plain, proposals)
        return proposals

    def propose(self, project: CrowdProject, proposals: list[list[list[int]]], skipped: int = 0) -> None:
        """Fill a project's queue with slices for which these boxes are proposed (none: not on this slice), the most doubtful first.

        Args:
            project: whose queue.
            proposals: boxes of each slice.
            skipped: number of slices before the first of them.
        """
        outline = (((22.0, 35.0), (38.0, 32.0), (36.0, 55.0)),)
        doubtful = [
            Doubtful(
                Task("thigh", "sarcoma", position), 0.9 - 0.1 * number, ("Two of five people say that it is not here.",),
                tuple(Box2D(*box) for box in boxes), outline if number == 0 else None,
            )
            for number, (position, boxes) in enumerate(zip(project.volume("thigh").positions[skipped:], proposals, strict=False))
        ]  # fmt: skip
        self.records.set_doubtful(project.key, doubtful)

    def decisions(self, project: CrowdProject | None = None) -> list[tuple[str, list[list[int]]]]:
        """What reviewers decided, as it came, in the project without practice unless another is named."""
        found = sorted(self.records.decisions((project or self.plain).key).values(), key=lambda decision: decision.when)
        return [(decision.kind, _lists(decision.boxes_rc)) for decision in found]


def _lists(boxes_rc) -> list[list[int]]:
    return [[box.row_start, box.row_stop, box.col_start, box.col_stop] for box in boxes_rc]
