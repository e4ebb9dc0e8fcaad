"""CrowdRecords: all that a crowd project keeps, behind one door. Imports the rest of this room."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ...errors import InputError
from ...geometry import Box2D
from ..answers import Answer, GoldAnswer, Task, check_boxes
from ..project import CrowdProject, gold_answers
from . import answers, invites, people, projects, reviews, tokens
from .columns import utc_now
from .database import BUSY_SECONDS, Database
from .passwords import Passwords
from .progress import Progress, progress_of
from .tables import MembershipRow, PersonRow, ProjectRow, TaskRow
from .turns import find_turn, give_up_held, lock_project_of, turn_from
from .upgrade import upgrade
from .values import Decision, Doubtful, Invite, Member, Person, ReviewItem, Role, Saved, Turn

DATABASE_FILE = "crowd.sqlite"


class CrowdRecords:
    """People, tasks, answers and decisions of any number of projects in one database.

    Whatever a method that writes has returned is on disk. One that raised changed nothing, and may be called again.

    Args:
        database: whose tables are there, see `open`.
        passwords: how passwords are kept; made when they are first needed.
    """

    def __init__(self, database: Database, passwords: Passwords | None = None):
        self.database = database
        self.backup: str | None = None
        self._passwords = passwords

    @classmethod
    def open(
        cls,
        address: str | Path,
        *,
        durable: bool = True,
        passwords: Passwords | None = None,
        busy_seconds: float = BUSY_SECONDS,
        may_upgrade: bool = True,
    ) -> CrowdRecords:
        """Open a database; make it, or bring it to this version's form, where that is to be done.

        Args:
            address: path of a SQLite file, ``sqlite://`` for one in memory, or ``postgresql://USER:PASSWORD@HOST/NAME``.
            durable: whether to wait for the disk at each commit; only simulations do without.
            passwords: how passwords are kept.
            busy_seconds: how long a writer waits for another.
            may_upgrade: whether a database of an older form is brought to this version's.

        Raises:
            InputError: if the address is none, or the database is newer than this program, or older and may not be upgraded.
            OutputError: if it cannot be opened or written.
        """
        database = Database(address, durable, busy_seconds)
        try:
            backup = upgrade(database, may_upgrade=may_upgrade)
        except BaseException:
            database.close()
            raise
        records = cls(database, passwords)
        records.backup = backup
        return records

    def __enter__(self) -> CrowdRecords:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    @property
    def passwords(self) -> Passwords:
        """How passwords are kept."""
        if self._passwords is None:
            self._passwords = Passwords()
        return self._passwords

    # -- projects ----------------------------------------------------------------------------------------------------------------

    def add_project(self, project: CrowdProject, gold: Mapping[Task, GoldAnswer] | None = None, now: datetime | None = None) -> str:
        """Bring a project's tasks to what project.yaml says now; returns its id for addresses.

        Args:
            project: as it was read.
            gold: known answers; by default those that the project names.
            now: by default this moment.

        Raises:
            InputError: if there are too few known answers for the training round.
        """
        gold = gold_answers(project) if gold is None else gold
        with self.database.write() as session:
            trained = [
                Task(one.volume, one.object, one.position)
                for one in session.scalars(
                    select(TaskRow)
                    .join(ProjectRow, ProjectRow.id == TaskRow.project_id)
                    .where(ProjectRow.key == project.key, TaskRow.kind == "training", TaskRow.active)
                )
            ]
            plans = projects.plan_of(project, gold, trained)
            return projects.sync_project(session, project, plans, now or utc_now()).public_id

    def projects(self) -> dict[str, str]:
        """Ids of all projects by key."""
        with self.database.read() as session:
            return {row.key: row.public_id for row in session.scalars(select(ProjectRow).order_by(ProjectRow.key))}

    def progress(self, project: str, now: datetime | None = None) -> Progress:
        """How far a project is, by volume and by person. Raises InputError if there is no project of this key."""
        with self.database.read() as session:
            return progress_of(session, answers.project_row(session, project), now or utc_now())

    # -- people ------------------------------------------------------------------------------------------------------------------

    def add_member(
        self, project: str, name: str, role: Role = "annotator", password: str | None = None, now: datetime | None = None
    ) -> Person:
        """A new account in a project, without an invite: for simulations (no password: nobody can sign in) and tests.

        Raises:
            InputError: if the name is taken or none, or there is no such project.
        """
        kept = "" if password is None else self.passwords.hash(password, name)
        now = now or utc_now()
        with self.database.write() as session:
            row = people.add_person(session, name, kept, now)
            people.set_role(session, row.id, answers.project_row(session, project).id, role, now)
            return people.person_from(row)

    def make_invite(
        self,
        project: str,
        role: Role = "annotator",
        days: float = 14,
        uses: int = 1,
        note: str = "",
        by: Person | None = None,
        now: datetime | None = None,
    ) -> str:
        """An invite's token, told this once.

        Raises:
            InputError: if there is no such project, or role, days, uses or note are none.
        """
        with self.database.write() as session:
            row = answers.project_row(session, project)
            return invites.add_invite(session, row.id, role, days, uses, note, None if by is None else by.id, now or utc_now())

    def invites(self, project: str, now: datetime | None = None) -> list[Invite]:
        """All invites that were ever made, the first one first. Raises InputError if there is no project of this key."""
        with self.database.read() as session:
            return invites.invites_of(session, answers.project_row(session, project).id, now or utc_now())

    def revoke_invite(self, project: str, invite: int | str, now: datetime | None = None) -> Invite:
        """Let nobody in by an invite any more, at once; who joined by it stays, and so does what is known of it.

        Args:
            project: its key.
            invite: number, as `invites` has it, or token.
            now: by default this moment.

        Raises:
            InputError: if there is no such project, or it has no such invite.
        """
        with self.database.write() as session:
            return invites.revoke_invite(session, answers.project_row(session, project).id, invite, now or utc_now())

    def join(self, invite: str, name: str, password: str, now: datetime | None = None) -> Person | None:
        """Take an invite: with a new account, or with one's own.

        Returns:
            Who it is; None if the invite is none, or over.

        Raises:
            InputError: if the name is taken and this is not its password, or name or password are none.
        """
        now, name = now or utc_now(), people.checked_name(name)
        with self.database.read() as session:
            if not invites.is_open(session, invite, now):  # first: without an invite nobody learns which names there are
                return None
            known = people.find_person(session, name)
        if known is None:
            kept = self.passwords.hash(password, name)
        elif not self.passwords.fits(password, known.password) or known.disabled:
            raise InputError(f"The name '{known.name}' is taken.", "Choose another one; if it is yours, give its password.")
        try:
            with self.database.write() as session:
                invited = invites.use_invite(session, invite, now)
                if invited is None:
                    return None
                row = people.add_person(session, name, kept, now) if known is None else known
                people.set_role(session, row.id, invited.project_id, invited.role, now)  # type: ignore[arg-type]
                return people.person_from(row)
        except IntegrityError as exc:  # somebody else took the name meanwhile
            raise InputError("The name is taken.", "Choose another one.") from exc

    def sign_in(self, name: str, password: str) -> Person | None:
        """Whose name and password these are, or None; takes the same time for a name that nobody has."""
        with self.database.read() as session:
            row = people.find_person(session, name)
        fits = self.passwords.fits(password, "" if row is None else row.password)
        return people.person_from(row) if row is not None and fits and not row.disabled else None

    def open_session(self, person: Person, hours: float = 12, now: datetime | None = None) -> str:
        """A token for the cookie of a browser that signed in."""
        with self.database.write() as session:
            return tokens.add_session(session, person.id, hours, now or utc_now())

    def session_person(self, token: str, now: datetime | None = None) -> Person | None:
        """Who is signed in with this token, or None."""
        with self.database.read() as session:
            row = tokens.session_person(session, token, now or utc_now())
            return None if row is None else people.person_from(row)

    def end_session(self, token: str, successor: Person | None = None, now: datetime | None = None) -> None:
        """Sign out: what the person held is there for others at once.

        Args:
            token: of the session; one that is none changes nothing.
            successor: who signs in instead, in the same browser; somebody who signs in anew keeps what they hold.
            now: by default this moment.
        """
        with self.database.write() as session:
            person_id = tokens.end_session(session, token)
            if person_id is not None and (successor is None or successor.id != person_id):
                give_up_held(session, person_id, now or utc_now())

    def memberships(self, person: Person) -> list[Member]:
        """All projects that a person is in."""
        with self.database.read() as session:
            return people.memberships(session, person.id)

    def members(self, project: str) -> list[Member]:
        """Everybody in a project. Raises InputError if there is no project of this key."""
        with self.database.read() as session:
            return people.members(session, answers.project_row(session, project).id)

    def disabled(self, project: str) -> set[Person]:
        """Who is shut out of a project's database. Raises InputError if there is no project of this key."""
        with self.database.read() as session:
            return {people.person_from(row) for row in people.rows_of(session, answers.project_row(session, project).id) if row.disabled}

    def set_disabled(self, project: str, name: str, disabled: bool, now: datetime | None = None) -> None:
        """Shut somebody of a project out of the database, or let them in again; others get at once what they held.

        Raises:
            InputError: if nobody has this name.
        """
        with self.database.write() as session:
            row = people.member_named(session, answers.project_row(session, project).id, name)
            row.disabled = disabled
            tokens.end_sessions(session, row.id)
            if disabled:
                give_up_held(session, row.id, now or utc_now())

    def new_password(self, project: str, name: str) -> str:
        """Give somebody of a project a new password, told this once, and sign them out. Raises InputError if nobody has this name."""
        password = tokens.new_password()
        kept = self.passwords.hash(password)
        with self.database.write() as session:
            row = people.member_named(session, answers.project_row(session, project).id, name)
            row.password = kept
            tokens.end_sessions(session, row.id)
        return password

    # -- answers -----------------------------------------------------------------------------------------------------------------

    def save_answer(
        self,
        person: Person,
        turn: str,
        kind: str,
        boxes_rc: Sequence[Box2D] = (),
        seconds: float = 0.0,
        client_id: str | None = None,
        now: datetime | None = None,
    ) -> Saved | None:
        """Add an answer to one of a person's turns. Once this returns, the answer is on disk.

        Args:
            person: who answers.
            turn: the id of a `Turn` of this person; it may have expired.
            kind: as in an `Answer`.
            boxes_rc: half-open, in rows and columns of the upright slice.
            seconds: that it took.
            client_id: made by whoever sends the answer; the same again saves nothing twice. None for a new one.
            now: by default this moment.

        Returns:
            What was saved; None if this person has no such turn.

        Raises:
            InputError: if this is no answer, or the client's id belongs to another.
            OutputError: if it could not be written: nothing is saved then, and the same call may be made again.
        """
        client_id = tokens.new_id() if client_id is None else client_id
        answers.require_answer(kind, boxes_rc, seconds, client_id)
        for last_try in (False, True):
            try:
                with self.database.write() as session:
                    return answers.save(session, person.id, turn, kind, boxes_rc, seconds, client_id, now or utc_now())
            except IntegrityError:  # the same answer came twice at once; it is there now
                if last_try:
                    raise
        return None

    def release(self, person: Person, turn: str) -> bool:
        """Give a turn back unless it is answered; whether this person has such a turn."""
        with self.database.write() as session:
            row = find_turn(session, turn, person.id)
            if row is None:
                return False
            lock_project_of(session, row.task_id)
            session.refresh(row)
            if row.state == "open":
                row.state = "released"
            return True

    def turn(self, person: Person, turn: str) -> tuple[Member, Turn] | None:
        """A person's own turn, and what they are in its project; None if it is not theirs, or they are no longer in it."""
        with self.database.read() as session:
            row = find_turn(session, turn, person.id)
            if row is None:
                return None
            member = self._member(session, person.id, row.task.project_id)
            return None if member is None else (member, turn_from(row))

    def answers(self, project: str, aside: bool = False, every_round: bool = False, tasks: Collection[Task] | None = None) -> list[Answer]:
        """Answers of a project under pseudonyms, sorted by task.

        Args:
            project: its key.
            aside: those too that came when enough others had answered.
            every_round: all that a person said about a task, not the last alone.
            tasks: to these alone.

        Raises:
            InputError: if there is no project of this key.
        """
        with self.database.read() as session:
            return answers.all_answers(session, answers.project_row(session, project).id, aside, every_round, tasks)

    def gold_answers(self, project: str) -> dict[Task, GoldAnswer]:
        """Known answers of a project, those of the training round too. Raises InputError if there is no project of this key."""
        with self.database.read() as session:
            return answers.gold_of(session, answers.project_row(session, project).id)

    def mine(self, person: Person, project: str, limit: int = 50) -> list[tuple[Turn, Answer]]:
        """What a person answered last, newest first. Raises InputError if there is no project of this key."""
        with self.database.read() as session:
            rows = answers.mine(session, answers.project_row(session, project).id, person.id, limit)
            return [(turn_from(turn), answers.answer_from(answer, person.pseudonym, turn.task)) for turn, answer in rows]

    def answer_of(self, person: Person, turn: str) -> Answer | None:
        """The answer of a person's turn that counts, or None."""
        with self.database.read() as session:
            row = find_turn(session, turn, person.id)
            answer = None if row is None else answers.last_answer(session, row.id)
            return None if row is None or answer is None else answers.answer_from(answer, person.pseudonym, row.task)

    # -- review ------------------------------------------------------------------------------------------------------------------

    def set_doubtful(self, project: str, doubtful: Iterable[Doubtful], now: datetime | None = None) -> None:
        """Replace the reviewers' queue; what was decided stays decided.

        Raises:
            InputError: if there is no project of this key, or a task is none of its.
        """
        with self.database.write() as session:
            reviews.set_doubtful(session, answers.project_row(session, project).id, doubtful, now or utc_now())

    def review_queue(self, project: str, limit: int = 50, decided: bool = False) -> list[ReviewItem]:
        """Doubtful slices, most doubtful first. Raises InputError if there is no project of this key."""
        with self.database.read() as session:
            return reviews.queue(session, answers.project_row(session, project).id, limit, decided)

    def review_item(self, person: Person, item: str) -> tuple[Member, ReviewItem] | None:
        """A slice in a queue, and what this person is in its project; None if there is none, or they are not in it."""
        with self.database.read() as session:
            row = reviews.find_review(session, item)
            member = None if row is None else self._member(session, person.id, row.task.project_id)
            return None if row is None or member is None else (member, reviews.item_from(row))

    def decide(
        self,
        person: Person,
        item: str,
        kind: str,
        boxes_rc: Sequence[Box2D] = (),
        client_id: str | None = None,
        now: datetime | None = None,
    ) -> bool:
        """Add a reviewer's decision, which is final until there is another. Whether they may is asked before.

        Returns:
            Whether there is such a slice.

        Raises:
            InputError: if this is no decision, or the client's id belongs to another.
            OutputError: if it could not be written.
        """
        client_id = tokens.new_id() if client_id is None else client_id
        answers.require_answer(kind, boxes_rc, 0.0, client_id)
        check_boxes(kind, tuple(boxes_rc))
        with self.database.write() as session:
            row = reviews.find_review(session, item)
            if row is None:
                return False
            lock_project_of(session, row.task_id)
            reviews.decide(session, row, person.id, kind, boxes_rc, client_id, now or utc_now())
            return True

    def decisions(self, project: str) -> dict[Task, Decision]:
        """The last decision on each slice that has one. Raises InputError if there is no project of this key."""
        with self.database.read() as session:
            return reviews.decisions(session, answers.project_row(session, project).id)

    @staticmethod
    def _member(session, person_id: int, project_id: int) -> Member | None:
        row = session.get(MembershipRow, (person_id, project_id))
        if row is None:
            return None
        person, project = session.get_one(PersonRow, person_id), session.get_one(ProjectRow, project_id)
        return Member(people.person_from(person), project.key, project.public_id, project.title, row.role)
