// One slice after the other: what is asked, the picture, the answer. Every answer goes to the outbox at once; the next slice is loaded ahead.

import { answerInWords, Asking } from "./asking.js";
import { Clock, newId } from "./clock.js";
import { keys } from "./dialogs.js";
import { Editor } from "./editor.js";
import { button, counted, make, say } from "./elements.js";

const MINE = 50; // how many answers one can go back

const UNANSWERABLE = {
  atNeighbor: "You were at a neighbor. This is your slice: answer for this one.",
  noBox: "Draw a box first. Is nothing there? Then press \u201cNot on this slice\u201d.",
};

export class Annotate extends Asking {
  /** @param app {api, store, outbox, project (with id, objects), instructions(), projects()} */
  constructor(app) {
    super(app);
    this._clock = new Clock();
    this._current = null; // the task to be answered
    this._ahead = null; // a promise of the one after it
    this._shown = null; // the task in the editor: the current one or an answered one
    this._back = 0; // how many answered tasks back it is
    this._mine = null; // answered tasks, newest first, once asked for
    this._answered = []; // those of this visit, newest first
    this._done = 0; // answers that the server has, as far as it was told
    this._practiced = false; // the last answer was practice
    this._busy = false;
    const does = {
      save: () => void this._save("box"),
      absent: () => void this._save("absent"),
      unsure: () => void this._save("unsure"),
      previous: () => void this._goBack(1),
      help: () => void keys(),
    };
    this.editor = new Editor(does, (boxes) => this._drawn(boxes));
    this._build();
  }

  async start() {
    await this._next();
  }

  close() {
    super.close();
    this._clock.close();
  }

  _build() {
    this._title = make("h1", { tabindex: "-1" });
    this._sentence = make("p", { class: "sentence" });
    this._bar = make("progress", { max: "1", value: "0", "aria-label": "Answered" });
    this._left = make("p", { class: "left" });
    this._saveButton = button("Save, next", () => void this._save("box"), { class: "main" });
    this._absentButton = button("Not on this slice", () => void this._save("absent"));
    this._unsureButton = button("Not sure", () => void this._save("unsure"));
    this._previousButton = button("\u2190 Previous", () => void this._goBack(1), { class: "quiet" });
    this._nextButton = button("Next \u2192", () => void this._goBack(-1), { class: "quiet" });
    this._feedback = make("div", { class: "feedback", hidden: true });
    this._answers = make("div", { class: "answers", role: "group", "aria-label": "Your answer" }, this._absentButton, this._unsureButton, this._saveButton);
    const help = make(
      "div", { class: "row" }, this._previousButton, this._nextButton,
      button("What to do", () => void this.app.instructions(), { class: "quiet" }), button("Keys", () => void keys(), { class: "quiet" }),
    );
    this._asked = make("div", { class: "asked" }, this._title, this._sentence, this._notice);
    this._work = make(
      "div", { class: "work" }, this._asked, this.editor.element,
      make("div", { class: "side" }, this._answers, this._feedback, make("div", { class: "amount" }, this._bar, this._left), help, this.editor.list),
    );
    this.element = make("main", { class: "annotate" }, this._work, this._end);
  }

  // Which slice

  /** The tasks that the server need not give again: in hand, or with their answer under way. */
  get _have() {
    return [...new Set([this._current?.id, ...this.app.outbox.tasks].filter(Boolean))].slice(0, 100);
  }

  _ask(have = this._have) {
    return this.app.api.post(`/api/projects/${this.app.project.id}/next`, { have });
  }

  /** Load the task after the current one, and its picture. What goes wrong here is told when it is needed. */
  _lookAhead() {
    this._ahead = this._ask().then((answer) => {
      if (answer.task) void this._slices.picture(answer.task).catch(() => {});
      return answer;
    });
    this._ahead.catch(() => {});
  }

  async _next() {
    this._busy = true;
    this._current = null;
    this._back = 0;
    let answer = null;
    const ahead = this._ahead;
    this._ahead = null;
    try {
      answer = ahead && (await ahead);
    } catch {
      // Asked once more below.
    }
    try {
      if (!answer?.task) answer = await this._ask();
      if (!answer.task) return this._finish(answer.why);
      this._current = answer.task;
      await this._show(answer.task, 0);
    } catch (problem) {
      return this._cannot(problem, () => this._next());
    }
    this._lookAhead();
    return undefined;
  }

  /** Show a task: the current one (`back` 0) or one that was answered, with what this person last drew or said. */
  async _show(task, back) {
    this._shown = task;
    this._back = back;
    this._showWork();
    const draft = await this.app.store.draft(task.id).catch(() => null);
    const said = this.app.outbox.answerTo(task.id) ?? task.answer ?? null;
    const boxes = draft?.boxes_rc ?? said?.boxes_rc ?? [];
    const object = this.app.project.objects.find((one) => one.key === task.object) ?? { name: task.object, sentence: "" };
    this._title.textContent = object.name;
    this._sentence.textContent = object.sentence;
    this._said = said;
    this._setNotice(this._noticeOf(task, back, said, draft));
    this._showLeft(task);
    this._showFeedback(null);
    await this.editor.show(this._sliceOf(task, `${object.name}: draw a box around each part`), boxes);
    if (this._shown !== task) return;
    this._clock.start();
    this._busy = false;
    this._showButtons();
    this.editor.focus();
  }

  _noticeOf(task, back, said, draft) {
    if (back) return `You answered this slice: ${answerInWords(said)}. Change it and save, or go on.`;
    if (draft?.boxes_rc?.length) return "Not saved yet: the boxes that you drew before.";
    if (task.training) return task.again ? "Practice again: too few of your answers were right." : "Practice: you are told how it went.";
    const over = this._practiced;
    this._practiced = false;
    return over ? "Practice is over. From now on your answers count." : "";
  }

