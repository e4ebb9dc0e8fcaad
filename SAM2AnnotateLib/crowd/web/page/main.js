// The page: who is there, which project, and which of its three views. Puts the parts together.

import { Annotate } from "./annotate.js";
import { Api, Problem } from "./api.js";
import { agreed, instructions } from "./dialogs.js";
import { button, counted, make } from "./elements.js";
import { Outbox } from "./outbox.js";
import { Owner } from "./owner.js";
import { Review } from "./review.js";
import { signIn, signInAgain } from "./sign_in.js";
import { Store } from "./store.js";

const VIEWS = { annotate: ["Annotate", Annotate], review: ["Review", Review], status: ["Status", Owner] };
const MAY = { annotator: ["annotate"], reviewer: ["annotate", "review"], owner: ["annotate", "review", "status"] };
const SEEN = "instructions:"; // whose instructions were shown

class App {
  constructor(place) {
    this.place = place;
    this.api = new Api(() => this._again(), () => this._beginAnew());
    this.view = null;
    addEventListener("hashchange", () => {
      if (new URLSearchParams(location.hash.slice(1)).has("invite")) location.reload();
      else if (this.me) void this.open();
    });
    addEventListener("unhandledrejection", (event) => this._fault(event.reason));
    addEventListener("error", (event) => event.error && this._fault(event.error)); // without one it is a browser's own remark
    addEventListener("beforeunload", (event) => {
      // Kept in the browser all the same; but who leaves for good should know.
      if (this.outbox?.count && !this.leaving) event.preventDefault();
    });
  }

