// Answers on their way to the server, in the order in which they were given. Each is kept in the browser until the server says that it is
// saved, and is sent again with the same id, so that it counts once.

import { Problem } from "./api.js";
import { counted } from "./elements.js";

const PAUSES_SECONDS = [2, 4, 8, 15, 30];

export class Outbox extends EventTarget {
  constructor(api, store) {
    super();
    this._api = api;
    this._store = store;
    this._waiting = [];
    this._heard = new Map();
    this._sending = false;
    this._failures = 0;
    this._seconds = null; // until the next try
    this._timer = null;
    this._last = 0;
    this.refused = [];
    this.problem = null;
    this.keepsNothing = null;
    this.saved = 0;
    this._soon = () => this.sendNow();
    addEventListener("online", this._soon);
    document.addEventListener("visibilitychange", this._soon);
  }

  /** Take up what an earlier page left. */
  async start() {
    this._waiting = await this._store.answers();
    this._changed();
    void this._send();
  }

  stop() {
    removeEventListener("online", this._soon);
    document.removeEventListener("visibilitychange", this._soon);
    clearTimeout(this._timer);
    this._waiting = [];
  }

  get count() {
    return this._waiting.length;
  }

  /** Tasks whose answers are under way. */
  get tasks() {
    return this._waiting.map((answer) => answer.task).filter(Boolean);
  }

  /** The answer to a task that is under way, if there is one. */
  answerTo(task) {
    return this._waiting.findLast((answer) => answer.task === task)?.body ?? null;
  }

  /**
   * Send a body to a path.
   * @param task whose draft it replaces
   * @returns a promise of the server's answer, once it is saved
   */
  async put(path, body, task) {
    this._last = Math.max(Date.now(), this._last + 1);
    const answer = { client_id: body.client_id, number: this._last, path, body, task };
    this._waiting.push(answer);
    this._changed();
    try {
      await this._store.putAnswer(answer);
      this.keepsNothing = null;
    } catch (error) {
      this.keepsNothing = `This browser could not keep your answer (${error?.message ?? error}). Leave the page open until it is saved.`;
    }
    const saved = new Promise((resolve, reject) => this._heard.set(answer.client_id, { resolve, reject }));
    saved.catch(() => {}); // told to the person by `words`; whoever wants to know waits for the promise
    void this._send();
    return { saved };
  }

  /** Why nothing can be sent for now; null once it can. */
  pause(why) {
    this.problem = why;
    this._seconds = null;
    this._changed();
  }

  /** Do not wait any longer to try again. */
  sendNow() {
    clearTimeout(this._timer);
    this._timer = null;
    void this._send();
  }

  /** Let go of an answer that the server refused. */
  async forget(clientId) {
    this.refused = this.refused.filter((entry) => entry.answer.client_id !== clientId);
    await this._store.dropAnswer(clientId);
    this._changed();
  }

  /** What a person should know: {kind: "saved" | "saving" | "not-saved", text}. */
  get words() {
    if (this.keepsNothing && this.count) return { kind: "not-saved", text: `Not saved. ${this.keepsNothing}` };
    if (this.problem && this.count) {
      const where = this._store.lasts ? "It waits in this browser" : "Do not close this page";
      const again = this._seconds ? `, next try in ${this._seconds} s.` : ".";
      return { kind: "not-saved", text: `Not saved: ${counted(this.count, "answer")}. ${this.problem} ${where}${again}` };
    }
    if (this.count) return { kind: "saving", text: this.count === 1 ? "Saving\u2026" : `Saving ${this.count} answers\u2026` };
    return this.saved ? { kind: "saved", text: "All saved" } : { kind: "saved", text: "" };
  }

  async _send() {
    if (this._sending || this._timer !== null) return;
    this._sending = true;
    try {
      while (this._waiting.length) {
        const answer = this._waiting[0];
        let told;
        try {
          told = await this._api.post(answer.path, answer.body);
        } catch (problem) {
          if (!(problem instanceof Problem)) throw problem;
          if (problem.passes) return this._tryLater(problem);
          if (problem.status === 401) return undefined; // the page begins anew
          this._waiting.shift();
          this.refused.push({ answer, problem });
          this._heard.get(answer.client_id)?.reject(problem);
          this._changed();
          continue;
        }
        this._waiting = this._waiting.filter((other) => other !== answer);
        await this._store.dropAnswer(answer.client_id).catch(() => {}); // sent once more after a reload, and counted once
        this.problem = null;
        this._failures = 0;
        this.saved += 1;
        this._heard.get(answer.client_id)?.resolve(told);
        this._heard.delete(answer.client_id);
        this._changed();
      }
    } finally {
      this._sending = false;
    }
    return undefined;
  }

  _tryLater(problem) {
    const pause = PAUSES_SECONDS[Math.min(this._failures, PAUSES_SECONDS.length - 1)];
    this._failures += 1;
    this._seconds = Math.min(Math.max(problem.waitSeconds ?? 0, pause), 120);
    this.problem = problem.words;
    this._timer = setTimeout(() => this.sendNow(), 1000 * this._seconds);
    this._changed();
  }

  _changed() {
    this.dispatchEvent(new Event("change"));
  }
}
