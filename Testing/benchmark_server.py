"""What a server costs: time per slice through the loopback against the local worker, bytes per slice, and eight users at once.

    .venv/bin/python Testing/benchmark_server.py [--checkpoint NAME] [--slices N] [--repeats N] [--clients N]

Both sides run the same model on the same case (the sample CT), each in a process of its own, in turn. A slice's time is the shortest of its
repeats, so that what else runs here counts little; both encode anew each time. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "Library"))

from serving import Client, Server, a_server

from SAM2AnnotateLib.geometry import Box2D, Extent, SliceStack, Volume
from SAM2AnnotateLib.intensity import IntensityMapping, choose_mapping
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.propagation import RegionPolicy
from SAM2AnnotateLib.review import ReviewSession
from SAM2AnnotateLib.volume_io import read_volume
from SAM2AnnotateLib.worker import SubprocessWorker
from SAM2AnnotateLib.worker import messages as m

_CASE = Path(__file__).parents[1] / "SAM2AnnotateLib" / "sample_data" / "ct_sarcoma_003"


class Case:
    """The sample CT, a box on the center slice of its lesion, and so many slices around it."""

    def __init__(self, slices: int):
        self.volume: Volume = read_volume(next(_CASE.glob("image*.n*")))
        truth = read_volume(next(_CASE.glob("*label*.n*")))
        self.mapping: IntensityMapping = choose_mapping(self.volume, "abdomen")
        self.stack = SliceStack.along(self.volume.grid, "axial")
        masks = self.stack.view(truth.array_kji) > 0
        found = [position for position in range(masks.shape[0]) if masks[position].any()]
        center = max(found, key=lambda position: int(masks[position].sum()))
        first = max(0, min(center - slices // 2, masks.shape[0] - slices))
        self.extent = Extent(first, min(masks.shape[0] - 1, first + slices - 1))
        self.center, self.box = center, Box2D.around(masks[center])

    def review(self) -> ReviewSession:
        """As a person begins it."""
        return ReviewSession({self.center: SlicePrompt(box=self.box)}, self.extent, self.stack.frame_shape_rc)


def _local(case: Case, worker: SubprocessWorker, key: str) -> tuple[list[float], dict[int, bytes]]:
    worker.wait(worker.client.open_volume(key, case.volume, "axial", case.mapping))
    last, waits, masks = time.perf_counter(), [], {}
    for message in worker.replies(worker.client.propagate(key, case.review().due_work(), RegionPolicy())):
        now = time.perf_counter()
        waits.append(now - last)
        last = now
        result = message.result()
        masks[result.position] = result.mask.tobytes()
    worker.wait(worker.client.close_volume(key))
    return waits, masks


def _served(case: Case, client: Client, key: str) -> tuple[list[float], dict[int, bytes], dict[str, float]]:
    sent = client.sent_bytes
    assert isinstance(client.upload(key, case.volume, case.mapping)[-1], m.Finished)
    uploaded, received, asked = client.sent_bytes - sent, client.received_bytes, client.sent_bytes
    last, waits, masks = time.perf_counter(), [], {}
    client.say(client.propagate(key, case.review()))
    while not isinstance(message := client.hear(), m.Finished):
        assert isinstance(message, m.SliceDone), message
        now = time.perf_counter()
        waits.append(now - last)
        last = now
        result = message.result()
        masks[result.position] = result.mask.tobytes()
    traffic = {
        "upload_bytes": uploaded,
        "voxels": int(case.volume.array_kji.size),
        "received_bytes_a_slice": (client.received_bytes - received) / len(masks),
        "sent_bytes_a_slice": (client.sent_bytes - asked) / len(masks),
    }
    client.ask(m.CloseVolume(client.next(), key))
    return waits, masks, traffic


def against_the_local_worker(case: Case, server: Server, checkpoint: str, repeats: int) -> dict:
    """Time per slice, in turn."""
    here: list[list[float]] = []
    there: list[list[float]] = []
    with SubprocessWorker() as worker, server.connect("user0") as client:
        worker.wait(worker.client.load_model(checkpoint))
        assert isinstance(client.load()[-1], m.Finished)
        _local(case, worker, "warm")
        _served(case, client, "warm")
        for number in range(repeats):
            order = (0, 1) if number % 2 else (1, 0)
            for side in order:
                if side == 0:
                    waits, local_masks = _local(case, worker, f"v{number}")
                    here.append(waits)
                else:
                    waits, masks, traffic = _served(case, client, f"v{number}")
                    there.append(waits)
        client.say(m.Shutdown(client.next()))
    slices = [min(column) for column in zip(*here, strict=True)], [min(column) for column in zip(*there, strict=True)]
    return {
        "equal_masks": masks == local_masks,
        "slices": len(masks),
        "local_s_a_slice": statistics.mean(slices[0]),
        "served_s_a_slice": statistics.mean(slices[1]),
        "ratio": statistics.mean(slices[1]) / statistics.mean(slices[0]),
        **traffic,
    }


def many_at_once(case: Case, server: Server, clients: int) -> dict:
    """Waits for a slice when so many ask at once."""
    waits: dict[int, list[float]] = {}
    masks: dict[int, dict] = {}
    order: list[int] = []
    together = threading.Barrier(clients)

    def one(number: int) -> None:
        with server.connect(f"user{number}") as client:
            client.load()
            client.upload("v", case.volume, case.mapping)
            request = client.propagate("v", case.review())
            together.wait(600)
            last, own, got = time.perf_counter(), [], {}
            client.say(request)
            while not isinstance(message := client.hear(), m.Finished):
                now = time.perf_counter()
                own.append(now - last)
                last = now
                order.append(number)
                got[message.result().position] = message.result().mask.tobytes()
            waits[number], masks[number] = own, got
            client.say(m.Shutdown(client.next()))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everybody = [wait for own in waits.values() for wait in own]
    in_slices = [
        later - earlier
        for number in range(clients)
        for earlier, later in pairwise([-1, *(at for at, who in enumerate(order) if who == number)])
    ]
    return {
        "clients": clients,
        "equal_masks": all(masks[number] == masks[0] for number in range(clients)),
        "mean_wait_s": statistics.mean(everybody),
        "longest_wait_s": max(everybody),
        "longest_over_mean": max(everybody) / statistics.mean(everybody),
        "longest_over_mean_in_slices": max(in_slices) / statistics.mean(in_slices),
        "embeddings_most_mb": server.metric("embeddings_most_bytes") / (1 << 20),
        "embeddings_limit_mb": server.metric("embeddings_limit_bytes") / (1 << 20),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkpoint", default="bundled")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--slices", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    case = Case(options.slices)
    users = [f"user{number}" for number in range(max(1, options.clients))]
    arguments = ("--checkpoint", options.checkpoint, "--device", options.device, "--cache-mb", "64")
    with tempfile.TemporaryDirectory() as folder, a_server(Path(folder), *arguments, users=users, scripted=False) as server:
        figures = {"one": against_the_local_worker(case, server, options.checkpoint, options.repeats)}
        if options.clients > 1:
            figures["many"] = many_at_once(case, server, options.clients)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
