// A slice that boxes are drawn on: the stage, its tools, and the boxes as numbers. Knows nothing of answers and servers.

import { boxInside, History, isBox, moved, resized, withEdge, wordsOf } from "./boxes.js";
import { button, counted, draw, make, say } from "./elements.js";
import { Gestures } from "./gestures.js";
import { asked } from "./keys.js";
import { Stage } from "./stage.js";

const EDGES = ["Top", "Bottom", "Left", "Right"];
const PAN_PX = 60;

// Paths in a square of 20: no font is sure to have such signs.
const ICONS = {
  undo: "M7 4 3 8l4 4M3 8h9a5 5 0 0 1 0 10H8",
  redo: "M13 4l4 4-4 4M17 8H8a5 5 0 0 0 0 10h4",
  smaller: "M4 10h12",
  larger: "M4 10h12M10 4v12",
  fit: "M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4",
  move: "M10 2v16M2 10h16M7.5 4.5 10 2l2.5 2.5M7.5 15.5 10 18l2.5-2.5M4.5 7.5 2 10l2.5 2.5M15.5 7.5 18 10l-2.5 2.5",
  before: "M13 3 5 10l8 7",
  after: "M7 3l8 7-8 7",
};

function icon(name) {
  return draw("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, draw("path", { d: ICONS[name] }));
}

export class Editor {
  /**
   * @param does {save, absent, unsure, previous, help}: what the keys do that are not the editor's own
   * @param changed called with the boxes whenever they change, a box being drawn among them
   */
  constructor(does, changed) {
    this._does = does;
    this._changed = changed;
    this._history = new History([]);
    this._slice = null;
    this.offset = 0;
    this.stage = new Stage("keys-told");
    this._gestures = new Gestures(this.stage, {
      changed: (boxes, selected) => this._put(boxes, selected),
      drawing: (boxes) => this._changed(boxes),
      selected: (at) => this.select(at),
      neighbor: (step) => this.neighbor(step),
    });
    this.stage.element.addEventListener("keydown", (event) => this._key(event));
    this._buildTools();
    this.numbers = make("div", { class: "numbers" });
    this._summary = make("summary", {});
    this.list = make("details", { class: "boxes" }, this._summary, this.numbers);
    const told = make("p", { id: "keys-told", class: "spoken" }, "N: new box. Arrows move it, Shift and arrows resize it. Enter saves. Question mark: all keys. The boxes are also below as numbers.");
    this.element = make("div", { class: "editor" }, this.stage.element, told, this.tools);
  }

  close() {
    this._gestures.cancel();
    this.editable = false;
    this._slice = null; // a picture that is on its way will not be shown
    this.stage.close();
  }

  get boxes() {
    return this._history.now;
  }

  set hand(on) {
    this._gestures.hand = on;
    this._hand.setAttribute("aria-pressed", String(on));
    this.stage.element.classList.toggle("hand", on);
  }

  get editable() {
    return this.stage.editable;
  }

  set editable(on) {
    this._editable = on;
    this._showState();
  }

  /**
   * Show a slice.
   * @param slice {label, shape_rc, spacing_rc_mm, before, after, picture(offset): promise of a URL}
   * @param boxes to begin with
   */
  async show(slice, boxes) {
    this._gestures.cancel();
    this._slice = slice;
    this._editable = true;
    this.offset = 0;
    Object.assign(this.stage, { known: [], outlines: [], people: [], boxes: [], selected: -1, half: null, note: "" });
    this.stage.element.setAttribute("aria-label", slice.label);
    this.stage.element.setAttribute("aria-busy", "true");
    const url = await slice.picture(0);
    if (this._slice !== slice) return;
    await this.stage.show(url, slice.shape_rc, slice.spacing_rc_mm);
    if (this._slice !== slice) return;
    this.stage.element.removeAttribute("aria-busy");
    this._history = new History(boxes.filter((box) => isBox(box, slice.shape_rc)));
    this.stage.selected = this.boxes.length === 1 ? 0 : -1;
    this._showState();
  }

  /** What lies under the boxes: those that are known, outlines, and people's own boxes ({box, number of the person}). */
  layers({ known = this.stage.known, outlines = this.stage.outlines, people = this.stage.people }) {
    Object.assign(this.stage, { known, outlines, people });
    this.stage.refresh();
  }

  focus() {
    this.stage.element.focus({ preventScroll: true });
  }

  select(at) {
    this.stage.selected = at;
    this._showState();
    if (at >= 0) say(`Box ${at + 1}: ${wordsOf(this.boxes[at])}`);
  }

  async neighbor(step) {
    const slice = this._slice;
    if (!slice) return;
    const offset = Math.min(Math.max(this.offset + step, -slice.before), slice.after);
    if (offset === this.offset) return;
    this._gestures.cancel();
    this.offset = offset;
    try {
      const url = await slice.picture(offset);
      if (this._slice !== slice || this.offset !== offset) return;
      await this.stage.show(url, slice.shape_rc, slice.spacing_rc_mm);
    } catch (problem) {
      if (this._slice === slice) say(`This slice cannot be shown. ${problem.message}`);
      if (this._slice === slice && offset !== 0) return this.neighbor(-offset);
    }
    if (this._slice !== slice) return undefined;
    this._showState();
    say(this.offset ? this.stage.banner.textContent : "Back at your slice.");
    return undefined;
  }

  _put(boxes, selected, words) {
    this._history.put(boxes);
    this.stage.selected = selected;
    this._showState();
    this._changed(this.boxes);
    say(words ?? (selected >= 0 ? `Box ${selected + 1}: ${wordsOf(boxes[selected])}` : counted(boxes.length, "box", "boxes")));
  }

  _buildTools() {
    const tool = (text, label, pressed, more = {}) =>
      button(text, (event) => { pressed(); this._refocus(event); }, { class: "tool", "aria-label": label, title: label, ...more });
    this._undo = tool(icon("undo"), "Undo", () => this.undo());
    this._redo = tool(icon("redo"), "Redo", () => this.redo());
    this._new = tool("+ Box", "New box", () => this.newBox());
    this._delete = tool("\u2715 Box", "Delete the chosen box", () => this.deleteBox());
    this._smaller = tool(icon("smaller"), "Smaller", () => this.zoom(0.8));
    this._larger = tool(icon("larger"), "Larger", () => this.zoom(1.25));
    this._fit = tool(icon("fit"), "Whole picture", () => this.fit());
    this._hand = tool(icon("move"), "Drag moves the picture", () => (this.hand = !this._gestures.hand), { "aria-pressed": "false" });
    this._before = tool(icon("before"), "Look at the slice before", () => void this.neighbor(-1));
    this._after = tool(icon("after"), "Look at the slice after", () => void this.neighbor(1));
    this._where = button("Your slice", () => { void this.neighbor(-this.offset); this.focus(); }, { class: "tool where" });
    this.tools = make(
      "div", { class: "tools", role: "group", "aria-label": "Tools" },
      make("div", { class: "group" }, this._undo, this._redo, this._new, this._delete),
      make("div", { class: "group" }, this._smaller, this._larger, this._fit, this._hand),
      make("div", { class: "group" }, this._before, this._where, this._after),
    );
  }

  /** After a click the keys are the picture's again. Who uses the tools by keys stays there, unless the tool became unusable. */
  _refocus(event) {
    if (event.detail > 0 || document.activeElement === document.body || document.activeElement?.disabled) this.focus();
  }

  undo() {
    if (this.editable && this._history.undo()) this._stepped("Undone");
  }

  redo() {
    if (this.editable && this._history.redo()) this._stepped("Done again");
  }

  _stepped(words) {
    this.stage.selected = this.boxes.length === 1 ? 0 : -1;
    this._showState();
    this._changed(this.boxes);
    say(`${words}. ${counted(this.boxes.length, "box", "boxes")}.`);
  }

  newBox() {
    if (!this.editable || !this.stage.view) return;
    this._put([...this.boxes, boxInside(this.stage.view.seen, this.stage.view.shape)], this.boxes.length);
  }

  nextBox() {
    if (this.boxes.length) this.select((this.stage.selected + 1) % this.boxes.length);
  }

  deleteBox(at = this.stage.selected) {
    if (!this.editable || !this.boxes[at]) return;
    const left = this.boxes.filter((_, index) => index !== at);
    this._put(left, left.length === 1 ? 0 : -1, `Box ${at + 1} deleted. ${counted(left.length, "box", "boxes")}.`);
  }

  letGo() {
    if (!this._gestures.cancel()) this.select(-1);
  }

  move(down, right) {
    const box = this.boxes[this.stage.selected];
    if (!box) {
      this.stage.look(this.stage.view.panned(-Math.sign(right) * PAN_PX, -Math.sign(down) * PAN_PX));
    } else if (this.editable) {
      this._replace(moved(box, down, right, this.stage.view.shape));
    }
  }

  grow(down, right) {
    const box = this.boxes[this.stage.selected];
    if (!box || !this.editable) return;
    // An edge stops before the one across from it, rather than change places with it unseen.
    const step = [Math.max(down, box[0] - box[1] + 1), Math.max(right, box[2] - box[3] + 1)];
    this._replace(resized(box, "se", ...step, this.stage.view.shape));
  }

  _replace(changed) {
    const { selected } = this.stage;
    this._put(this.boxes.map((box, at) => (at === selected ? changed : box)), selected);
  }

  zoom(factor) {
    const { view, size } = this.stage;
    if (view) this.stage.look(view.zoomed(factor, [size[0] / 2, size[1] / 2]));
  }

  fit() {
    if (this.stage.view) this.stage.look(this.stage.view.fitted());
  }

  _key(event) {
    if (!this._slice || !this.stage.view || event.target !== this.stage.element) return;
    const action = asked(event);
    if (!action) return;
    event.preventDefault();
    const [name, ...details] = action;
    if (name === undefined) return;
    const own = ["newBox", "nextBox", "deleteBox", "letGo", "undo", "redo", "move", "grow", "zoom", "fit", "neighbor"];
    if (own.includes(name)) void this[name](...details);
    else this._does[name]?.(...details);
  }

  _showState() {
    const { stage, _slice: slice } = this;
    stage.boxes = this.boxes;
    stage.editable = this._editable && this.offset === 0;
    const steps = Math.abs(this.offset);
    const side = this.offset < 0 ? "before" : "after";
    stage.note = this.offset ? `${counted(steps, "slice")} ${side} yours: only to look` : "";
    stage.refresh();
    this._undo.disabled = !stage.editable || !this._history.past.length;
    this._redo.disabled = !stage.editable || !this._history.future.length;
    this._new.disabled = !stage.editable;
    this._delete.disabled = !stage.editable || stage.selected < 0;
    this._before.disabled = !slice || this.offset <= -slice.before;
    this._after.disabled = !slice || this.offset >= slice.after;
    this._where.disabled = this.offset === 0;
    this._where.textContent = this.offset ? "Back to yours" : "Your slice";
    this._listBoxes();
  }

  _listBoxes() {
    this._summary.textContent = `Boxes as numbers (${this.boxes.length})`;
    const rows = [...this.numbers.children];
    // Rows that stay are filled anew, not made anew: the field in which someone types keeps the focus.
    for (let at = rows.length; at < this.boxes.length; at += 1) this.numbers.append(this._row(at));
    for (const row of rows.slice(this.boxes.length)) row.remove();
    this.boxes.forEach((box, at) => {
      const row = this.numbers.children[at];
      row.classList.toggle("selected", at === this.stage.selected);
      row.querySelectorAll("input").forEach((input, edge) => {
        input.value = box[edge];
        input.max = this._slice.shape_rc[edge < 2 ? 0 : 1];
        input.disabled = !this.stage.editable;
        input.removeAttribute("aria-invalid");
      });
      row.querySelector("button").disabled = !this.stage.editable;
    });
    if (!this.boxes.length) this.numbers.dataset.empty = "No box yet.";
    else delete this.numbers.dataset.empty;
  }

  _row(at) {
    const inputs = EDGES.map((edge, position) =>
      make("label", { class: "edge-field" }, make("span", {}, edge), make("input", {
        type: "number", min: "0", step: "1", inputmode: "numeric", "aria-label": `${edge} of box ${at + 1}`,
        on: { change: (event) => this._typed(at, position, event.target), focus: () => this.stage.selected !== at && this.select(at) },
      })));
    const remove = button("Delete", () => { this.deleteBox(at); this.focus(); }, { "aria-label": `Delete box ${at + 1}` });
    return make("fieldset", {}, make("legend", {}, `Box ${at + 1}`), ...inputs, remove);
  }

  _typed(at, position, input) {
    const changed = withEdge(this.boxes[at], position, Number(input.value), this._slice.shape_rc);
    if (!changed || input.value.trim() === "") {
      input.setAttribute("aria-invalid", "true");
      const [rows, columns] = this._slice.shape_rc;
      say(`Not changed: top is less than bottom, left less than right, all between 0 and ${position < 2 ? rows : columns}.`);
      return;
    }
    this._put(this.boxes.map((box, index) => (index === at ? changed : box)), at);
  }
}
