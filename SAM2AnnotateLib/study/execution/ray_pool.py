"""RayPool: the tasks of a study on a cluster, through Ray. Imports executors and errors; ray inside functions.

Every machine of the cluster needs this library and its packages, and the study's folder and data under the same path.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from types import ModuleType
from typing import Any

from ...errors import InputError, WorkerError
from ...processors import cores_here
from ...progress import CancelToken
from ...ray_cluster import cluster
from ..work.tasks import Task
from .executors import EXECUTE, ONE_THREAD, Failures, TaskEvent, failure, function_at, trains_a_model, unit_at

_ASK_SECONDS = 0.5  # how soon a request to stop is noticed
_REASON_LENGTH = 300  # characters of an error of Ray's, which may have pages


class RayPool:
    """An executor on a Ray cluster.

    Args:
        address: of the cluster ("10.0.0.1:6379", "auto" for the one of this machine); "local" starts one for this run, here.
        workers: how many tasks at once at most; None takes what the cluster has room for.
        device: for the simulation of cases: ``auto`` takes GPUs if the cluster has some; ``cuda`` one GPU a task; or ``cpu``.
        models_device: the same for nnU-Net.
        execute: what does a task, see `executors.EXECUTE`.

    Raises:
        InputError: if there is to be no worker.
    """

    def __init__(
        self, address: str, workers: int | None = None, device: str = "auto", models_device: str = "auto", *, execute: str = EXECUTE
    ):
        if workers is not None and workers < 1:
            raise InputError(f"Expected 1 worker or more, got {workers}.")
        self._address, self._limit, self._execute = address, workers, execute
        self._device, self._models_device = device, models_device
        self.workers = workers or (cores_here() if address == "local" else 1)  # known better as soon as the cluster answers

    def run(self, tasks: Sequence[Task], on_event: Callable[[TaskEvent], None], cancel: CancelToken | None = None) -> None:
        """See `Executor.run`. A task's units are told together, when the task is over."""
        if not tasks:
            return
        failures = Failures()

        def tell(event: TaskEvent) -> None:
            failures.note(event)
            on_event(event)

        with cluster(self._address, self._limit) as ray:
            resources = ray.cluster_resources()
            gpus = int(resources.get("GPU", 0))
            device = _device(self._device, gpus)
            self.workers = min(self._limit or len(tasks), gpus if device == "cuda" else int(resources.get("CPU", 1))) or 1
            self._run_on(ray, [task for task in tasks if not trains_a_model(task)], device, 1, ONE_THREAD, tell, cancel)
            device = _device(self._models_device, gpus)
            cores = max((node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"]), default=1) if device == "cpu" else 1
            self._run_on(ray, [task for task in tasks if trains_a_model(task)], device, cores, {}, tell, cancel)
        failures.raise_if_any(len(tasks))

    def _run_on(
        self,
        ray: ModuleType,
        tasks: Sequence[Task],
        device: str,
        cores: float,
        environment: dict[str, str],
        tell: Callable[[TaskEvent], None],
        cancel: CancelToken | None,
    ) -> None:
        options = {"num_cpus": cores, "num_gpus": int(device == "cuda"), "max_retries": 0, "runtime_env": {"env_vars": environment}}
        remote = ray.remote(_do).options(**options)
        if tasks and device == "cuda" and not ray.cluster_resources().get("GPU"):  # Ray would wait for one to join, for ever
            raise InputError("The cluster has no GPU, and one was asked for. Choose the device 'cpu', or 'auto' to take what there is.")
        waiting = deque(tasks)
        running: dict[Any, Task] = {}
        try:
            while waiting or running:
                if cancel is not None:
                    cancel.raise_if_cancelled()
                while waiting and len(running) < (self._limit or len(tasks)):
                    task = waiting.popleft()
                    running[remote.remote(asdict(task), device, self._execute)] = task
                for done in ray.wait(list(running), num_returns=1, timeout=_ASK_SECONDS)[0]:
                    for event in _events_of(ray, done, running.pop(done)):
                        tell(event)
        finally:
            for left in running:
                ray.cancel(left, force=True)


def _do(fields: dict[str, Any], device: str, execute: str) -> list[dict[str, Any]]:
    """Do one task, in a process of the cluster; returns the fields of its events."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the processes of a local cluster too; the parent decides
    task = Task(fields["study"], fields["case"], tuple(fields["units"]))
    events: list[TaskEvent] = []
    try:
        function_at(execute)(task, device, lambda unit, case, seconds: events.append(TaskEvent(unit, case, seconds)))
    except Exception as exc:  # noqa: BLE001 - told to the parent, which goes on with the other tasks
        events.append(failure(unit_at(task, len(events)), task.case, exc))
    return [asdict(event) for event in events]


def _events_of(ray: ModuleType, done: Any, task: Task) -> list[TaskEvent]:
    try:
        return [TaskEvent(**fields) for fields in ray.get(done)]
    except ray.exceptions.RayError as exc:  # a worker or machine died; what it finished before is in the study's folder
        reason = " ".join(str(exc).split())[:_REASON_LENGTH]
        problem = f"the worker died ({type(exc).__name__}), perhaps out of memory: {reason}"
        return [TaskEvent(task.units[0], task.case, problem=problem, kind=WorkerError.__name__)]


def _device(asked: str, gpus: int) -> str:
    """Within a task Ray shows the GPU that it gave, and no other, so that it has no number."""
    if asked == "auto":
        return "cuda" if gpus else "cpu"
    return asked.partition(":")[0]
