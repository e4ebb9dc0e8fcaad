"""ConsoleLearning: what a script does with what was annotated: learn, forget, keep as a prototype, ask for the ends. Imports Learning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from SAM2AnnotateLib.errors import InputError, PromptError
from SAM2AnnotateLib.progress import Progress
from SAM2AnnotateLib.propagation import RegionPolicy
from SAM2AnnotateLib.worker.messages import ExtentProposed, Learned, unpack

from .Learning.Learner import FEWEST_SLICES, SECONDS, codeOf, lessonCount, lessonsOf
from .Learning.PrototypeSteps import keepIn, prototypeOf
from .Model.LearnedModels import LearnedModel
from .Model.ModelService import ModelChoice


class LearningByScript:
    """Methods of `ConsoleReview` about learning; slices are named by their voxel index."""

    def learn(
        self,
        seconds: float = SECONDS,
        steps: int | None = None,
        progress: Callable[[Progress], None] | None = None,
        *,
        also: Sequence[LearningByScript] = (),
        start: str | Path | None = None,
    ) -> str:
        """Learn the object from its locked slices; if that is better on slices held out, propose the open ones anew, as one step of undo.

        Args:
            seconds: how long it may take; not used with `steps`.
            steps: of learning in all, the same on every machine.
            progress: told how far it is.
            also: reviews of the same object on earlier volumes, whose locked slices are learned from as well.
            start: an adapter's file, which was learned of the volumes of `also`: learning goes on from it, with this volume as the newest.

        Returns:
            One sentence on what it brought, or that nothing better was found and nothing was changed.

        Raises:
            PromptError: if too few slices show the object, or `start` comes without the volumes that it was learned of.
            SAM2AnnotateError: if the model fails, or `start` is no adapter of it; nothing is changed then.
        """
        annotated, console = self._usable(), self._console
        if not lessonCount(annotated):
            raise PromptError(f"Accept or correct at least {FEWEST_SLICES} slices that show the object: from these it is learned.")
        if start is not None and not also:
            raise PromptError("Learning goes on from what was learned of earlier volumes with these beside: give their reviews as 'also'.")
        begun = None if start is None else self._kept(start)
        reviews = [one._usable() for one in also] + [annotated]  # the newest volume comes last
        lessons = [lesson for one in reviews for lesson in lessonsOf(one, console.opened(one))]
        policy = RegionPolicy.parse(annotated.about.get("roi", "auto"))
        budget = {"seconds": seconds} if steps is None else {"steps": steps}
        options = {"terminology": codeOf(annotated.segment.GetTerminology() or ""), **budget}
        replies: list[Learned] = []
        told = {"onReply": replies.append, "choice": self._choice(), "start": begun}
        console.ask(lambda service, then: service.learn(lessons, policy, annotated.name, options, **told, **then), progress)
        (message,) = replies
        annotated.effort.note("learn")
        if message.data:
            self._use(console.learnedModels.keep(unpack([message.data])[0]), f"learning from {message.slices} slices", progress)
        return message.text

    def forget(self, progress: Callable[[Progress], None] | None = None) -> None:
        """Go back to the model as it came; the open slices are proposed anew. Raises PromptError if nothing that was learned is in use."""
        if self._usable().learned is None:
            raise PromptError("The model answers as it came: there is nothing to forget.")
        self._use(None, "forgetting what was learned", progress)

    def useLearned(self, path: str | Path | None, progress: Callable[[Progress], None] | None = None) -> None:
        """Go on with an adapter's file, or with the model as it came; the open slices are proposed anew.

        Raises:
            InputError: if it cannot be read or is no adapter.
            CheckpointError: if it belongs to another model; nothing is changed then.
        """
        self._use(None if path is None else self._kept(path), "using what was learned", progress)

    @property
    def learned(self) -> dict | None:
        """Name and hash of what was learned and is in use; None for the model as it came."""
        return self._annotated.learned

    def keepPrototype(self, library: str | Path | None = None) -> str:
        """Keep the locked slices as a prototype, pictures of the patient among it; returns its name.

        Args:
            library: folder of the prototypes; by default the user's own.

        Raises:
            PromptError: if no locked slice shows the object.
            InputError: if the segment's name cannot name a folder.
            OutputError: if it cannot be written.
        """
        from SAM2AnnotateLib.prototypes import PrototypeLibrary

        annotated, console = self._usable(), self._console
        prototype = prototypeOf(annotated, console.opened(annotated))
        keepIn(PrototypeLibrary(library), prototype, console.learnedModels.find(annotated.learned))
        return prototype.name

    def proposedExtent(self, progress: Callable[[Progress], None] | None = None) -> tuple[int, int]:
        """First and last slice of the object as the model proposes them from its box; `setExtent` makes them its ends."""
        annotated, console = self._usable(), self._console
        opened, policy = console.opened(annotated), RegionPolicy.parse(annotated.about.get("roi", "auto"))
        prompt, replies = annotated.session.prompts[annotated.center], []
        told = {"onReply": replies.append, "choice": self._choice(), "learned": console.learnedModels.find(annotated.learned)}
        console.ask(lambda service, then: service.proposeExtent(opened, annotated.center, prompt, policy, **told, **then), progress)
        (found,) = (one for one in replies if isinstance(one, ExtentProposed))
        low, high = sorted(annotated.stack.index_of(position) for position in (found.first, found.last))
        return low, high

    def _kept(self, path: str | Path) -> LearnedModel:
        """An adapter's file, kept with the others."""
        try:
            return self._console.learnedModels.keep(Path(path).read_bytes())
        except OSError as exc:
            raise InputError(f"'{path}' cannot be read: {exc.strerror}.") from exc

    def _choice(self) -> ModelChoice | None:
        return None if self._model is None else ModelChoice.of(self._model, self._device)

    def _use(self, learned: LearnedModel | None, label: str, progress: Callable[[Progress], None] | None) -> None:
        """Propose the open slices anew; a model that does not take what was learned changes nothing."""
        annotated = self._annotated
        annotated.useLearned(None if learned is None else learned.toJson(), label)
        try:
            self._console.run(annotated, None, self._model, self._device, progress)
        except Exception:
            annotated.undo()
            raise