  async start() {
    const invite = new URLSearchParams(location.hash.slice(1)).get("invite");
    try {
      if (!invite) this.me = await this.api.me();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.status !== 401) {
        this._trouble(problem, () => this.start());
        return;
      }
    }
    if (!this.me) {
      await signIn(this.api, this.place, invite);
      if (invite) history.replaceState(null, "", location.pathname); // it is used, and need not stay in the history
      this.me = await this.api.me();
    }
    this.store = await Store.open(this.me.name);
    this.outbox = new Outbox(this.api, this.store);
    await this.outbox.start();
    await this.open();
  }

  /** Show the project and the view that the address names. */
  async open() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const { projects } = this.me;
    const id = wanted.get("project") ?? (projects.length === 1 ? projects[0].id : null);
    const entry = projects.find((project) => project.id === id);
    if (!entry) {
      this._closeView();
      this._chooseProject();
      return;
    }
    try {
      this.project = { id, ...(await this.api.get(`/api/projects/${id}`)) };
    } catch (problem) {
      this._closeView();
      this._trouble(problem, () => this.open());
      return;
    }
    const may = MAY[entry.role ?? this.me.role] ?? MAY.annotator;
    const name = may.includes(wanted.get("view")) ? wanted.get("view") : "annotate";
    document.title = this.project.title;
    this._closeView(); // not before the other one is there: till then it is seen
    this.view = new VIEWS[name][1](this);
    this.place.replaceChildren(this._header(may, name), this.view.element);
    if (name === "annotate") await this._firstTime();
    await this.view.start();
  }

  _closeView() {
    this.view?.close();
    this.view = null;
  }

  /** Keep what is drawn, and say so if the browser does not. */
  keepDraft(task, boxes) {
    this.store.putDraft(task, boxes).catch((error) => {
      this.outbox.keepsNothing = `This browser keeps no drafts (${error?.message ?? error}).`;
    });
  }

  instructions() {
    return instructions(this.project);
  }

  async _firstTime() {
    const seen = `${SEEN}${this.me.name}:${this.project.id}`;
    try {
      if (localStorage.getItem(seen)) return;
      localStorage.setItem(seen, "1");
    } catch {
      // Nothing may be kept: shown each time.
    }
    await this.instructions();
  }

  _forgetSeen() {
    try {
      for (const key of Object.keys(localStorage).filter((name) => name.startsWith(`${SEEN}${this.me.name}:`))) localStorage.removeItem(key);
    } catch {
      // Nothing was kept.
    }
  }

  _header(may, name) {
    const { id } = this.project;
    const links = may.map((one) =>
      make("a", { href: `#project=${encodeURIComponent(id)}&view=${one}`, "aria-current": one === name ? "page" : null }, VIEWS[one][0]));
    if (this.me.projects.length > 1) links.unshift(make("a", { href: "#projects" }, "Projects"));
    return make(
      "header", {},
      make("p", { class: "title" }, this.project.title),
      links.length > 1 ? make("nav", { "aria-label": "Views" }, ...links) : "",
      this._saving(), button("Sign out", () => void this._signOut(), { class: "quiet", title: `Signed in as ${this.me.name}` }),
    );
  }

  /** Whether everything is saved, in words that are true. */
  _saving() {
    const text = make("span", { role: "status" });
    const more = make("span", {});
    const element = make("div", { class: "saving" }, text, more);
    const show = () => {
      const words = this.outbox.words;
      if (text.textContent !== words.text) text.textContent = words.text;
      element.dataset.kind = this.outbox.refused.length ? "not-saved" : words.kind;
      const again = words.kind === "not-saved" ? [button("Try now", () => this.outbox.sendNow(), { class: "quiet" })] : [];
      const refused = this.outbox.refused.map(({ answer, problem }) =>
        make(
          "span", { class: "refused", role: "alert" }, `The server did not take an answer: ${problem.words} `,
          button("Drop it", () => void this.outbox.forget(answer.client_id), { class: "quiet" }),
        ));
      more.replaceChildren(...again, ...refused);
    };
    this._unhear?.();
    this.outbox.addEventListener("change", show);
    this._unhear = () => this.outbox.removeEventListener("change", show);
    show();
    return element;
  }

  _chooseProject() {
    const title = make("h1", { tabindex: "-1" }, this.me.projects.length ? "Your projects" : "No project yet");
    const entries = this.me.projects.map((project) => make(
      "li", {}, make("a", { href: `#project=${encodeURIComponent(project.id)}` }, project.title),
      make("span", {}, ` ${counted(project.left ?? 0, "slice")} left, ${project.done ?? 0} done`),
    ));
    const none = make("p", {}, "You have no project here. Ask who invited you.");
    document.title = "Boxes";
    this.place.replaceChildren(
      make("header", {}, make("p", { class: "title" }, this.me.name), this._saving(), button("Sign out", () => void this._signOut(), { class: "quiet" })),
      make("main", { class: "narrow" }, title, entries.length ? make("ul", { class: "projects" }, ...entries) : none),
    );
    title.focus();
  }

  async _again() {
    this.outbox?.pause("You are signed out.");
    const same = await signInAgain(this.api, this.me.name);
    this.outbox?.pause(null);
    if (!same) this._beginAnew();
    return same;
  }

  /** For another person. What is not saved stays in the browser for whom it belongs to. */
  _beginAnew() {
    if (this.leaving) return; // several requests may find it out, and to load the page again would stop loading it
    this.leaving = true;
    location.reload();
  }

  async _signOut() {
    const open = this.outbox.count + this.outbox.refused.length;
    if (open) {
      const text = `${counted(open, "answer is", "answers are")} not saved. If you sign out now, this browser forgets them.`;
      if (!(await agreed("Sign out?", text, "Sign out and lose them", "Stay"))) return;
    }
    try {
      await this.api.post("/api/logout");
    } catch (problem) {
      if (problem.status !== 401) {
        this._trouble(problem, () => this.open());
        return;
      }
    }
    this.outbox.stop();
    this.view?.close();
    await this.store.clear();
    this._forgetSeen();
    this.leaving = true;
    location.assign(location.pathname);
  }

  /** A fault of this page itself: to be told, not to be silent about. */
  _fault(reason) {
    const text = `Something went wrong in this page (${reason?.message ?? reason}). Load it again: what you drew is kept.`;
    this.place.querySelector("header")?.append(make("p", { class: "problem", role: "alert" }, text));
  }

  _trouble(problem, again) {
    const title = make("h1", { tabindex: "-1" }, "That did not work");
    const text = make("p", { role: "alert" }, problem instanceof Problem ? problem.words : `${problem}`);
    this.place.replaceChildren(make("main", { class: "narrow" }, title, text, button("Try again", () => void again(), { class: "main" })));
    title.focus();
  }
}

void new App(document.getElementById("page")).start();
