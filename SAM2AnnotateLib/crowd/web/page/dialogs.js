// Dialogs: instructions, keys, a question.

import { button, make, paragraphs } from "./elements.js";
import { KEYS } from "./keys.js";

/** Show a dialog with a title; gives a promise of what it was closed with. */
function shown(title, content, buttons) {
  const before = document.activeElement;
  return new Promise((resolve) => {
    const dialog = make(
      "dialog",
      { "aria-labelledby": "dialog-title" },
      make("h2", { id: "dialog-title", tabindex: "-1" }, title),
      make("div", { class: "dialog-text", tabindex: "0", role: "group", "aria-labelledby": "dialog-title" }, ...content),
      make("div", { class: "row" }, ...buttons.map(([text, value, kind]) => button(text, () => dialog.close(value), { class: kind }))),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before?.isConnected) before.focus({ preventScroll: true });
      resolve(dialog.returnValue);
    });
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("h2").focus();
  });
}

/** Ask before something that cannot be taken back. Gives true for yes. */
export async function agreed(title, text, yes, no) {
  return (await shown(title, paragraphs(text), [[no, "no", ""], [yes, "yes", "main"]])) === "yes";
}

/** What is asked for, with example pictures, and how to draw. */
export function instructions(project) {
  const objects = project.objects.map((object) =>
    make(
      "section", { class: "object" }, make("h3", {}, object.name), make("p", {}, object.sentence),
      make(
        "div", { class: "examples" },
        ...object.examples.map((address, at) => make("img", { src: address, alt: `Example ${at + 1} of ${object.name}`, loading: "lazy" })),
      ),
    ));
  const how = [
    make("h3", {}, "How it works"),
    make(
      "ul", {},
      make("li", {}, "Draw one box tightly around the object. If it has several parts on the slice, draw one box around each."),
      make("li", {}, "Drag a corner to change a box, drag its middle to move it."),
      make("li", {}, "Nothing there? Press \u201cNot on this slice\u201d. You cannot tell? Press \u201cNot sure\u201d."),
      make("li", {}, "The slices before and after may help you: look at them with the arrows below the picture."),
      make("li", {}, "Two fingers or the mouse wheel make the picture larger."),
    ),
  ];
  return shown("What to do", [...paragraphs(project.instructions), ...objects, ...how], [["Start", "ok", "main"]]);
}

/** Which keys there are. */
export function keys() {
  const rows = KEYS.map(([key, text]) => make("tr", {}, make("th", { scope: "row" }, key), make("td", {}, text)));
  return shown("Keys", [make("p", {}, "They work while the picture has the focus."), make("table", {}, make("tbody", {}, ...rows))], [["Close", "ok", "main"]]);
}
