// What mouse, pen and fingers do on the stage: draw, move and resize boxes; zoom and pan.

import { boxBetween, holds, moved, resized } from "./boxes.js";
import { handlesOf } from "./stage.js";

const STILL_PX = { mouse: 3, pen: 5, touch: 9 }; // less than this is a tap
const REACH_PX = { mouse: 9, pen: 14, touch: 22 }; // half of 44

function area([r0, r1, c0, c1]) {
  return (r1 - r0) * (c1 - c0);
}

export class Gestures {
  /**
   * @param stage a Stage
   * @param heard {changed(boxes, selected), drawing(boxes), selected(index), neighbor(step)}
   */
  constructor(stage, heard) {
    this.stage = stage;
    this.hand = false;
    this._heard = heard;
    this._pointers = new Map();
    this._now = null;
    const { element } = stage;
    element.addEventListener("pointerdown", (event) => this._down(event));
    element.addEventListener("pointermove", (event) => this._move(event));
    element.addEventListener("pointerup", (event) => this._up(event));
    element.addEventListener("pointercancel", (event) => this._lost(event));
    element.addEventListener("wheel", (event) => this._wheel(event), { passive: false });
    element.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** Let go of what is being drawn. Says whether there was anything. */
  cancel() {
    const was = this._now !== null && this._now.begun;
    this._now = null;
    if (was) this._draw(null, null);
    return was;
  }

  _at(event) {
    const frame = this.stage.element.getBoundingClientRect();
    return [event.clientX - frame.left - this.stage.element.clientLeft, event.clientY - frame.top - this.stage.element.clientTop];
  }

  _down(event) {
    const { stage } = this;
    if (!stage.view) return;
    stage.element.focus({ preventScroll: true });
    stage.element.setPointerCapture(event.pointerId);
    event.preventDefault();
    const at = this._at(event);
    this._pointers.set(event.pointerId, at);
    stage.reach = REACH_PX[event.pointerType] ?? REACH_PX.mouse;
    if (this._pointers.size > 1) {
      this.cancel();
      this._now = { kind: "pinch", begun: true };
      return;
    }
    const panning = this.hand || event.button !== 0 || !stage.editable;
    this._now = { ...(panning ? { kind: "pan" } : this._kindAt(at, event.shiftKey)), start: at, last: at, begun: false, still: STILL_PX[event.pointerType] ?? 3 };
  }

  /** What a drag from here does. */
  _kindAt(at, drawsAnyway) {
    const { stage } = this;
    const chosen = stage.boxes[stage.selected];
    if (chosen && !drawsAnyway) {
      const distance = ([, x, y]) => Math.hypot(x - at[0], y - at[1]);
      const [nearest] = handlesOf(chosen, stage.view, stage.reach).sort((one, other) => distance(one) - distance(other));
      if (distance(nearest) <= stage.reach) return { kind: "resize", box: stage.selected, handle: nearest[0] };
    }
    const box = drawsAnyway ? -1 : this._boxAt(at);
    return box < 0 ? { kind: "draw" } : { kind: "move", box };
  }

  _boxAt(at) {
    const { boxes, view, selected } = this.stage;
    const place = view.toPicture(at);
    const under = boxes.map((_, index) => index).filter((index) => holds(boxes[index], place));
    if (under.includes(selected)) return selected;
    return under.sort((one, other) => area(boxes[one]) - area(boxes[other]))[0] ?? -1;
  }

  _move(event) {
    const { stage, _now: now } = this;
    const at = this._at(event);
    if (!this._pointers.has(event.pointerId)) {
      this._hover(at, event);
      return;
    }
    if (now?.kind === "pinch") {
      this._pinch(event.pointerId, at);
      return;
    }
    this._pointers.set(event.pointerId, at);
    if (!now) return;
    now.begun ||= Math.hypot(at[0] - now.start[0], at[1] - now.start[1]) >= now.still;
    if (!now.begun) return;
    if (now.kind === "pan") {
      stage.look(stage.view.panned(at[0] - now.last[0], at[1] - now.last[1]));
      now.last = at;
    } else {
      this._draw(...this._drawn(at));
    }
  }

  /** The box that this drag makes when it ends here, and which of the boxes it replaces (none: -1). */
  _drawn(at) {
    const { stage, _now: now } = this;
    const { view } = stage;
    const [from, to] = [view.toPicture(now.start), view.toPicture(at)];
    if (now.kind === "draw") return [boxBetween(from, to, view.shape), -1];
    const [down, right] = [to[0] - from[0], to[1] - from[1]];
    const before = stage.boxes[now.box];
    const box = now.kind === "move" ? moved(before, down, right, view.shape) : resized(before, now.handle, down, right, view.shape);
    return [box, now.box];
  }

  /** Show a box that is not done yet, in place of another or beside the others. */
  _draw(box, replaced) {
    const { stage } = this;
    stage.half = box;
    stage.hidden = box && replaced >= 0 ? replaced : -1;
    stage.refresh();
    this._heard.drawing(box ? this._with(box, replaced) : stage.boxes);
  }

  _with(box, replaced) {
    const { boxes } = this.stage;
    return replaced < 0 ? [...boxes, box] : boxes.map((other, index) => (index === replaced ? box : other));
  }

  _up(event) {
    const { stage, _now: now } = this;
    const at = this._at(event);
    this._pointers.delete(event.pointerId);
    if (now?.kind === "pinch") {
      if (!this._pointers.size) this._now = null;
      return;
    }
    this._now = null;
    if (!now || !stage.view) return;
    if (!now.begun) {
      if (now.kind !== "pan") this._heard.selected(now.kind === "resize" ? stage.selected : this._boxAt(at));
      return;
    }
    if (now.kind === "pan") return;
    this._now = now;
    const [box, replaced] = this._drawn(at);
    this._now = null;
    const boxes = this._with(box, replaced);
    stage.half = null;
    stage.hidden = -1;
    this._heard.changed(boxes, replaced < 0 ? boxes.length - 1 : replaced);
  }

  _lost(event) {
    this._pointers.delete(event.pointerId);
    if (this._now?.kind === "pinch") {
      if (!this._pointers.size) this._now = null;
    } else {
      this.cancel();
    }
  }

  _pinch(id, at) {
    const { stage } = this;
    const [one, other] = [...this._pointers.entries()].slice(0, 2);
    const before = this._pointers.get(id);
    this._pointers.set(id, at);
    if (!other || (id !== one[0] && id !== other[0])) return;
    const still = id === one[0] ? other[1] : one[1];
    const apart = (place) => Math.max(Math.hypot(place[0] - still[0], place[1] - still[1]), 1);
    const middle = [(before[0] + still[0]) / 2, (before[1] + still[1]) / 2];
    stage.look(stage.view.zoomed(apart(at) / apart(before), middle).panned((at[0] - before[0]) / 2, (at[1] - before[1]) / 2));
  }

  _wheel(event) {
    if (!this.stage.view) return;
    event.preventDefault();
    const turned = (event.deltaY || event.deltaX) * [1, 16, 100][event.deltaMode];
    if (event.shiftKey && !event.ctrlKey) {
      if (turned) this._heard.neighbor(Math.sign(turned));
      return;
    }
    this.stage.look(this.stage.view.zoomed(Math.exp(-turned * (event.ctrlKey ? 0.01 : 0.0015)), this._at(event)));
  }

  /** The pointer tells what a drag from here would do. */
  _hover(at, event) {
    const { stage } = this;
    if (!stage.view || event.pointerType === "touch") return;
    const panning = this.hand || !stage.editable;
    const would = panning ? { kind: "pan" } : this._kindAt(at, event.shiftKey);
    stage.element.dataset.would = would.kind === "resize" ? `resize-${would.handle}` : would.kind;
  }
}
