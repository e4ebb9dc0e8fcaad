"""What an annotator asks for: a project, the next task, its slice, an answer saved. Imports calls, assignment and project."""

from __future__ import annotations

from ...errors import InputError
from ..answers import Answer
from ..assignment import Done, feedback_on, remaining
from ..project.read import PICTURE_SUFFIXES
from ..records import Member, Turn
from ..records.projects import boxes_to_lists
from .calls import Call, Reply, boxes_from
from .gate import Visitor
from .problems import not_there
from .service import Served

_MOST_HAVE = 100


def project(call: Call) -> Reply:
    """``GET /api/projects/{id}``: what to do, and what to look for."""
    _, served, member = call.member()
    it = served.project
    objects = [
        {
            "key": one.key,
            "name": one.name,
            "sentence": one.sentence,
            "examples": [f"/api/projects/{served.id}/examples/{number}/{n}" for n in range(len(one.examples))],
        }
        for number, one in enumerate(it.objects)
    ]
    return Reply(
        {"id": served.id, "title": it.title, "instructions": it.instructions, "axis": it.axis, "role": member.role, "objects": objects}
    )


def example(call: Call) -> Reply:
    """``GET /api/projects/{id}/examples/{object}/{n}``: a picture, by numbers alone."""
    _, served, _ = call.member()
    objects = served.project.objects
    number, n = _index(call.path["object"], len(objects)), call.path["number"]
    examples = objects[number].examples
    path = examples[_index(n, len(examples))]
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise not_there() from exc
    return Reply(content, media_type=PICTURE_SUFFIXES[path.suffix.lower()])


def next_task(call: Call) -> Reply:
    """``POST /api/projects/{id}/next {have}``: a task that this person holds and that their page does not have already, or a new one."""
    visitor, served, _ = call.member()
    have = call.fields("have").texts("have", [])
    if len(have) > _MOST_HAVE:
        raise InputError(f"'have' is a list of at most {_MOST_HAVE} ids of tasks.")
    given = call.service.next_task(served, visitor.person, have)
    left = {"left": given.remaining.left, "done": given.remaining.done, "training_left": given.remaining.training_left}
    if isinstance(given, Done):
        return Reply({"finished": True, "why": given.why, **left})
    return Reply({"task": {**_task(served, given.turn), **left, "answer": None}})


def answer(call: Call) -> Reply:
    """``POST /api/tasks/{id}/answer``: says "saved" once the answer is on disk."""
    visitor, served, _, turn = _turn(call)
    fields = call.fields("kind", "boxes_rc", "seconds", "client_id")
    boxes = boxes_from(fields.items("boxes_rc"), served.pictures.shape_rc(turn.task.volume))
    kind, seconds, client_id = fields.text("kind"), fields.number("seconds"), fields.text("client_id")
    saved = call.service.records.save_answer(visitor.person, turn.id, kind, boxes, seconds, client_id)
    if saved is None:
        raise not_there()
    feedback = None
    if saved.known_boxes_rc is not None:
        told = feedback_on(kind, boxes, saved.known_boxes_rc, served.project.rules.training_iou)  # type: ignore[arg-type]
        feedback = {"right": told.right, "iou": round(told.iou, 4), "boxes_rc": boxes_to_lists(told.boxes_rc), "text": told.text}
    left = remaining(call.service.records, served.project, visitor.person)
    return Reply({"saved": True, "left": left.left, "done": left.done, "training_left": left.training_left, "feedback": feedback})


def release(call: Call) -> Reply:
    """``POST /api/tasks/{id}/release``: others may have it."""
    visitor, _, _, turn = _turn(call)
    call.fields()
    call.service.records.release(visitor.person, turn.id)
    return Reply({"released": True})


def image(call: Call) -> Reply:
    """``GET /api/tasks/{id}/image?offset=``: the slice, or a neighbor."""
    _, served, _, turn = _turn(call)
    return picture(call, served, turn.task.volume, turn.task.position)


def mine(call: Call) -> Reply:
    """``GET /api/projects/{id}/mine?limit=``: what I answered, newest first."""
    visitor, served, _ = call.member()
    limit = call.whole("limit", 50, 1, 500)
    rows = call.service.records.mine(visitor.person, served.project.key, limit)
    return Reply([{**_task(served, turn), "answer": answer_json(answer)} for turn, answer in rows])


def picture(call: Call, served: Served, volume: str, position: int) -> Reply:
    """A slice by its distance from another one, as far as the project lets people look."""
    count, most = served.pictures.slice_count(volume), served.project.rules.context_slices
    offset = call.whole("offset", 0, -most, most)
    if not 0 <= position + offset < count:
        raise not_there()
    return Reply(served.pictures.png(volume, position + offset), media_type="image/png")


def slice_json(served: Served, volume: str, position: int, address: str) -> dict:
    """How large a slice is, where its picture is, and which neighbors can be looked at."""
    count, most = served.pictures.slice_count(volume), served.project.rules.context_slices
    before, after = min(position, most), min(count - 1 - position, most)
    offsets = [offset for offset in range(-before, after + 1) if offset]
    return {
        "shape_rc": list(served.pictures.shape_rc(volume)),
        "spacing_rc_mm": list(served.pictures.spacing_rc_mm(volume)),
        "image": address,
        "context": [{"offset": offset, "image": f"{address}?offset={offset}"} for offset in offsets],
        "before": before,
        "after": after,
    }


def answer_json(answer: Answer) -> dict:
    """An answer as the page has it."""
    return {
        "kind": answer.kind,
        "boxes_rc": boxes_to_lists(answer.boxes_rc),
        "answered": None if answer.answered is None else answer.answered.isoformat(timespec="seconds"),
    }


def _task(served: Served, turn: Turn) -> dict:
    """What a person may know of a task: not where it is, and not whether its answer is known."""
    return {
        "id": turn.id,
        "object": turn.task.object,
        **slice_json(served, turn.task.volume, turn.task.position, f"/api/tasks/{turn.id}/image"),
        "reserved_until": turn.expires.isoformat(timespec="seconds"),
        "training": turn.kind == "training",
        "again": turn.answered,
    }


def _turn(call: Call) -> tuple[Visitor, Served, Member, Turn]:
    visitor = call.visitor()
    found = call.service.records.turn(visitor.person, call.path["task"])
    served = None if found is None else call.service.served(found[0].project_id)
    if found is None or served is None:
        raise not_there()
    return visitor, served, *found


def _index(text: str, count: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and int(text) < count):
        raise not_there()
    return int(text)
