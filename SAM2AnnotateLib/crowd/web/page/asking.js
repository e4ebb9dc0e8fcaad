// What both views that ask about a slice share: the notice above it, what is shown instead of it, and when it can be answered.

import { counted, make, say } from "./elements.js";
import { Slices } from "./slices.js";

/** "2 boxes", "not on this slice", "not sure". */
export function answerInWords({ kind, boxes_rc }) {
  return { box: counted(boxes_rc?.length ?? 0, "box", "boxes"), absent: "not on this slice", unsure: "not sure" }[kind];
}

export class Asking {
  /** Whoever extends it makes `editor` and `_work`, which holds everything that belongs to a slice. */
  constructor(app) {
    this.app = app;
    this._slices = new Slices(app.api);
    this._notice = make("p", { class: "notice", hidden: true });
    this._end = make("div", { class: "narrow end", hidden: true });
  }

  close() {
    this.editor.close();
    this._slices.close();
  }

  _setNotice(text) {
    this._notice.textContent = text;
    this._notice.hidden = !text;
    if (text) say(text);
  }

  _instead(...content) {
    this._work.hidden = true;
    this._end.hidden = false;
    this._end.replaceChildren(...content);
  }

  _showWork() {
    this._end.hidden = true;
    this._work.hidden = false;
  }

  /** A task or an item of the queue, as the editor takes it. */
  _sliceOf(task, label) {
    const { shape_rc, spacing_rc_mm, before = 0, after = 0 } = task;
    return { label, shape_rc, spacing_rc_mm, before, after, picture: (offset) => this._slices.picture(task, offset) };
  }

  /**
   * The boxes of an answer of this kind. Null if it cannot be given now: at a neighbor, from where this leads back, and for boxes without any.
   * @param atNeighbor what is said after the way back
   * @param noBox what is said where there is no box
   */
  _boxesFor(kind, { atNeighbor, noBox }) {
    if (this.editor.offset) {
      void this.editor.neighbor(-this.editor.offset).then(() => this._setNotice(atNeighbor));
      return null;
    }
    if (kind !== "box") return [];
    if (this.editor.boxes.length) return this.editor.boxes;
    this._setNotice(noBox);
    return null;
  }
}
