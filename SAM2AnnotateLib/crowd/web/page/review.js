// The reviewer's queue: slices that people disagree about, most doubtful first, each with why and with a proposal.

import { answerInWords, Asking } from "./asking.js";
import { sameBoxes } from "./boxes.js";
import { newId } from "./clock.js";
import { keys } from "./dialogs.js";
import { Editor } from "./editor.js";
import { button, counted, make } from "./elements.js";

const LOADED = 20;
const UNDECIDABLE = {
  atNeighbor: "You were at a neighbor. This is the slice in question: decide for this one.",
  noBox: "There is no box. Draw one, or press \u201cNot on this slice\u201d.",
};

export class Review extends Asking {
  constructor(app) {
    super(app);
    this._items = [];
    this._skipped = new Set();
    this._decided = new Set();
    this._busy = true; // no slice is shown, or the one shown is decided
    const does = { save: () => void this._accept(), absent: () => void this._decide("absent"), help: () => void keys() };
    this.editor = new Editor(does, (boxes) => this._drawn(boxes));
    this._build();
  }

  async start() {
    await this._next();
  }

  _build() {
    this._title = make("h1", { tabindex: "-1" });
    this._where = make("p", { class: "sentence" });
    this._reasons = make("ul", { class: "reasons" });
    this._doubt = make("p", { class: "doubt" });
    this._proposal = make("p", {});
    this._showOutline = make("input", { type: "checkbox", checked: true, on: { change: () => this._layers() } });
    this._outlineLabel = make("label", { class: "check" }, this._showOutline, make("span", {}, "Show the proposed outline"));
    this._showPeople = make("input", { type: "checkbox", on: { change: () => this._layers() } });
    this._said = make("ol", { class: "said" });
    this._people = make("section", {}, make("h2", {}, "What people said"), this._said,
      make("label", { class: "check" }, this._showPeople, make("span", {}, "Show each person\u2019s boxes")));
    this._acceptButton = button("Accept", () => void this._accept(), { class: "main" });
    this._absentButton = button("Not on this slice", () => void this._decide("absent"));
    this._laterButton = button("Leave for later", () => this._skip(), {});
    this._count = make("p", { class: "left" });
    const buttons = [this._absentButton, this._laterButton, this._acceptButton];
    const answers = make("div", { class: "answers", role: "group", "aria-label": "Your decision" }, ...buttons);
    this._work = make(
      "div", { class: "work" },
      make("div", { class: "asked" }, this._title, this._where, this._notice), this.editor.element,
      make(
        "div", { class: "side" }, answers,
        make("section", { class: "why" }, make("h2", {}, "Why it is here"), this._doubt, this._reasons, this._proposal, this._outlineLabel),
        this._people,
        this._count, make("div", { class: "row" }, button("Keys", () => void keys(), { class: "quiet" })), this.editor.list,
      ),
    );
    this.element = make("main", { class: "annotate review" }, this._work, this._end);
  }

  _isOpen(item) {
    return !this._decided.has(item.id) && !this._skipped.has(item.id);
  }

  async _next() {
    this._busy = true; // until the next one is there: what is seen and drawn still belongs to the one before
    this._showButtons();
    try {
      if (!this._items.some((item) => this._isOpen(item))) {
        for (const id of this.app.outbox.tasks) this._decided.add(id); // decided before a reload, and not saved yet
        const limit = LOADED + this._decided.size + this._skipped.size;
        this._items = await this.app.api.get(`/api/projects/${this.app.project.id}/review?limit=${limit}`);
      }
      const item = this._items.find((one) => this._isOpen(one));
      if (!item) return this._finish();
      await this._show(item);
      const after = this._items.find((one) => this._isOpen(one) && one !== item);
      if (after) void this._slices.picture(after).catch(() => {});
    } catch (problem) {
      const title = make("h1", { tabindex: "-1" }, "The queue cannot be loaded");
      this._instead(title, make("p", { role: "alert" }, problem.words ?? `${problem}`), button("Try again", () => void this._next(), { class: "main" }));
      title.focus();
    }
    return undefined;
  }

