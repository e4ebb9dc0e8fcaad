// Builds elements. Text goes in as text, never as HTML: whatever a person entered stays what it is.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, heard] of Object.entries(value)) element.addEventListener(event, heard);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An element with attributes (`on`: what it listens to; true, false and null as one expects) and children (elements or text). */
export function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for the elements of an SVG picture. */
export function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** A button that does something on this page. */
export function button(text, pressed, attributes = {}) {
  return make("button", { type: "button", ...attributes, on: { click: pressed } }, text);
}

/** A labelled field. Returns [label with field in it, field]. */
export function field(text, attributes = {}) {
  const input = make("input", attributes);
  return [make("label", { class: "field" }, make("span", {}, text), input), input];
}

/** Paragraphs of a plain text, one for each run of lines. */
export function paragraphs(text) {
  return String(text ?? "")
    .split(/\n\s*\n/)
    .map((part) => part.trim())
    .filter(Boolean)
    .map((part) => make("p", {}, part));
}

/** Read a sentence to those who use a screen reader. The same sentence twice is read twice. */
export function say(text) {
  const spoken = document.getElementById("spoken");
  spoken.textContent = spoken.textContent === text ? `${text}\u00a0` : text;
}

/** "1 slice", "2 slices". */
export function counted(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}
