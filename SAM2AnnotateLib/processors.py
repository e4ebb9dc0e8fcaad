"""How a program that computes shares the processor's cores with others. Imports the standard library.

torch's threads meet at the end of each operation. As they come from the factory, those that arrive first spin there; where other programs
want the cores, the spinning keeps the last one from arriving, and a job of a second takes a minute. Threads that sleep instead cost nothing
measurable on an idle machine. The libraries read this from the environment, once, when they are loaded.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

# GNU's OpenMP (torch on Linux) reads the first; LLVM's and Intel's (torch on macOS and Windows) read both.
PATIENT_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
_CONTROL_GROUPS = Path("/sys/fs/cgroup")


def wait_patiently(environment: MutableMapping[str, str] | None = None) -> None:
    """Let the threads of OpenMP sleep where they wait. To be called before torch is imported; what the user has set stays.

    Args:
        environment: of a process that is to be started; by default this process's own.
    """
    environment = os.environ if environment is None else environment
    for name, value in PATIENT_WAITING.items():
        environment.setdefault(name, value)


def cores_here(control_groups: Path = _CONTROL_GROUPS) -> int:
    """Cores that this process may use: those it is bound to, and no more than a container's share of time is worth.

    Args:
        control_groups: where Linux tells a container's share.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = _cores_by_share(control_groups)
    return bound if share is None else max(1, min(bound, share))


def _cores_by_share(control_groups: Path) -> int | None:
    """Whole cores that a container's quota pays for, rounded up; None without a quota."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = [word for file in files for word in (control_groups / file).read_text(encoding="ascii").split()]
        except OSError:  # not this version of control groups, or not Linux
            continue
        if len(words) == 2 and words[0].isdecimal() and words[1].isdecimal() and int(words[1]) > 0:  # without a quota: max, or -1
            return -(-int(words[0]) // int(words[1]))
    return None