  _showLeft({ left, done }) {
    // A slice loaded ahead brings the numbers of then, and answers may overtake one another: what is done grows.
    if (left === undefined || left === null || done < this._done) return;
    this._done = done;
    this._bar.max = Math.max(left + done, 1);
    this._bar.value = done;
    this._left.textContent = `${counted(left, "slice")} left, ${done} done`;
  }

  // Answers

  _drawn(boxes) {
    const task = this._shown;
    if (!task || this._busy) return;
    this.app.keepDraft(task.id, boxes);
    this._showButtons(boxes);
  }

  _showButtons(boxes = this.editor.boxes) {
    const none = boxes.length === 0;
    this._saveButton.setAttribute("aria-disabled", String(none));
    this._saveButton.textContent = this._back ? "Save the change" : "Save, next";
    this._nextButton.hidden = !this._back;
    for (const one of [this._saveButton, this._absentButton, this._unsureButton, this._previousButton]) one.disabled = this._busy;
    const kind = this._back ? this._said?.kind : null;
    for (const [name, one] of [["absent", this._absentButton], ["unsure", this._unsureButton]]) {
      if (kind) one.setAttribute("aria-pressed", String(kind === name));
      else one.removeAttribute("aria-pressed");
    }
  }

  async _save(kind) {
    const task = this._shown;
    if (!task || this._busy || this._work.hidden) return;
    const boxes = this._boxesFor(kind, UNANSWERABLE);
    if (!boxes) return;
    this._busy = true;
    this._showButtons();
    this.editor.editable = false; // it is answered; what is drawn from here on belongs to the next slice
    const answer = { kind, boxes_rc: boxes };
    const body = { ...answer, seconds: this._clock.seconds, client_id: newId() };
    const { saved } = await this.app.outbox.put(`/api/tasks/${task.id}/answer`, body, task.id);
    this._remember(task, answer);
    const heard = saved.then((told) => { this._showLeft(told); return told; }, () => null);
    if (task.training && !this._back) {
      this._setNotice("Saving\u2026");
      const told = await heard;
      this._setNotice("");
      if (told?.feedback) return this._showFeedback(told.feedback);
    }
    return this._goOn();
  }

  async _goOn() {
    this._busy = false;
    if (this._back) await this._goBack(-1);
    else await this._next();
  }

  _remember(task, answer) {
    const kept = { ...task, answer };
    for (const list of [this._answered, this._mine ?? []]) {
      const at = list.findIndex((other) => other.id === task.id);
      if (at >= 0) list[at] = kept;
    }
    if (!this._answered.some((other) => other.id === task.id) && !this._mine?.some((other) => other.id === task.id)) this._answered.unshift(kept);
  }

  /** Go back (1) or forward (-1) among the answered tasks; 0 is the current one. */
  async _goBack(step) {
    if (this._busy) return undefined;
    const back = this._back + step;
    this._busy = true;
    this._showButtons();
    try {
      if (back > this._answered.length && !this._mine) {
        const mine = await this.app.api.get(`/api/projects/${this.app.project.id}/mine?limit=${MINE}`);
        this._mine = mine.filter((task) => !this._answered.some((other) => other.id === task.id));
      }
      const all = [...this._answered, ...(this._mine ?? [])];
      if (back > all.length) {
        this._busy = false;
        this._showButtons();
        return this._setNotice("There is no earlier answer.");
      }
      if (back > 0) return await this._show(all[back - 1], back);
      if (this._current) return await this._show(this._current, 0);
      return await this._next();
    } catch (problem) {
      return this._cannot(problem, () => this._goBack(step));
    }
  }

  // What is shown instead

  _showFeedback(feedback) {
    this._feedback.hidden = !feedback;
    this._answers.hidden = Boolean(feedback);
    if (!feedback) return;
    const words = feedback.text || (feedback.right ? "That is right." : "Not quite.");
    const known = feedback.boxes_rc?.length ? "The green dashed box is the known answer." : "The known answer: it is not on this slice.";
    const next = button("Next", () => void this._goOn(), { class: "main" });
    this._practiced = true;
    this._feedback.className = `feedback ${feedback.right ? "right" : "wrong"}`;
    this._feedback.replaceChildren(make("h2", {}, feedback.right ? "\u2713 " : "\u2717 ", words), make("p", {}, known), next);
    this.editor.layers({ known: feedback.boxes_rc ?? [] });
    say(`${words} ${known}`);
    next.focus();
  }

  _finish(why) {
    this._busy = false;
    this._shown = null;
    const title = make("h1", { tabindex: "-1" }, "Thank you");
    this._instead(title, make("p", {}, why || "There is nothing left for you to do here."), make(
      "div", { class: "row" },
      button("Look at my answers", () => void this._goBack(1)), button("Ask again", () => void this._next(), { class: "quiet" }),
    ));
    title.focus();
    say("Thank you. There is nothing left for you to do here.");
  }

  /** The server did not give what is needed: say so, and try again as soon as that may help. */
  _cannot(problem, again) {
    this._busy = false;
    this._shown = null;
    const title = make("h1", { tabindex: "-1" }, "The slice cannot be loaded");
    let timer = null;
    const once = () => {
      clearTimeout(timer);
      removeEventListener("online", once);
      if (this._retry === once) void again();
    };
    this._retry = once;
    this._instead(title, make("p", { role: "alert" }, problem.words ?? `${problem}`), button("Try again", once, { class: "main" }));
    addEventListener("online", once);
    if (problem.passes) timer = setTimeout(once, 1000 * (problem.waitSeconds ?? 5));
    title.focus();
  }
}

