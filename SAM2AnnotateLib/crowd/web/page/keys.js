// Which key does what. They count only while the picture has the focus, so that they are never in the way of a screen reader or of typing.

/** [keys as shown, what they do], for the list in the help. */
export const KEYS = [
  ["N", "new box"],
  ["B", "choose the next box"],
  ["Arrows", "move the box; without a chosen box: move the picture"],
  ["Shift + arrows", "make the box smaller or larger (its right and lower edge)"],
  ["Delete", "delete the box"],
  ["Esc", "let go of the box"],
  ["Z / Y", "undo / redo"],
  ["Enter", "save and go on"],
  ["A", "not on this slice"],
  ["U", "not sure"],
  ["P", "previous slice that you answered"],
  [", / .", "look at the slice before / after"],
  ["+ / \u2212 / 0", "larger, smaller, whole picture"],
  ["Mouse wheel", "larger, smaller; with Shift: slices before and after"],
  ["Right button", "drag the picture"],
];

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const LETTERS = {
  n: "newBox", b: "nextBox", delete: "deleteBox", backspace: "deleteBox", escape: "letGo", z: "undo", y: "redo",
  enter: "save", a: "absent", u: "unsure", p: "previous", ",": ["neighbor", -1], ".": ["neighbor", 1],
  "+": ["zoom", 1.25], "=": ["zoom", 1.25], "-": ["zoom", 0.8], 0: "fit", "?": "help",
};

/** What a key asks for: [name, ...arguments], or null if it is none of ours. */
export function asked(event) {
  if (event.isComposing || event.altKey) return null;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") return [event.shiftKey ? "redo" : "undo"];
    return key === "y" ? ["redo"] : null;
  }
  const arrow = ARROWS[event.key];
  if (arrow) {
    const step = event.repeat ? 4 : 1;
    return [event.shiftKey ? "grow" : "move", arrow[0] * step, arrow[1] * step];
  }
  if (event.repeat && ["save", "absent", "unsure", "deleteBox", "newBox"].includes(LETTERS[key])) return [];
  const action = LETTERS[key];
  return action === undefined ? null : [action].flat();
}
