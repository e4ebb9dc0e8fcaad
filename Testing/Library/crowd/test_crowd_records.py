"""What the database keeps: answers that are only added, accounts, invites, sessions, reviews, its own form; on SQLite and PostgreSQL."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from crowd_cases import QUICK_PASSWORDS, a_crowd_project
from sqlalchemy import event, text

import SAM2AnnotateLib
from SAM2AnnotateLib.crowd.answers import Task
from SAM2AnnotateLib.crowd.assignment import Done, next_task
from SAM2AnnotateLib.crowd.records import CrowdRecords, Database, Doubtful, Passwords
from SAM2AnnotateLib.crowd.records.tables import Base
from SAM2AnnotateLib.crowd.records.tokens import hash_of
from SAM2AnnotateLib.crowd.records.upgrade import upgrade
from SAM2AnnotateLib.errors import InputError, OutputError
from SAM2AnnotateLib.geometry import Box2D

NOW = datetime(2027, 1, 1, 9, 30, 15, 123456, tzinfo=timezone(timedelta(hours=2)))
BOX, OTHER_BOX = Box2D(2, 9, 3, 8), Box2D(0, 4, 0, 4)
_VERSIONS = Path(SAM2AnnotateLib.__file__).parent / "crowd" / "records" / "migrations" / "versions"
PASSWORD = "three words together"
HOSTILE = [
    "'; DROP TABLE people; --",
    '" OR 1=1 --',
    "Robert'); DELETE FROM answers;--",
    "%_\\",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "a\u0301",
]


@pytest.fixture
def project(tmp_path):
    return a_crowd_project(tmp_path / "balls", volumes=2, gold=1, training_count=2)


@pytest.fixture
def anna(records, project):
    records.add_project(project)
    return records.add_member("balls", "Anna", password=PASSWORD)


def a_turn(records, project, person, now=NOW, seed=0):
    given = next_task(records, project, person, now, np.random.default_rng(seed))
    assert not isinstance(given, Done)
    return given


# -- answers -----------------------------------------------------------------------------------------------------------------------


def test_an_answer_comes_back_as_it_was_said(records, project, anna):
    turn = a_turn(records, project, anna)
    saved = records.save_answer(anna, turn.id, "box", [BOX, OTHER_BOX], 4.25, now=NOW)
    (answer,) = records.answers("balls")
    assert saved.counted and saved.round == 0 and not saved.again
    assert (answer.task, answer.kind, answer.boxes_rc) == (turn.turn.task, "box", (BOX, OTHER_BOX))
    assert answer.seconds == 4.25 and answer.answered == NOW and answer.answered.utcoffset() == timedelta(0)
    assert answer.person == anna.pseudonym and answer.training and answer.gold


def test_answers_are_only_added_and_the_last_counts(records, project, anna):
    turn = a_turn(records, project, anna)
    for kind, boxes in (("box", [BOX]), ("absent", []), ("box", [OTHER_BOX])):
        records.save_answer(anna, turn.id, kind, boxes, now=NOW)
    (answer,) = records.answers("balls")
    assert answer.boxes_rc == (OTHER_BOX,) and answer.round == 2
    assert [one.kind for one in records.answers("balls", every_round=True)] == ["box", "absent", "box"]


def test_answers_to_some_tasks_are_those_of_all_that_are_to_them(records, project, anna):
    for person in (anna, records.add_member("balls", "Ben")):
        for seed in range(5):
            records.save_answer(person, a_turn(records, project, person, seed=seed).id, "box", [BOX])
    every = records.answers("balls")
    wanted = {one.task for one in every[::3]}
    some = records.answers("balls", tasks=wanted)
    assert some == [one for one in every if one.task in wanted] and 0 < len(some) < len(every)
    assert records.answers("balls", tasks=[]) == [] and records.answers("balls", tasks=[Task("p0", "other", 1)]) == []


def test_the_same_client_s_id_saves_once(records, project, anna):
    turn = a_turn(records, project, anna)
    first = records.save_answer(anna, turn.id, "box", [BOX], client_id="client-1", now=NOW)
    again = records.save_answer(anna, turn.id, "box", [BOX], client_id="client-1", now=NOW)
    assert again.again and again.round == first.round == 0 and again.known_boxes_rc == first.known_boxes_rc
    assert len(records.answers("balls", every_round=True)) == 1
    other = a_turn(records, project, anna)
    with pytest.raises(InputError, match="belongs to another answer"):
        records.save_answer(anna, other.id, "absent", client_id="client-1", now=NOW)
    # Ids are a client's own: somebody else's may be the same.
    ben = records.add_member("balls", "Ben")
    turn = a_turn(records, project, ben)
    assert not records.save_answer(ben, turn.id, "absent", client_id="client-1", now=NOW).again


def test_the_same_answer_many_times_at_once_is_saved_once(records, project, anna):
    turn, results = a_turn(records, project, anna), []
    save = lambda: results.append(records.save_answer(anna, turn.id, "box", [BOX], client_id="client-1"))  # noqa: E731
    threads = [threading.Thread(target=save) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8 and Counter(one.again for one in results) == {True: 7, False: 1}
    assert len(records.answers("balls", every_round=True)) == 1


def test_another_s_turn_is_no_turn(records, project, anna):
    turn = a_turn(records, project, anna)
    ben = records.add_member("balls", "Ben")
    assert records.save_answer(ben, turn.id, "absent") is None
    assert records.turn(ben, turn.id) is None and records.release(ben, turn.id) is False
    assert records.answers("balls") == []


@pytest.mark.parametrize(
    ("kind", "boxes", "seconds", "client", "told"),
    [
        ("maybe", [], 0, "client-1", "is one of box, absent, unsure"),
        ("box", [], 0, "client-1", "has boxes if it says 'box'"),
        ("absent", [BOX], 0, "client-1", "has boxes if it says 'box'"),
        ("box", [BOX, BOX], 0, "client-1", "twice"),
        ("box", [Box2D(n, n + 2, 0, 5) for n in range(101)], 0, "client-1", "at most 100 boxes"),
        ("box", [Box2D(-1, 2, 0, 5)], 0, "client-1", "leaves the slice"),
        ("absent", [], -1, "client-1", "'seconds' is 0 or more"),
        ("absent", [], float("nan"), "client-1", "'seconds' is 0 or more"),
        ("absent", [], 0, "' OR 1=1", "'client_id' is"),
        ("absent", [], 0, "x" * 100, "'client_id' is"),
    ],
)
def test_what_is_no_answer_is_refused(tmp_path, kind, boxes, seconds, client, told):
    with CrowdRecords.open("sqlite://") as records:
        project = a_crowd_project(tmp_path / "balls", volumes=1, gold=0)
        records.add_project(project)
        anna = records.add_member("balls", "Anna")
        turn = a_turn(records, project, anna)
        with pytest.raises(InputError, match=told):
            records.save_answer(anna, turn.id, kind, boxes, seconds, client)
        assert records.answers("balls") == []


def test_both_databases_give_the_same_results(tmp_path, postgres_database):
    project = a_crowd_project(tmp_path / "balls", volumes=2, gold=2, gold_share=0.2, training_count=2, people_per_slice=2)
    found = []
    for address in (tmp_path / "crowd.sqlite", postgres_database):
        with CrowdRecords.open(address) as records:
            records.add_project(project)
            people = [records.add_member("balls", f"Person {n}") for n in range(3)]
            numbers = {person.pseudonym: n for n, person in enumerate(people)}
            rng = np.random.default_rng(5)
            now, left = NOW, list(people)
            while left:
                person = left[int(rng.integers(len(left)))]
                now += timedelta(minutes=float(rng.uniform(0, 12)))
                given = next_task(records, project, person, now, rng)
                if isinstance(given, Done):
                    left.remove(person)
                elif rng.random() < 0.8:  # the others stop for a while, and come back late
                    kind = ("box", "absent", "unsure")[int(rng.integers(3))]
                    delay = timedelta(minutes=float(rng.choice([1, 30])))
                    records.save_answer(person, given.id, kind, [BOX] if kind == "box" else [], 1.5, now=now + delay)
            rows = [(numbers[one.person], one.task, one.kind, one.boxes_rc, one.seconds, one.answered, one.gold, one.training, one.round)
                    for one in records.answers("balls", aside=True, every_round=True)]  # fmt: skip
            progress = records.progress("balls", now).to_json()
            for one in progress["people"]:
                one["person"] = numbers[one["person"]]
            found.append((rows, progress, records.gold_answers("balls")))
    assert found[0] == found[1]
    assert len(found[0][0]) > 35


# -- people ------------------------------------------------------------------------------------------------------------------------


def test_an_invite_lets_in_as_many_as_it_says_and_is_kept_as_a_hash(records, project, database):
    records.add_project(project)
    token = records.make_invite("balls", uses=2, role="reviewer")
    joined = [records.join(token, name, PASSWORD) for name in ("One", "Two", "Three")]
    assert joined[2] is None and joined[0].pseudonym != joined[1].pseudonym
    assert {member.role for member in records.members("balls")} == {"reviewer"}
    assert records.join("nonsense", "Four", PASSWORD) is None
    assert "Three" not in {member.person.name for member in records.members("balls")}
    with records.database.read() as session:
        kept = str(session.execute(text("SELECT * FROM invites")).all()) + str(session.execute(text("SELECT * FROM people")).all())
    assert token not in kept and PASSWORD not in kept


def test_the_last_use_of_an_invite_is_one_person_s(records, project):
    records.add_project(project)
    token, joined = records.make_invite("balls"), []
    threads = [threading.Thread(target=lambda n=n: joined.append(records.join(token, f"Person {n}", PASSWORD))) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in joined if one is not None]) == 1 and len(records.members("balls")) == 1


def test_an_invite_and_a_session_are_over_in_time(records, project, anna):
    token = records.make_invite("balls", days=1, now=NOW)
    assert records.join(token, "Late", PASSWORD, now=NOW + timedelta(days=1)) is None
    assert records.join(token, "Early", PASSWORD, now=NOW + timedelta(hours=23)) is not None
    session = records.open_session(anna, hours=2, now=NOW)
    assert records.session_person(session, now=NOW + timedelta(minutes=119)) == anna
    assert records.session_person(session, now=NOW + timedelta(hours=2)) is None
    other = records.open_session(anna, now=NOW)
    records.end_session(other)
    assert records.session_person(other, now=NOW) is None
    assert records.session_person("nonsense", now=NOW) is None


def test_a_revoked_invite_lets_nobody_in_and_is_kept_as_it_was(records, project, anna):
    tokens = [records.make_invite("balls", role, uses=3, note=role, now=NOW) for role in ("annotator", "reviewer")]
    used_up, over = records.make_invite("balls", by=anna, now=NOW), records.make_invite("balls", days=1, now=NOW)
    ben, later = records.join(tokens[0], "Ben", PASSWORD, now=NOW), NOW + timedelta(days=2)
    records.join(used_up, "Ben", PASSWORD, now=NOW)
    revoked = records.revoke_invite("balls", 1, now=NOW)
    assert (revoked.number, revoked.role, revoked.state, revoked.revoked, revoked.uses_left) == (1, "annotator", "revoked", NOW, 2)
    assert records.join(tokens[0], "Carl", PASSWORD, now=NOW) is None and ben in [one.person for one in records.members("balls")]
    assert records.revoke_invite("balls", tokens[0], now=later) == revoked  # again: as it was
    assert records.join(tokens[1], "Dora", PASSWORD, now=NOW) is not None
    assert records.revoke_invite("balls", tokens[1], now=later).number == 2
    listed = records.invites("balls", now=later)
    assert [(one.state, one.uses_left, one.note) for one in listed] == [
        ("revoked", 2, "annotator"), ("revoked", 2, "reviewer"), ("used up", 0, ""), ("over", 1, ""),
    ]  # fmt: skip
    assert [one.state for one in records.invites("balls", now=NOW)][2:] == ["used up", "open"]
    assert records.join(over, "Eve", PASSWORD, now=NOW) is not None
    for wrong in (0, 5, -1, "nonsense", ""):
        with pytest.raises(InputError, match="This project has no invite"):
            records.revoke_invite("balls", wrong)


def test_an_invite_is_revoked_in_its_own_project_alone(records, project, tmp_path):
    records.add_project(project)
    records.add_project(a_crowd_project(tmp_path / "other", volumes=1, gold=0))
    token, mine = records.make_invite("other"), records.make_invite("balls")
    with pytest.raises(InputError, match="no invite of this link"):
        records.revoke_invite("balls", token)
    assert records.revoke_invite("balls", 1).state == "revoked" and [one.state for one in records.invites("other")] == ["open"]
    assert records.join(token, "Anna", PASSWORD) is not None and records.join(mine, "Ben", PASSWORD) is None


def test_names_are_one_person_s_whatever_their_case(records, project, anna):
    token = records.make_invite("balls", uses=9)
    for name in ("anna", " ANNA ", "\uff21nna"):
        with pytest.raises(InputError, match="is taken"):
            records.join(token, name, "quite another one")
    # With the password it is the same person, who joins with the account.
    assert records.join(token, "anna", PASSWORD) == anna
    assert records.sign_in("Anna", PASSWORD) == anna
    assert records.sign_in("Anna", PASSWORD + "x") is None and records.sign_in("Nobody", PASSWORD) is None
    assert records.sign_in(records.add_member("balls", "Simulated").name, "") is None


def test_a_role_only_rises(records, project, anna):
    records.join(records.make_invite("balls", role="owner"), "Anna", PASSWORD)
    records.join(records.make_invite("balls", role="annotator"), "Anna", PASSWORD)
    (member,) = records.memberships(anna)
    assert member.role == "owner" and member.may("reviewer") and member.may("annotator")


def test_who_is_shut_out_is_out_at_once_and_a_new_password_ends_the_old_one(records, project, anna):
    session = records.open_session(anna)
    turn = a_turn(records, project, anna)
    records.set_disabled("balls", "ANNA", True)
    assert records.session_person(session) is None and records.sign_in("Anna", PASSWORD) is None and records.disabled("balls") == {anna}
    with pytest.raises(InputError, match="is taken"):
        records.join(records.make_invite("balls"), "Anna", PASSWORD)
    records.set_disabled("balls", "Anna", False)
    assert records.sign_in("Anna", PASSWORD) == anna
    session, password = records.open_session(anna), records.new_password("balls", "Anna")
    assert records.session_person(session) is None and records.sign_in("Anna", PASSWORD) is None
    assert records.sign_in("Anna", password) == anna and records.new_password("balls", "Anna") != password
    assert records.save_answer(anna, turn.id, "absent").counted
    for name in ("Nobody", "\x00", "'; --"):
        with pytest.raises(InputError, match="Nobody in this project|holds something that cannot be kept"):
            records.new_password("balls", name)


def test_few_passwords_are_hashed_at_once(monkeypatch):
    passwords, now, most = Passwords(memory_kib=64, time_cost=1), [], []

    class Slow:
        def verify(self, kept, password):
            now.append(1)
            most.append(len(now))
            time.sleep(0.01)
            now.pop()
            return True

    monkeypatch.setattr(passwords, "_hasher", Slow())
    threads = [threading.Thread(target=passwords.fits, args=("password", "kept")) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 12 and max(most) == 2


@pytest.mark.parametrize("password", ["short", "x" * 300, "aaaaaaaaaaaa", "somebody elsE"])
def test_a_password_that_others_would_guess_is_refused(password):
    with pytest.raises(InputError, match="A password has|first that others would try"):
        QUICK_PASSWORDS.hash(password, "Somebody Else")


def test_a_password_is_the_same_however_a_keyboard_writes_it():
    kept = QUICK_PASSWORDS.hash("pass w\u00f6rter drei")
    assert QUICK_PASSWORDS.fits("pass wo\u0308rter drei", kept)
    assert not QUICK_PASSWORDS.fits("pass worter drei", kept) and not QUICK_PASSWORDS.fits("x" * 5000, kept)


def test_real_passwords_take_argon2id_and_64_mb():
    assert Passwords().hash(PASSWORD).startswith("$argon2id$v=19$m=65536,t=3,p=1$")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_looks_like_sql_is_text(records, project, anna, hostile):
    person = records.join(records.make_invite("balls", note=hostile), hostile, PASSWORD)
    assert person.name == hostile or person.name == "\u00e1"
    assert records.sign_in(hostile, PASSWORD) == person
    assert records.sign_in("Anna", hostile) is None and records.session_person(hostile) is None
    assert records.join(hostile, "Somebody", PASSWORD) is None and records.save_answer(anna, hostile, "absent") is None
    with pytest.raises(InputError, match="has no project"):
        records.answers(hostile)
    assert {one.person.name for one in records.members("balls")} == {"Anna", person.name}


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00b", "x" * 100, "\u202egnorw"])
def test_a_name_is_one_line(records, project, name):
    records.add_project(project)
    with pytest.raises(InputError, match="A name has 1 to 60 letters"):
        records.join(records.make_invite("balls"), name, PASSWORD)


def test_nothing_that_is_exported_holds_a_name(records, project):
    records.add_project(project)
    person = records.add_member("balls", "Erika Mustermann")
    records.save_answer(person, a_turn(records, project, person).id, "absent")
    records.set_doubtful("balls", [Doubtful(project.tasks()[0], 0.5)])
    records.decide(person, records.review_queue("balls")[0].id, "absent")
    exported = str(records.answers("balls")) + str(records.decisions("balls")) + str(records.progress("balls").to_json())
    assert "Mustermann" not in exported and exported.count(person.pseudonym) == 3


# -- review ------------------------------------------------------------------------------------------------------------------------


def test_the_queue_is_most_doubtful_first_and_a_decision_is_final_until_there_is_another(records, project, anna):
    tasks = project.tasks()
    records.set_doubtful(
        "balls", [Doubtful(tasks[0], 0.2), Doubtful(tasks[1], 0.9, ("No two agree.",), (BOX,), (((0.5, 1.0), (2.0, 3.0)),))]
    )
    first, second = records.review_queue("balls")
    assert (
        first.doubtful == Doubtful(tasks[1], 0.9, ("No two agree.",), (BOX,), (((0.5, 1.0), (2.0, 3.0)),)) and second.doubtful.doubt == 0.2
    )
    assert records.decide(anna, first.id, "box", [BOX], "client-1") and records.decide(anna, first.id, "box", [BOX], "client-1")
    assert records.decide(anna, first.id, "box", [OTHER_BOX], "client-2")
    decision = records.decisions("balls")[tasks[1]]
    assert decision.boxes_rc == (OTHER_BOX,) and decision.reviewer == anna.pseudonym
    assert [one.doubtful.task for one in records.review_queue("balls")] == [tasks[0]]
    assert len(records.review_queue("balls", decided=True)) == 2
    # A new queue: what was decided stays decided, what is not in it is no longer asked.
    records.set_doubtful("balls", [Doubtful(tasks[1], 0.4)])
    assert records.review_queue("balls") == [] and tasks[1] in records.decisions("balls")
    assert records.progress("balls").to_review == 0
    with pytest.raises(InputError, match="The database has no task"):
        records.set_doubtful("balls", [Doubtful(Task("gone", "ball", 1), 0.4)])
    with pytest.raises(InputError, match="another decision"):
        records.set_doubtful("balls", [Doubtful(tasks[0], 0.4)])
        records.decide(anna, records.review_queue("balls")[0].id, "absent", client_id="client-1")
    assert records.decide(anna, "nonsense", "absent") is False


# -- projects ----------------------------------------------------------------------------------------------------------------------


def test_the_training_round_stays_when_known_answers_are_added(records, tmp_path):
    small = a_crowd_project(tmp_path / "balls", volumes=1, gold=1, training_count=4)
    records.add_project(small)
    before = {task for task in records.gold_answers("balls") if _kind(records, task) == "training"}
    records.add_project(a_crowd_project(tmp_path / "balls", volumes=1, gold=3, training_count=4))
    assert {task for task in records.gold_answers("balls") if _kind(records, task) == "training"} == before and len(before) == 4


def _kind(records, task):
    with records.database.read() as session:
        query = text('SELECT kind FROM tasks WHERE volume = :volume AND "object" = :object AND "position" = :position')
        return session.execute(query, {"volume": task.volume, "object": task.object, "position": task.position}).scalar_one()


def test_a_training_round_without_known_answers_is_told(records, tmp_path):
    with pytest.raises(InputError, match="only 0 answers are known"):
        records.add_project(a_crowd_project(tmp_path / "balls", volumes=1, gold=0, training_count=3))


# -- the database itself -----------------------------------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_that_the_program_knows(records):
    with records.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_an_older_database_is_upgraded_after_a_copy_and_a_newer_one_is_refused(tmp_path, database, project):
    with CrowdRecords.open(database) as records:
        records.add_project(project)
        records.add_member("balls", "Anna")
        assert records.backup is None
    newer = tmp_path / "versions"
    shutil.copytree(_VERSIONS, newer)
    (newer / "r9999_next.py").write_text(
        'import sqlalchemy as sa\nfrom alembic import op\nrevision = "9999"\ndown_revision = "0002"\n'
        'def upgrade():\n    op.add_column("people", sa.Column("mail", sa.String(80), nullable=True))\n'
    )
    with closing(Database(database)) as opened:
        with pytest.raises(InputError, match="has the form of an older version of SAM2Annotate .'0002'.. Stop the server"):
            upgrade(opened, newer, may_upgrade=False)
        copy = upgrade(opened, newer)
        with opened.read() as session:
            assert session.execute(text("SELECT name, mail FROM people")).all() == [("Anna", None)]
        assert upgrade(opened, newer) is None
    if copy is not None:
        assert Path(copy).stat().st_mode & 0o077 == 0
        with closing(sqlite3.connect(copy)) as old:
            assert old.execute("SELECT name FROM people").fetchall() == [("Anna",)]
            assert "mail" not in str(old.execute("SELECT sql FROM sqlite_master").fetchall())
    assert (copy is not None) == database.endswith(".sqlite")
    with pytest.raises(InputError, match="made by a newer version of SAM2Annotate .its form is '9999'.. Use that version"):
        CrowdRecords.open(database)


def test_invites_of_the_first_form_are_open_after_the_upgrade(tmp_path, database):
    first = tmp_path / "first"
    first.mkdir()
    shutil.copy(_VERSIONS / "r0001_first.py", first)
    token, made, end = "a token of the first form", "2027-01-01 09:00:00.000000", "2100-01-01 09:00:00.000000"
    with closing(Database(database)) as opened:
        upgrade(opened, first)
        with opened.write() as session:
            session.execute(
                text("INSERT INTO projects (id, public_id, key, title, created) VALUES (1, 'x', 'balls', 'Balls', :made)"), {"made": made}
            )
            session.execute(
                text(
                    "INSERT INTO invites (project_id, token_hash, role, uses_left, created, expires, note) "
                    "VALUES (1, :hash, 'owner', 1, :made, :end, '')"
                ),
                {"hash": hash_of(token), "made": made, "end": end},
            )
    with CrowdRecords.open(database, passwords=QUICK_PASSWORDS) as records:
        assert (records.backup is None) != database.endswith(".sqlite")
        assert [(one.state, one.revoked) for one in records.invites("balls")] == [("open", None)]
        assert records.join(token, "Anna", PASSWORD) is not None


def test_an_upgrade_that_fails_changes_nothing(tmp_path, database, project):
    with CrowdRecords.open(database) as records:
        records.add_project(project)
        records.add_member("balls", "Anna")
    newer = tmp_path / "versions"
    shutil.copytree(_VERSIONS, newer)
    (newer / "r9999_next.py").write_text(
        'from alembic import op\nrevision = "9999"\ndown_revision = "0002"\n'
        'def upgrade():\n    op.drop_table("decisions")\n    op.execute("SELECT nothing FROM nowhere")\n'
    )
    with closing(Database(database)) as opened, pytest.raises(OutputError, match="Nothing was changed there"):
        upgrade(opened, newer)
    with CrowdRecords.open(database) as records:
        assert [one.person.name for one in records.members("balls")] == ["Anna"] and records.decisions("balls") == {}


def test_a_database_of_something_else_is_refused(tmp_path):
    file = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE people (name TEXT)")
    with pytest.raises(InputError, match="holds tables of something else"):
        CrowdRecords.open(file)
    file.write_bytes(b"no database at all, whatever it is called" * 100)
    with pytest.raises(OutputError, match="not a database"):
        CrowdRecords.open(file)


@pytest.mark.parametrize(
    ("address", "told"),
    [("mysql://a/b", "sqlite or postgresql, not in mysql"), ("://", "is none"), ("postgresql://user:secret@127.0.0.1:1/none", "cannot be")],
)
def test_an_address_that_is_none_is_told_without_its_password(address, told):
    with pytest.raises((InputError, OutputError), match=told) as caught:
        CrowdRecords.open(address)
    assert "secret" not in str(caught.value)


def test_the_file_is_its_owner_s_alone(tmp_path):
    with CrowdRecords.open(tmp_path / "crowd.sqlite") as records:
        assert records.database.file.stat().st_mode & 0o077 == 0 and records.database.is_private()
        records.database.file.chmod(0o666)
        assert not records.database.is_private()
    with pytest.raises(OutputError, match="Cannot make the database"):
        CrowdRecords.open(tmp_path / "gone" / "crowd.sqlite")


# -- faults ------------------------------------------------------------------------------------------------------------------------


def test_while_another_program_locks_the_database_nothing_is_called_saved(tmp_path, project):
    file = tmp_path / "crowd.sqlite"
    with CrowdRecords.open(file, busy_seconds=0.1) as records:
        records.add_project(project)
        anna = records.add_member("balls", "Anna")
        turn = a_turn(records, project, anna)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(OutputError, match="cannot be written: database is locked. Nothing was changed"):
                records.save_answer(anna, turn.id, "box", [BOX], client_id="client-1")
            assert records.answers("balls") == []  # readers go on
            other.execute("ROLLBACK")
        assert not records.save_answer(anna, turn.id, "box", [BOX], client_id="client-1").again
        assert len(records.answers("balls")) == 1


def test_in_postgresql_a_writer_that_waits_too_long_is_told(postgres_database, project):
    with CrowdRecords.open(postgres_database, busy_seconds=0.2) as records, CrowdRecords.open(postgres_database) as other:
        records.add_project(project)
        anna = records.add_member("balls", "Anna")
        turn = a_turn(records, project, anna)
        with other.database.write() as session:
            session.execute(text("SELECT * FROM projects FOR UPDATE"))
            with pytest.raises(OutputError, match="cannot be written: .*lock timeout.* Nothing was changed"):
                records.save_answer(anna, turn.id, "box", [BOX], client_id="client-1")
        assert records.save_answer(anna, turn.id, "box", [BOX], client_id="client-1").counted


def test_when_the_disk_is_full_what_was_saved_is_there_and_the_rest_can_be_sent_again(tmp_path):
    project = a_crowd_project(tmp_path / "balls", volumes=4, gold=0, depth=16)
    with CrowdRecords.open(tmp_path / "crowd.sqlite") as records:
        records.add_project(project)
        anna = records.add_member("balls", "Anna")
        with records.database.read() as session:
            pages = session.execute(text("PRAGMA page_count")).scalar_one()

        @event.listens_for(records.database.engine, "begin")
        def limited(connection):
            connection.exec_driver_sql(f"PRAGMA max_page_count = {limit}")

        limit, called_saved, pending = pages + 3, [], None
        boxes = [Box2D(n, n + 2, 0, 30) for n in range(90)]
        with pytest.raises(OutputError, match="cannot be written: database or disk is full. Nothing was changed"):
            for _ in range(60):
                turn = a_turn(records, project, anna, seed=len(called_saved))
                pending = (turn.id, f"client-{len(called_saved)}")
                records.save_answer(anna, turn.id, "box", boxes, client_id=pending[1], now=NOW)
                called_saved.append(turn.turn.task)
        assert 2 < len(called_saved) < 60
        assert sorted(called_saved) == [one.task for one in records.answers("balls", every_round=True)]
        limit = pages + 10_000
        if pending is not None and records.turn(anna, pending[0]) is not None:
            records.save_answer(anna, pending[0], "box", boxes, client_id=pending[1], now=NOW)
        assert len(records.answers("balls", every_round=True)) in (len(called_saved), len(called_saved) + 1)
        with records.database.read() as session:
            assert session.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
