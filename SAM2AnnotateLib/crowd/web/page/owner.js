// For the owner: how far each volume and each person is, and invitations.

import { agreed } from "./dialogs.js";
import { button, counted, make, say } from "./elements.js";

const ROLES = [["annotator", "Annotator: draws boxes"], ["reviewer", "Reviewer: decides what is in doubt"], ["owner", "Owner: sees all, invites"]];

function shownAs(value) {
  if (value === null || value === undefined || value === "") return "\u2013";
  if (value instanceof Node) return value;
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : value.toFixed(1);
  return String(value);
}

function day(text) {
  const when = text ? new Date(text) : null;
  return when && !Number.isNaN(when.valueOf()) ? when.toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" }) : "\u2013";
}

/** A table with a heading for each row. `columns`: [title, row => text]. */
function table(caption, columns, rows, empty) {
  if (!rows?.length) return make("section", {}, make("h2", {}, caption), make("p", {}, empty));
  const body = rows.map((row) => {
    const [first, ...others] = columns.map(([, text]) => shownAs(text(row)));
    return make("tr", {}, make("th", { scope: "row" }, first), ...others.map((text) => make("td", {}, text)));
  });
  const head = make("tr", {}, ...columns.map(([title]) => make("th", { scope: "col" }, title)));
  const all = make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, all);
}

export class Owner {
  constructor(app) {
    this.app = app;
    this._tables = make("div", {});
    this.element = make("main", { class: "owner" });
  }

  async start() {
    const title = make("h1", { tabindex: "-1" }, "Status");
    this.element.replaceChildren(
      make("div", { class: "row" }, title, button("Refresh", () => void this._load())), this._tables, this._inviting(),
    );
    await this._load();
    title.focus();
  }

  close() {}

  async _load() {
    const project = this.app.project.id;
    let status;
    let people;
    let invites;
    try {
      [status, people, invites] = await Promise.all(
        ["status", "people", "invites"].map((what) => this.app.api.get(`/api/projects/${project}/${what}`)),
      );
    } catch (problem) {
      this._tables.replaceChildren(make("p", { class: "problem", role: "alert" }, problem.words ?? `${problem}`));
      return;
    }
    const names = new Map(people.map((one) => [one.person, one.name]));
    const bar = make("progress", { max: Math.max(status.wanted, 1), value: status.answered, "aria-label": "Answers given" });
    this._tables.replaceChildren(
      make("div", { class: "amount" }, bar, make("p", {}, `${status.answered} of ${status.wanted} answers; ${counted(status.to_review, "slice")} to review.`)),
      table(
        "Volumes",
        [["Volume", (row) => row.volume], ["Slices", (row) => row.tasks], ["Complete", (row) => row.complete],
          ["Answers", (row) => row.answered], ["Wanted", (row) => row.wanted]],
        status.volumes, "There is no volume.",
      ),
      table(
        "People",
        [["Pseudonym", (row) => row.person], ["Name", (row) => names.get(row.person)], ["Role", (row) => row.role],
          ["Answers", (row) => row.answered], ["Known slices", (row) => row.gold], ["Practice", (row) => row.training], ["Last", (row) => day(row.last)]],
        status.people, "Nobody has joined yet. Make an invitation below.",
      ),
      table(
        "Invitations",
        [["Number", (row) => row.number], ["Role", (row) => row.role], ["Note", (row) => row.note], ["Made", (row) => day(row.created)],
          ["Until", (row) => day(row.expires)], ["Uses left", (row) => row.uses_left], ["State", (row) => this._stateOf(row)]],
        invites, "There is none yet. Make one below.",
      ),
    );
    say("Status is up to date.");
  }

  /** What became of an invitation; one that is open can be revoked. */
  _stateOf(invite) {
    if (invite.revoked) return `revoked ${day(invite.revoked)}`;
    if (invite.state !== "open") return invite.state;
    return button("Revoke", () => void this._revoke(invite), { "aria-label": `Revoke invitation ${invite.number}` });
  }

  async _revoke({ number }) {
    const text = "Its link lets nobody in any more. Who joined by it stays. It cannot be taken back; you can make a new link.";
    if (!(await agreed(`Revoke invitation ${number}?`, text, "Revoke it", "Keep it"))) return;
    try {
      await this.app.api.post(`/api/projects/${this.app.project.id}/invites/${number}/revoke`);
    } catch (problem) {
      this._tables.prepend(make("p", { class: "problem", role: "alert" }, problem.words ?? `${problem}`));
      return;
    }
    await this._load();
    this.element.querySelector("h1").focus(); // the button is gone
    say(`Invitation ${number} is revoked.`);
  }

  _inviting() {
    const role = make("select", { name: "role" }, ...ROLES.map(([value, text]) => make("option", { value }, text)));
    const days = make("input", { name: "days", type: "number", min: "1", max: "365", value: "14", required: true, inputmode: "numeric" });
    const note = make("input", { name: "note", maxlength: "200" });
    const told = make("div", { class: "told", "aria-live": "polite" });
    const labelled = (text, input) => make("label", { class: "field" }, make("span", {}, text), input);
    const form = make(
      "form",
      {
        class: "invite",
        on: {
          submit: async (event) => {
            event.preventDefault();
            try {
              const body = { role: role.value, days: Number(days.value), note: note.value.trim() };
              const { link } = await this.app.api.post(`/api/projects/${this.app.project.id}/invites`, body);
              told.replaceChildren(...this._link(new URL(link, location.href).href));
              await this._load();
            } catch (problem) {
              told.replaceChildren(make("p", { class: "problem" }, problem.words ?? `${problem}`));
            }
          },
        },
      },
      make("h2", {}, "Invite someone"), labelled("Role", role), labelled("Valid for days", days), labelled("Note for yourself", note),
      make("button", { type: "submit", class: "main" }, "Make a link"), told,
    );
    return form;
  }

  _link(address) {
    const shown = make("input", { readonly: true, value: address, "aria-label": "Invitation link" });
    const copy = button("Copy", async () => {
      shown.select();
      try {
        await navigator.clipboard.writeText(address);
        say("Copied.");
        copy.textContent = "Copied";
      } catch {
        say("Press Ctrl and C to copy."); // the browser allows no other way, without TLS for instance
      }
    });
    return [make("p", {}, "Send this link to one person. It works once."), make("div", { class: "row" }, shown, copy)];
  }
}
