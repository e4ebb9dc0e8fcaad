"""What a reviewer asks for: the doubtful slices, and a decision saved. Imports calls, work and records."""

from __future__ import annotations

from ..answers import Answer, Task
from ..records import ReviewItem
from ..records.projects import boxes_to_lists
from .calls import Call, Reply, boxes_from
from .gate import Visitor
from .problems import not_allowed, not_there
from .service import Served
from .work import answer_json, picture, slice_json


def queue(call: Call) -> Reply:
    """``GET /api/projects/{id}/review?limit=``: most doubtful first, each with what everybody said, under pseudonyms."""
    _, served, _ = call.member("reviewer")
    records, key = call.service.records, served.project.key
    items = [one for one in records.review_queue(key, call.whole("limit", 20, 1, 200)) if _is_there(served, one)]
    tasks = [one.doubtful.task for one in items]
    said: dict[Task, list[Answer]] = {task: [] for task in tasks}
    for answer in records.answers(key, tasks=tasks):
        said[answer.task].append(answer)
    return Reply([_item(served, one, said[one.doubtful.task]) for one in items])


def decide(call: Call) -> Reply:
    """``POST /api/review/{id}/decision {kind, boxes_rc, client_id}``: final until there is another."""
    visitor, served, item = _found(call)
    fields = call.fields("kind", "boxes_rc", "client_id")
    boxes = boxes_from(fields.items("boxes_rc"), served.pictures.shape_rc(item.doubtful.task.volume))
    if not call.service.records.decide(visitor.person, item.id, fields.text("kind"), boxes, fields.text("client_id")):
        raise not_there()
    return Reply({"saved": True, "left": call.service.records.progress(served.project.key).to_review})


def image(call: Call) -> Reply:
    """``GET /api/review/{id}/image?offset=``: the slice, or a neighbor."""
    _, served, item = _found(call)
    return picture(call, served, item.doubtful.task.volume, item.doubtful.task.position)


def _found(call: Call) -> tuple[Visitor, Served, ReviewItem]:
    visitor = call.visitor()
    found = call.service.records.review_item(visitor.person, call.path["review"])
    served = None if found is None else call.service.served(found[0].project_id)
    if found is None or served is None or not _is_there(served, found[1]):
        raise not_there()
    if not found[0].may("reviewer"):
        raise not_allowed()
    return visitor, served, found[1]


def _is_there(served: Served, item: ReviewItem) -> bool:
    """Whether project.yaml still has the slice's volume."""
    return any(one.key == item.doubtful.task.volume for one in served.project.volumes)


def _item(served: Served, item: ReviewItem, said: list[Answer]) -> dict:
    doubtful = item.doubtful
    return {
        "id": item.id,
        "object": doubtful.task.object,
        "volume": doubtful.task.volume,
        "slice": served.pictures.stack(doubtful.task.volume).index_of(doubtful.task.position),
        **slice_json(served, doubtful.task.volume, doubtful.task.position, f"/api/review/{item.id}/image"),
        "doubt": round(doubtful.doubt, 4),
        "reasons": list(doubtful.reasons),
        "boxes_rc": boxes_to_lists(doubtful.boxes_rc),
        "answers": [{"person": one.person, **answer_json(one)} for one in sorted(said, key=lambda one: one.person)],
        "outline": None if doubtful.outline is None else [[list(point) for point in line] for line in doubtful.outline],
    }