  async _show(item) {
    this._item = item;
    this._showWork();
    const object = this.app.project.objects.find((one) => one.key === item.object) ?? { name: item.object };
    const draft = await this.app.store.draft(item.id).catch(() => null);
    this._title.textContent = object.name;
    this._where.textContent = `Volume ${item.volume}, slice ${item.slice}`;
    this._doubt.textContent = `Doubt: ${Math.round(100 * item.doubt)} %`;
    this._reasons.replaceChildren(...item.reasons.map((reason) => make("li", {}, reason)));
    this._proposal.textContent = `Proposed: ${answerInWords({ kind: item.boxes_rc.length ? "box" : "absent", boxes_rc: item.boxes_rc })}.`;
    this._said.replaceChildren(...item.answers.map((answer) => make("li", {}, `${answer.person}: ${answerInWords(answer)}`)));
    this._people.hidden = !item.answers.length;
    this._setNotice(draft ? "Not saved yet: the boxes that you drew before." : "");
    this._outlineLabel.hidden = !item.outline?.length;
    const open = this._items.filter((one) => this._isOpen(one)).length;
    this._count.textContent = `${open < LOADED ? counted(open, "slice") : `${open} slices or more`} to review`;
    await this.editor.show(this._sliceOf(item, `${object.name}: proposal to review`), draft?.boxes_rc ?? item.boxes_rc);
    if (this._item !== item) return;
    this._layers();
    this._busy = false;
    this._showButtons();
    this.editor.focus();
  }

  _layers() {
    if (!this._item) return;
    const { outline, answers } = this._item;
    const people = answers.flatMap(({ boxes_rc }, at) => boxes_rc.map((box) => ({ box, number: at + 1 })));
    this.editor.layers({ outlines: this._showOutline.checked ? (outline ?? []) : [], people: this._showPeople.checked ? people : [] });
  }

  _drawn(boxes) {
    if (!this._item || this._busy) return;
    this.app.keepDraft(this._item.id, boxes);
    this._showButtons(boxes);
  }

  _showButtons(boxes = this.editor.boxes) {
    for (const one of [this._absentButton, this._laterButton, this._acceptButton]) one.disabled = this._busy;
    if (this._busy) return;
    const asProposed = sameBoxes(boxes, this._item.boxes_rc);
    this._acceptButton.setAttribute("aria-disabled", String(!boxes.length && !asProposed));
    const accept = boxes.length ? "Accept" : "Accept: not on this slice";
    this._acceptButton.textContent = asProposed ? accept : "Save my boxes";
  }

  /** The boxes as they are. Where none is proposed and none is drawn: that it is not on this slice, as proposed. */
  async _accept() {
    const nothing = !this.editor.boxes.length && !this._item?.boxes_rc.length;
    await this._decide(nothing ? "absent" : "box");
  }

  async _decide(kind) {
    const item = this._item;
    if (!item || this._busy || this._work.hidden) return;
    const boxes = this._boxesFor(kind, UNDECIDABLE);
    if (!boxes) return;
    this._item = null;
    this._busy = true;
    this._showButtons();
    this.editor.editable = false;
    this._decided.add(item.id);
    await this.app.outbox.put(`/api/review/${item.id}/decision`, { kind, boxes_rc: boxes, client_id: newId() }, item.id);
    await this._next();
  }

  _skip() {
    if (!this._item || this._busy) return;
    this._skipped.add(this._item.id);
    void this._next();
  }

  _finish() {
    this._item = null;
    const title = make("h1", { tabindex: "-1" }, this._skipped.size ? "That is all, but for what you left" : "Nothing to review");
    const again = button(this._skipped.size ? "Show what I left" : "Look again", () => {
      this._skipped.clear();
      void this._next();
    }, { class: "main" });
    this._instead(title, make("p", {}, "The queue is filled when the owner computes the consensus."), again);
    title.focus();
  }
}
