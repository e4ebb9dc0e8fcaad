"""The server killed at an answer: every answer that was called saved is there, none twice; on SQLite and PostgreSQL.

``SAM2ANNOTATE_CROWD_KILLS=50 pytest Testing/Library/crowd/test_crowd_kills.py`` for more kills at random moments.
"""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
import uuid
from collections import Counter

import numpy as np
import pytest
from crowd_browser import Browser, over_network
from crowd_cases import QUICK_PASSWORDS, a_crowd_project
from crowd_server import a_crowd_server
from sqlalchemy import select

from SAM2AnnotateLib.crowd.records import CrowdRecords
from SAM2AnnotateLib.crowd.records.tables import AnswerRow
from SAM2AnnotateLib.crowd.records.tokens import csrf_of

RANDOM_KILLS = int(os.environ.get("SAM2ANNOTATE_CROWD_KILLS", "1"))
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")


class Client:
    """A page that does not give up: what was not called saved is sent again, under the same id, to whatever server there is."""

    def __init__(self, name: str, token: str, csrf: str):
        self.name, self.csrf = name, csrf
        self.cookies = {"crowd": token}
        self.saved: dict[str, str] = {}  # client's id to task's
        self.pending: tuple[str, str] | None = None

    def work(self, port: int, most: int) -> None:
        """Answer until the server is gone, or nothing is left."""
        browser = Browser(over_network(port), f"127.0.0.1:{port}")
        browser.cookies, browser.csrf = self.cookies, self.csrf
        try:
            for _ in range(most):
                if self.pending is None:
                    given = browser.next()
                    if "task" not in given:
                        return
                    self.pending = (given["task"]["id"], str(uuid.uuid4()))
                task, client_id = self.pending
                reply = browser.answer(task, "box", [[1, 9, 2, 8]], client_id)
                if reply.status_code == 200 and reply.json()["saved"] is True:
                    self.saved[client_id] = task
                    self.pending = None
        except (OSError, http.client.HTTPException):
            return


def test_whatever_was_called_saved_is_there_and_nothing_twice(tmp_path, database):
    project = a_crowd_project(tmp_path / "balls", volumes=3, gold=1, depth=8 * RANDOM_KILLS, people_per_slice=2, gold_share=0.2)
    clients = []
    with CrowdRecords.open(database, passwords=QUICK_PASSWORDS) as records:
        records.add_project(project)
        for name in ("Anna", "Ben"):
            token = records.open_session(records.add_member("balls", name))
            clients.append(Client(name, token, csrf_of(token)))
    rng = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    deaths = [("before", 3), ("behind", 2), *[None] * RANDOM_KILLS, None]
    for number, dies in enumerate(deaths):
        log = tmp_path / f"log{number}.jsonl"
        with a_crowd_server(log, [project.folder], "--database", database, dies=dies) as (port, process):
            threads = [threading.Thread(target=one.work, args=(port, 60 if number < len(deaths) - 1 else 4)) for one in clients]
            for thread in threads:
                thread.start()
            if dies is None and number < len(deaths) - 1:  # at any moment
                time.sleep(float(rng.uniform(0.05, 0.6)))
                process.kill()
            for thread in threads:
                thread.join()
            if dies is not None:
                assert process.wait(30) == -signal.SIGKILL
    with CrowdRecords.open(database) as records:
        with records.database.read() as session:
            there = Counter(session.scalars(select(AnswerRow.client_id)))
        answers = records.answers("balls", aside=True, every_round=True)
        progress = records.progress("balls")
    called_saved = {client_id for one in clients for client_id in one.saved}
    assert len(called_saved) >= 7
    assert called_saved <= set(there) and set(there.values()) == {1}
    assert len(there) - len(called_saved) <= sum(one.pending is not None for one in clients)
    assert all(one.round == 0 for one in answers) and len({(one.task, one.person) for one in answers}) == len(answers)
    real = Counter(one.task for one in answers if not one.gold)
    assert max(real.values()) <= 2 and progress.answered == sum(real.values())
