// Boxes on a slice: [r0, r1, c0, c1], whole rows and columns, half-open (r1 and c1 are not part of it), as the answers keep them.
// Plain values in, plain values out; nothing here touches the page.

/** Whether these are four whole numbers that lie on a slice and hold at least one pixel. */
export function isBox(box, [rows, columns]) {
  return (
    Array.isArray(box) && box.length === 4 && box.every(Number.isInteger) &&
    box[0] >= 0 && box[0] < box[1] && box[1] <= rows && box[2] >= 0 && box[2] < box[3] && box[3] <= columns
  );
}

/** Two edges, in any order and not whole, as a half-open run of at least one pixel between 0 and length. */
function run(one, other, length) {
  const within = (edge) => Math.min(Math.max(Math.round(edge), 0), length);
  let [start, stop] = [within(Math.min(one, other)), within(Math.max(one, other))];
  if (start === stop) {
    start = Math.min(Math.max(Math.floor(Math.min(one, other)), 0), length - 1);
    stop = start + 1;
  }
  return [start, stop];
}

/** The box between two places [row, column] of the picture (edges at whole numbers), to the nearest edges between pixels. */
export function boxBetween([r0, c0], [r1, c1], [rows, columns]) {
  return [...run(r0, r1, rows), ...run(c0, c1, columns)];
}

/** The box moved by whole rows and columns, stopped at the picture's edge. */
export function moved([r0, r1, c0, c1], rowsDown, columnsRight, [rows, columns]) {
  const down = Math.min(Math.max(Math.round(rowsDown), -r0), rows - r1);
  const right = Math.min(Math.max(Math.round(columnsRight), -c0), columns - c1);
  return [r0 + down, r1 + down, c0 + right, c1 + right];
}

/** The box with the edges that a handle ("n", "se", ...) names moved; an edge drawn over the other one changes places with it. */
export function resized([r0, r1, c0, c1], handle, rowsDown, columnsRight, shape) {
  const top = handle.includes("n") ? r0 + rowsDown : r0;
  const bottom = handle.includes("s") ? r1 + rowsDown : r1;
  const left = handle.includes("w") ? c0 + columnsRight : c0;
  const right = handle.includes("e") ? c1 + columnsRight : c1;
  return boxBetween([top, left], [bottom, right], shape);
}

/** The box with one of its numbers (0 to 3) set, or null if that is no box. */
export function withEdge(box, position, value, shape) {
  const changed = box.map((edge, at) => (at === position ? value : edge));
  return isBox(changed, shape) ? changed : null;
}

/** Whether a place [row, column] lies in the box. */
export function holds([r0, r1, c0, c1], [row, column]) {
  return row >= r0 && row < r1 && column >= c0 && column < c1;
}

/** A box to begin with: a third of what is seen, in its middle. `seen` is [r0, r1, c0, c1], not whole. */
export function boxInside([r0, r1, c0, c1], shape) {
  const [rows, columns] = [(r1 - r0) / 3, (c1 - c0) / 3];
  return boxBetween([r0 + rows, c0 + columns], [r1 - rows, c1 - columns], shape);
}

export function sameBoxes(some, others) {
  return JSON.stringify(some) === JSON.stringify(others);
}

/** The box in words. */
export function wordsOf([r0, r1, c0, c1]) {
  return `top ${r0}, bottom ${r1}, left ${c0}, right ${c1}`;
}

/** What was done, to be undone and done again. Holds values; the newest is `now`. */
export class History {
  constructor(first) {
    this.past = [];
    this.now = first;
    this.future = [];
  }

  put(value) {
    if (sameBoxes(value, this.now)) return;
    this.past.push(this.now);
    this.now = value;
    this.future = [];
  }

  undo() {
    if (!this.past.length) return false;
    this.future.push(this.now);
    this.now = this.past.pop();
    return true;
  }

  redo() {
    if (!this.future.length) return false;
    this.past.push(this.now);
    this.now = this.future.pop();
    return true;
  }
}
