"""What tests of the client's side begin with: a volume, a review of it, and the masks that must come. Imports the library."""

from __future__ import annotations

import numpy as np
from stand_in_server import StandInServer

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.geometry import Extent, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.propagation import RegionPolicy, SliceEncoder, propagate
from SAM2AnnotateLib.remote.address import ServerAccess, ServerAddress
from SAM2AnnotateLib.remote.link import Link
from SAM2AnnotateLib.remote.session import Patience, RemoteSession
from SAM2AnnotateLib.review import ReviewSession
from SAM2AnnotateLib.worker import WorkerClient, wire
from SAM2AnnotateLib.worker.messages import LoadModel, Propagate, SliceDone, from_line

POLICY, MAPPING = RegionPolicy(), IntensityMapping(0, 200, "explicit", "test")
KEY = "vtkMRMLScalarVolumeNode1 DOE^JANE 1961"
QUICK = Patience(first_seconds=0.3, seconds=20.0, shortest_pause=0.01, longest_pause=0.05)


def a_ball() -> Volume:
    """A bright ball, oblique and of uneven spacing, large enough for two chunks."""
    k, j, i = np.ogrid[:24, :210, :220]
    ball = ((k - 12) / 9) ** 2 + ((j - 100) / 40) ** 2 + ((i - 110) / 45) ** 2 < 1
    matrix = np.array([[0.9, 0.1, 0, -120.5], [-0.1, 0.8, 0.2, 33.25], [0, -0.2, -2.5, 61.0], [0, 0, 0, 1]])
    return Volume(VolumeGrid(ball.shape, matrix), np.where(ball, 150, 5).astype(np.int16))


def access_to(port: int) -> ServerAccess:
    return ServerAccess(ServerAddress.parse(f"http://127.0.0.1:{port}"), "a-token")


def session_on(port: int, said: list | None = None, patience: Patience = QUICK) -> RemoteSession:
    return RemoteSession(lambda session: Link.open(access_to(port), session), (said if said is not None else []).append, patience)


def review_of(volume: Volume) -> ReviewSession:
    """The ball, prompted on two slices, a third one corrected and proposals beside it: due and known slices of every kind."""
    stack = SliceStack.along(volume.grid, "k")
    boxes = {8: (70, 70, 150, 130), 14: (60, 60, 160, 140)}
    prompts = {stack.position_of(at): SlicePrompt(box=stack.box_of(box[:2], box[2:])) for at, box in boxes.items()}
    review = ReviewSession(prompts, stack.extent_of(Extent(4, 20)), stack.frame_shape_rc)
    encoder = SliceEncoder(ScriptedEngine(), volume, stack, MAPPING)
    work = review.due_work()
    for result in propagate(encoder, work.prompts, work.extent, POLICY, due=work.due):
        review.add_result(result)
    corrected = np.zeros(stack.frame_shape_rc, dtype=bool)
    corrected[80:120, 90:130] = True
    review.correct(stack.position_of(11), corrected)
    review.correct(stack.position_of(17), corrected)
    review.set_prompt(stack.position_of(8), SlicePrompt(box=stack.box_of((72, 72), (148, 128))))
    return review


def request_for(review: ReviewSession) -> Propagate:
    """As the panel's client makes it."""
    lines: list[bytes] = []
    client = WorkerClient(lines.append)
    client.propagate(KEY, review.due_work(), POLICY)
    client.close()
    return from_line(lines[0])


def masks_here(volume: Volume, review: ReviewSession) -> dict[int, np.ndarray]:
    encoder = SliceEncoder(ScriptedEngine(), volume, SliceStack.along(volume.grid, "k"), MAPPING)
    work = review.due_work()
    results = propagate(
        encoder, work.prompts, work.extent, POLICY, locked=work.locked, corrected=work.corrected, due=work.due, proposals=work.proposals
    )
    return {result.position: result.mask for result in results}


def opened(session: RemoteSession, volume: Volume) -> RemoteSession:
    session.load_model(LoadModel(1, wire.THE_SERVERS_MODEL), CancelToken())
    session.open_volume(KEY, volume, "k", MAPPING, CancelToken())
    return session


def run(session: RemoteSession, request: Propagate, cancel: CancelToken | None = None) -> list[SliceDone]:
    replies: list[SliceDone] = []
    session.request(request, replies.append, cancel or CancelToken())
    return replies


def require_same(replies: list[SliceDone], masks: dict[int, np.ndarray]) -> None:
    positions = [reply.result().position for reply in replies]
    assert sorted(positions) == sorted(masks), "each slice comes once"
    assert [reply.done for reply in replies] == list(range(1, len(masks) + 1)) and {reply.total for reply in replies} == {len(masks)}
    for reply in replies:
        assert np.array_equal(reply.result().mask, masks[reply.result().position])


def asked(server: StandInServer, kind: type) -> list:
    frames = [frame for frame in server.heard if frame.startswith(b"{")]
    return [message for message in map(wire.from_text, frames) if type(message) is kind]
