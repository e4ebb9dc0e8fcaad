"""A worker process with a scripted model that can be told to fail: `python -u scripted_worker.py FAULT_FILE DELAY_SECONDS`.

Before each slice, and each step of learning, it looks into the fault file. ``die``, ``hang`` or ``memory`` followed by a number acts that
out at that slice, once: the file is removed first, so that the process that is started next works.
"""

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))  # where the client says that the library lies

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import EngineError
from SAM2AnnotateLib.worker.serve import serve


def main() -> int:
    """Serve with the faults that the file asks for."""
    fault_file, delay_seconds = Path(sys.argv[1]), float(sys.argv[2])
    steps = [0]

    def before_step(_position: int) -> None:
        steps[0] += 1
        time.sleep(delay_seconds)
        if not fault_file.is_file():
            return
        fault, at = fault_file.read_text().split()
        if steps[0] < int(at):
            return
        fault_file.unlink()
        if fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "hang":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif fault == "memory":
            raise EngineError("Out of memory on the graphics card. Choose a smaller model, or the CPU.")

    def load(checkpoint: str, **_options) -> ScriptedEngine:
        if checkpoint == "missing":
            raise EngineError("The model 'missing' is not downloaded. Press 'Set-up' to download it.")
        return ScriptedEngine(fail_at=before_step, fail_learning_at=before_step)

    serve(sys.stdin.buffer, sys.stdout.buffer, load)
    return 0


if __name__ == "__main__":
    sys.exit(main())
