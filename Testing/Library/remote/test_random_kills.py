"""A review goes on whatever is killed or cut at whatever moment: no lock is lost, no mask differs, or it is said why not.

``SAM2ANNOTATE_KILLS=200 pytest -o log_cli=true -o log_cli_level=INFO Testing/Library/remote/test_random_kills.py`` runs as many faults as
one has time for, and says what befell.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import logging
import os
import threading

import numpy as np
import pytest
from cutting_proxy import CuttingProxy
from lent_server import LentServer
from remote_bench import KEY, MAPPING, POLICY, a_ball, masks_here, review_of

from SAM2AnnotateLib.errors import ServerError, WorkerError
from SAM2AnnotateLib.remote.address import TOKEN_VARIABLE
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.worker import SubprocessWorker, wire
from SAM2AnnotateLib.worker.messages import SliceDone

_log = logging.getLogger(__name__)
KILLS = int(os.environ.get("SAM2ANNOTATE_KILLS", "12"))
FAULTS = ("cut", "cut_up", "cut_down", "hang", "slow", "kill_client", "kill_server", "cut_thrice")
_TRIES = 12  # a round that needs more does not go on


class Reviewer:
    """Who reviews, at a relay that may be killed, behind a network that may be cut."""

    def __init__(self, server: LentServer, network: CuttingProxy, rng: np.random.Generator):
        self.server, self.network, self.rng = server, network, rng
        self.volume = a_ball()
        self.review = review_of(self.volume)
        self.worker: SubprocessWorker | None = None
        self.told: collections.Counter = collections.Counter()
        self.opened = self.struck = 0
        self.computing = False

    def decide(self) -> None:
        """Accept, correct or unlock a slice at random, so that there is something to compute."""
        positions = list(self.review.extent.indices)
        for position in self.rng.permutation(positions):
            status = self.review.status(int(position))
            if status is SliceStatus.PROPOSED and self.rng.random() < 0.3:
                self.review.accept(int(position))
            elif status in (SliceStatus.ACCEPTED, SliceStatus.CORRECTED) and self.rng.random() < 0.3:
                self.review.unlock(int(position))
            elif status is not SliceStatus.ACCEPTED and int(position) not in self.review.prompts:
                mask = np.zeros(self.review.frame_shape_rc, dtype=bool)
                row, col = (int(at) for at in self.rng.integers(60, 100, 2))
                mask[row : row + 40, col : col + 45] = True
                self.review.correct(int(position), mask)
            if len(self.review.due_work().due) >= 4:
                return

    def compute(self, open_anew: bool) -> None:
        """Ask until nothing is due any more."""
        for _ in range(_TRIES):
            try:
                self._ask(open_anew)
                return
            except ServerError as exc:
                self.told["server: " + str(exc).split(":")[0][:60]] += 1
            except WorkerError as exc:  # the relay is gone; whoever drives it starts another
                self.told["relay: " + str(exc)[:40]] += 1
                self.leave()
            open_anew = False
        raise AssertionError(f"It did not go on: {self.told}")

    def leave(self) -> None:
        """Let go of the relay."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.close()

    def _ask(self, open_anew: bool) -> None:
        if self.worker is None:
            module = ("SAM2AnnotateLib.remote", f"http://127.0.0.1:{self.network.port}")
            self.worker = SubprocessWorker(module=module, environment={**os.environ, TOKEN_VARIABLE: self.server.token})
            self.worker.wait(self.worker.client.load_model(wire.THE_SERVERS_MODEL))
            open_anew = True
        if open_anew:
            self.opened += 1
            self.worker.wait(self.worker.client.open_volume(KEY, self.volume, "k", MAPPING))
        self.computing = True
        try:
            for message in self.worker.replies(self.worker.client.propagate(KEY, self.review.due_work(), POLICY)):
                if isinstance(message, SliceDone):
                    assert self.review.add_result(message.result())
        finally:
            self.computing = False


def befall(fault: str, reviewer: Reviewer, rng: np.random.Generator) -> threading.Thread:
    """Let something happen soon, at a moment that nobody foresees."""
    server, network = reviewer.server, reviewer.network
    delay, amount = float(rng.uniform(0.0, 0.3)), int(rng.integers(1, 6000))

    def strike() -> None:
        if fault == "cut":
            network.cut()
        elif fault == "cut_thrice":
            for _ in range(3):
                network.cut()
                threading.Event().wait(delay)
        elif fault == "cut_up":
            network.cut_after(amount, way=0)
        elif fault == "cut_down":
            network.cut_after(amount, way=1)
        elif fault == "hang":
            network.stop()
            threading.Event().wait(2 * delay)
            network.go_on()
        elif fault == "slow":
            network.bytes_per_second = 60e3
        elif fault == "kill_client":
            worker = reviewer.worker
            if worker is not None:
                worker.process.kill()
        elif fault == "kill_server":
            server.kill()
            server.start()

    def wait_and_strike() -> None:
        threading.Event().wait(delay)
        reviewer.struck += reviewer.computing
        strike()

    thread = threading.Thread(target=wait_and_strike)
    thread.start()
    return thread


@pytest.mark.slow
def test_whatever_is_killed_or_cut_no_lock_is_lost_and_no_mask_differs(tmp_path):
    rng = np.random.default_rng(16)
    befallen: collections.Counter = collections.Counter()
    with (
        LentServer(tmp_path, seconds_per_slice=0.03, options=("--sessions-per-user", "3")) as server,
        CuttingProxy(server.port) as network,
        contextlib.ExitStack() as exits,
    ):
        reviewer = Reviewer(server, network, rng)
        exits.callback(reviewer.leave)
        for kill in range(KILLS):
            fault = FAULTS[kill % len(FAULTS)] if kill < len(FAULTS) else FAULTS[int(rng.integers(len(FAULTS)))]
            reviewer.decide()
            review = reviewer.review
            locks = {position: review.mask(position).tobytes() for position in review.locked}
            expected = masks_here(reviewer.volume, copy.deepcopy(review))
            striking = befall(fault, reviewer, rng)
            reviewer.compute(open_anew=bool(rng.random() < 0.4))
            striking.join()
            network.bytes_per_second = None
            befallen[fault] += 1
            assert {position: review.mask(position).tobytes() for position in review.locked} == locks, (kill, fault)
            assert not review.due_work().due
            wrong = [position for position, mask in expected.items() if not np.array_equal(review.mask(position), mask)]
            assert not wrong, (kill, fault, wrong)
    told = f"said: {dict(reviewer.told)}; volume opened {reviewer.opened} times, {network.connections} connections"
    _log.info("%d faults, %d of them while slices were computed: %s; %s", KILLS, reviewer.struck, dict(befallen), told)
