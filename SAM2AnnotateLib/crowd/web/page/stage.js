// The slice with what is drawn on it. It shows; what a pointer does to it is in gestures.js, what a key does in keys.js.

import { draw, make } from "./elements.js";
import { View } from "./view.js";

const NUMBER_PX = 14; // what a person's number takes
const SHARP_FROM = 3; // CSS pixels: from this size on, a pixel of the slice is shown as the square that it is

/** Places on the screen where a box is taken to change its size. On a small box they lie outside, so that its middle is left for moving. */
export function handlesOf(box, view, reach) {
  const [left, top] = view.toScreen([box[0], box[2]]);
  const [right, bottom] = view.toScreen([box[1], box[3]]);
  const outside = Math.min(right - left, bottom - top) < 4 * reach ? 0.8 * reach : 0;
  const [x0, x1, y0, y1] = [left - outside, right + outside, top - outside, bottom + outside];
  const handles = [["nw", x0, y0], ["ne", x1, y0], ["sw", x0, y1], ["se", x1, y1]];
  if (x1 - x0 >= 4 * reach) handles.push(["n", (x0 + x1) / 2, y0], ["s", (x0 + x1) / 2, y1]);
  if (y1 - y0 >= 4 * reach) handles.push(["w", x0, (y0 + y1) / 2], ["e", x1, (y0 + y1) / 2]);
  return handles;
}

export class Stage {
  /** @param describedBy id of the element that says which keys there are */
  constructor(describedBy) {
    this.slice = make("img", { class: "slice", alt: "", draggable: "false" });
    this.marks = draw("svg", { class: "marks", "aria-hidden": "true" });
    this.banner = make("p", { class: "banner", hidden: true });
    this.element = make(
      "div",
      { class: "stage", tabindex: "0", role: "application", "aria-roledescription": "picture", "aria-describedby": describedBy },
      this.slice, this.marks, this.banner,
    );
    this.view = null;
    this.boxes = [];
    this.selected = -1;
    this.half = null; // a box that is being drawn, moved or resized; `hidden` is the one that it replaces
    this.hidden = -1;
    this.known = [];
    this.outlines = [];
    this.people = [];
    this.editable = true;
    this.reach = matchMedia("(pointer: coarse)").matches ? 22 : 9;
    this._watch = new ResizeObserver(() => this._fill());
    this._watch.observe(this.element);
  }

  close() {
    this._watch.disconnect();
    this.slice.removeAttribute("src"); // its address will be given back, and it may still be loading
  }

  /** Show a slice. What is seen of it stays if the slice before had the same shape. */
  async show(url, shape_rc, spacing_rc_mm) {
    this.slice.src = url;
    await this.slice.decode().catch(() => {
      if (this.slice.src === url) throw new Error("The picture cannot be shown.");
    });
    const same = this.view && String(this.view.shape) === String(shape_rc) && String(this.view.spacing) === String(spacing_rc_mm);
    if (!same) this.view = new View(shape_rc, spacing_rc_mm, this.size);
    this.refresh();
  }

  get size() {
    return [Math.max(this.element.clientWidth, 1), Math.max(this.element.clientHeight, 1)];
  }

  look(view) {
    this.view = view;
    this.refresh();
  }

  /** Say that a neighbor is shown, or nothing. */
  set note(text) {
    this.banner.textContent = text;
    this.banner.hidden = !text;
    this.element.classList.toggle("neighbor", Boolean(text));
  }

  _fill() {
    if (!this.view) return;
    this.view = this.view.resized(this.size);
    this.refresh();
  }

  refresh() {
    if (!this.view) return;
    const { view } = this;
    const [left, top] = view.toScreen([0, 0]);
    Object.assign(this.slice.style, { left: `${left}px`, top: `${top}px`, width: `${view.width}px`, height: `${view.height}px` });
    this.slice.classList.toggle("sharp", view.scale >= SHARP_FROM);
    const [width, height] = view.size;
    this.marks.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.marks.replaceChildren(...this.outlines.map((line) => this._outline(line)), ...this.known.map((box) => this._rectangle(box, "known")));
    if (!this.banner.hidden) return;
    this.marks.append(...this.people.map((one) => this._numbered(one)));
    this.boxes.forEach((box, at) => {
      if (at !== this.hidden) this.marks.append(this._rectangle(box, at === this.selected && !this.half ? "box selected" : "box"));
    });
    if (this.half) this.marks.append(this._rectangle(this.half, "box selected"));
    const chosen = this.boxes[this.selected];
    if (chosen && this.editable && !this.half) {
      for (const [, x, y] of handlesOf(chosen, view, this.reach)) {
        this.marks.append(draw("circle", { class: "handle", cx: x, cy: y, r: this.reach > 12 ? 8 : 5 }));
      }
    }
  }

  _rectangle(box, name) {
    const [x, y] = this.view.toScreen([box[0], box[2]]);
    const [right, bottom] = this.view.toScreen([box[1], box[3]]);
    const place = { x, y, width: right - x, height: bottom - y };
    return draw("g", { class: name }, draw("rect", { class: "edge", ...place }), draw("rect", { class: "line", ...place }));
  }

  /** A person's box with their number. Each number has a place of its own, so that boxes that lie on each other can be told apart. */
  _numbered({ box, number }) {
    const shown = this._rectangle(box, "person");
    const [left, top] = this.view.toScreen([box[0], box[2]]);
    shown.append(draw("text", { x: left + 3 + NUMBER_PX * (number - 1), y: Math.max(top - 4, NUMBER_PX) }, String(number)));
    return shown;
  }

  _outline(line) {
    // Along the edges of pixels, as boxes are: pixel (0, 0) covers 0 to 1.
    const points = line.map((place) => this.view.toScreen(place).join(",")).join(" ");
    return draw("polygon", { class: "outline", points });
  }
}
