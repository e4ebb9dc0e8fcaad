"""The report of a crowd project, and the command that makes it."""

from __future__ import annotations

import csv
import html.parser
import io
from dataclasses import replace

import pytest
import yaml
from crowd_cases import QUICK_PASSWORDS, a_crowd_project
from crowd_outcomes import model, said_by

from SAM2AnnotateLib.cli.crowd import consensus as command
from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.crowd.outcome import WAYS, make_outcome, read_outcome
from SAM2AnnotateLib.crowd.outcome.queue import DOUBTFUL
from SAM2AnnotateLib.crowd.project import read_project
from SAM2AnnotateLib.crowd.records import CrowdRecords
from SAM2AnnotateLib.crowd.report import write_report
from SAM2AnnotateLib.crowd.simulated import PEOPLE, Skill
from SAM2AnnotateLib.geometry import Box2D

EVIL = "<script>alert(1)</script>"


class Page(html.parser.HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src", "action")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def project(tmp_path):
    objects = [{"key": "ball", "name": f"Ball {EVIL}", "sentence": "Round.", "label": 1}]
    return a_crowd_project(tmp_path / "balls", title=f"Balls {EVIL}", objects=objects)


def test_the_page_stands_alone_and_escapes_every_text(project):
    said = said_by(project, {"calm-otter": Skill(), "=cmd|'/c calc'!A1": PEOPLE["random"], EVIL: Skill(miss=0.5)})
    page = write_report(project, make_outcome(project, said, model))
    text = page.read_text(encoding="utf-8")
    parsed = Page(text)
    assert "script" not in parsed.tags and EVIL in parsed.text and EVIL not in text
    beside = {f"{name}.csv" for name in ("people", "volumes", "agreement", "slices")}
    assert all(one.startswith("#") or one in beside for one in parsed.addresses)
    assert "http" not in text.replace("http-equiv", "") and "url(" not in text and "@import" not in text
    assert {"title", "main", "h1", "svg", "table"} <= set(parsed.tags)
    rows = list(csv.DictReader(io.StringIO((page.parent / "people.csv").read_text(encoding="utf-8"))))
    assert [row["person"] for row in rows if "cmd" in row["person"]] == ["'=cmd|'/c calc'!A1"]
    assert {"iou", "iou_ci95_lower", "iou_ci95_upper", "seconds", "words"} <= set(rows[0])


def test_it_tells_what_was_found(project):
    said = said_by(project, {"a": Skill(), "b": Skill(), "dice": Skill()})
    far = Box2D(24, 31, 26, 35)
    said = replace(said, answers=tuple(replace(o, boxes_rc=(far,)) if (o.person, o.kind) == ("dice", "box") else o for o in said.answers))
    page = write_report(project, make_outcome(project, said, None))
    text = Page(page.read_text(encoding="utf-8")).text
    assert "Answers without looking, or on the wrong side, by dice" in text
    assert "alpha " in text and "slices are in doubt" in text and "no masks were made" in text
    slices = list(csv.DictReader(io.StringIO((page.parent / "slices.csv").read_text(encoding="utf-8"))))
    assert float(slices[0]["doubt"]) >= float(slices[-1]["doubt"]) and slices[0]["reasons"]
    assert len(slices) == 16
    volumes = list(csv.DictReader(io.StringIO((page.parent / "volumes.csv").read_text(encoding="utf-8"))))
    assert [row["volume"] for row in volumes] == ["p0", "p1"] and {row["volume_ml"] for row in volumes} == {""}


def test_the_same_outcome_gives_the_same_page(project):
    outcome = make_outcome(project, said_by(project, {"a": Skill(), "b": PEOPLE["typical"]}), model)
    page = write_report(project, outcome)
    first = page.read_bytes()
    assert write_report(project, outcome).read_bytes() == first


def test_every_slice_in_doubt_is_in_the_table_of_volumes_too(tmp_path):
    project = a_crowd_project(tmp_path / "balls", depth=12, slices={"every": 3})
    outcome = make_outcome(project, said_by(project, {"a": Skill(), "b": Skill(miss=0.5)}), model)
    page = write_report(project, outcome)
    rows = list(csv.DictReader(io.StringIO((page.parent / "volumes.csv").read_text(encoding="utf-8"))))
    doubtful = sum(one.value >= DOUBTFUL for one in outcome.doubts.values())
    assert sum(int(row["in_doubt"]) for row in rows) == doubtful > 0
    assert f"{doubtful} slice" in Page(page.read_text(encoding="utf-8")).text
    assert any(task not in outcome.consensus for task in outcome.doubts)


@pytest.mark.parametrize("way", ["majority", "slice"])
def test_agreement_tells_dice_of_boxes_and_of_peoples_masks_where_there_are_such(project, way):
    pytest.importorskip("SimpleITK")
    said = said_by(project, {"a": Skill(), "b": PEOPLE["too_large"]})
    page = write_report(project, make_outcome(project, said, model, way))
    rows = list(csv.DictReader(io.StringIO((page.parent / "agreement.csv").read_text(encoding="utf-8"))))
    assert all(float(row["box_iou"]) < float(row["box_dice"]) <= 1 for row in rows)
    assert [bool(row["mask_dice"]) for row in rows] == [way == "majority"] * len(rows)


def test_slices_with_a_known_answer_are_not_counted_as_asked(tmp_path):
    project = a_crowd_project(tmp_path / "balls", volumes=2, gold=1)
    said = said_by(project, {"a": Skill()})
    asked = {task for task in project.tasks() if task not in said.gold}
    assert asked and asked != set(project.tasks())
    page = write_report(project, make_outcome(project, said, None))
    assert f"by 1 person on {len(asked)} of {len(asked)} slices" in Page(page.read_text(encoding="utf-8")).text
    rows = list(csv.DictReader(io.StringIO((page.parent / "volumes.csv").read_text(encoding="utf-8"))))
    assert sum(int(row["asked"]) for row in rows) == sum(int(row["answered"]) for row in rows) == len(asked)


# -- the command ------------------------------------------------------------------------------------------------------------------


def answered(project, people: dict[str, Skill]) -> None:
    """Save answers as people do, on every task that they get."""
    from datetime import datetime, timezone

    import numpy as np

    from SAM2AnnotateLib.crowd.assignment import next_task

    rng, now = np.random.default_rng(5), datetime(2026, 11, 1, tzinfo=timezone.utc)
    said = {(one.task, one.person): one for one in said_by(project, people).answers}
    with CrowdRecords.open(project.folder / "crowd.sqlite", passwords=QUICK_PASSWORDS) as records:
        records.add_project(project)
        for name in people:
            person = records.add_member(project.key, name)
            while hasattr(reservation := next_task(records, project, person, now, rng), "turn"):
                one = said[reservation.turn.task, name]
                records.save_answer(person, reservation.id, one.kind, one.boxes_rc, one.seconds, now=now)


def test_consensus_fills_the_reviewers_queue_and_writes_the_report(tmp_path, capsys):
    project = a_crowd_project(tmp_path / "balls", people_per_slice=2)
    answered(project, {"ann": Skill(), "ben": Skill(miss=0.4)})
    assert main(["crowd", "consensus", str(project.folder), "--without-model"]) == 0
    said = capsys.readouterr().out
    assert "slices are in doubt" in said and "report.html" in said
    page = (project.folder / "consensus" / "report.html").read_text(encoding="utf-8")
    assert ">ann<" not in page and ">ben<" not in page
    with CrowdRecords.open(project.folder / "crowd.sqlite", passwords=QUICK_PASSWORDS) as records:
        queue = records.review_queue(project.key)
        assert queue and all(item.doubtful.reasons for item in queue)
        reviewer = records.add_member(project.key, "rita", "reviewer")
        records.decide(reviewer, queue[0].id, "absent", (), "decision-1")
    assert main(["crowd", "consensus", str(project.folder), "--without-model"]) == 0
    rows = read_outcome(project.folder).items("slices")
    assert [row["source"] for row in rows].count("decision") == 1


def test_answers_that_come_meanwhile_do_no_harm_and_are_told(tmp_path, capsys, monkeypatch):
    from datetime import datetime, timezone

    import numpy as np

    from SAM2AnnotateLib.crowd import outcome
    from SAM2AnnotateLib.crowd.assignment import next_task

    project = a_crowd_project(tmp_path / "balls", volumes=1, people_per_slice=2)
    answered(project, {"ann": Skill()})
    make = outcome.make_outcome

    def while_somebody_answers(*given, **named):
        with CrowdRecords.open(project.folder / "crowd.sqlite", passwords=QUICK_PASSWORDS) as records:
            person = records.add_member(project.key, "ben")
            one = next_task(records, project, person, datetime(2026, 11, 2, tzinfo=timezone.utc), np.random.default_rng(1))
            records.save_answer(person, one.id, "absent", (), 1.0)
        return make(*given, **named)

    monkeypatch.setattr(outcome, "make_outcome", while_somebody_answers)
    assert main(["crowd", "consensus", str(project.folder), "--without-model"]) == 0
    assert "1 answer came meanwhile" in capsys.readouterr().out
    rows = read_outcome(project.folder).items("slices")
    assert len(rows) == 8 and all(len(row["answers"]) == 1 for row in rows)


@pytest.mark.slow
def test_consensus_with_the_bundled_model_is_resumed(tmp_path, capsys):
    project = a_crowd_project(tmp_path / "balls", volumes=1, people_per_slice=1)
    answered(project, {"ann": Skill()})
    assert main(["crowd", "consensus", str(project.folder), "--device", "cpu"]) == 0
    assert "8 masks by 'memory'" in capsys.readouterr().out
    assert main(["crowd", "consensus", str(project.folder), "--device", "cpu"]) == 0
    assert "as before" in capsys.readouterr().err


def test_what_is_wrong_is_told_in_one_line(tmp_path, capsys):
    project = a_crowd_project(tmp_path / "balls")
    assert main(["crowd", "consensus", str(project.folder), "--without-model"]) == 2
    assert "Nobody has answered" in capsys.readouterr().err
    assert main(["crowd", "consensus", str(project.folder), "--doubtful", "7"]) == 2
    assert "--doubtful" in capsys.readouterr().err
    assert main(["crowd", "consensus", str(tmp_path)]) == 2


def test_the_command_knows_every_way():
    assert command._WAYS == WAYS
    assert read_project  # the same project is read by every command


def test_answers_on_a_renamed_volume_are_told_not_dropped_in_silence(tmp_path, capsys):
    project = a_crowd_project(tmp_path / "balls", volumes=2, people_per_slice=1)
    answered(project, {"ann": Skill()})
    with CrowdRecords.open(project.folder / "crowd.sqlite", passwords=QUICK_PASSWORDS) as records:
        gone = sum(one.task.volume == "p1" for one in records.answers(project.key))
    file = project.folder / "project.yaml"
    entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    entries["volumes"][1]["key"] = "second"
    file.write_text(yaml.safe_dump(entries), encoding="utf-8")
    assert {one.key for one in read_project(project.folder).volumes} >= {"p0", "second"}
    for command_line in (["consensus", str(project.folder), "--without-model"], ["status", str(project.folder)]):
        assert main(["crowd", *command_line]) == 0
        said = capsys.readouterr().out
        assert f"{gone} answers are left out: project.yaml names volume p1 no more" in said, said
    assert "left out" in (project.folder / "consensus" / "report.html").read_text(encoding="utf-8")
