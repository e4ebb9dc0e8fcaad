// What this browser keeps until the server has it: answers that are not saved yet, and boxes that are not answers yet. By account.
// IndexedDB, written to disk before a write counts as done, because a browser that is killed loses what localStorage held last.

const OLDEST_DAYS = 30;

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function opened() {
  const request = indexedDB.open("sam2annotate-crowd", 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("answers", { keyPath: "client_id" });
    request.result.createObjectStore("drafts", { keyPath: ["account", "task"] });
  };
  return done(request);
}

export class Store {
  /** @param account whose things these are */
  constructor(database, account) {
    this._database = database;
    this.account = account;
    this._drafting = Promise.resolve();
    this._memory = { answers: new Map(), drafts: new Map() };
  }

  static async open(account) {
    let database = null;
    try {
      database = await opened();
    } catch {
      // Private windows of some browsers refuse. Then `lasts` is false, and the page says so.
    }
    const store = new Store(database, account);
    await store._forgetOld();
    return store;
  }

  /** Whether what is put here is still here when the browser is opened again. */
  get lasts() {
    return this._database !== null;
  }

  /** Keep an answer until it is saved; the draft of its task is over. */
  async putAnswer(answer) {
    const kept = { ...answer, account: this.account, kept: Date.now() };
    await this._noDraft(answer.task); // one still being written would come after
    await this._write(["answers", "drafts"], (answers, drafts) => {
      answers.put(kept);
      if (answer.task) drafts.delete([this.account, answer.task]);
    });
  }

  dropAnswer(clientId) {
    return this._write(["answers"], (answers) => answers.delete(clientId));
  }

  /** My answers that are not saved, oldest first. */
  async answers() {
    return (await this._mine("answers")).sort((one, other) => one.number - other.number);
  }

  /** Keep what is drawn on a task, the last of several that come at once. */
  putDraft(task, boxes_rc) {
    const waits = this._draft !== undefined && this._draft !== null;
    this._draft = { account: this.account, task, boxes_rc, kept: Date.now() };
    if (!waits) {
      this._drafting = this._drafting.catch(() => {}).then(() => {
        const draft = this._draft;
        this._draft = null;
        return draft && this._write(["drafts"], (drafts) => drafts.put(draft));
      });
    }
    return this._drafting;
  }

  async draft(task) {
    return (await this._mine("drafts")).find((draft) => draft.task === task) ?? null;
  }

  /** Forget everything of this account. */
  async clear() {
    await this._noDraft(this._draft?.task);
    const [answers, drafts] = [await this._mine("answers"), await this._mine("drafts")];
    await this._write(["answers", "drafts"], (answerStore, draftStore) => {
      for (const answer of answers) answerStore.delete(answer.client_id);
      for (const draft of drafts) draftStore.delete([this.account, draft.task]);
    });
  }

  /** Take back a draft that waits to be written, and wait for one that is being written. */
  async _noDraft(task) {
    if (this._draft?.task === task) this._draft = null;
    await this._drafting.catch(() => {}); // whoever put it has been told
  }

  async _forgetOld() {
    const before = Date.now() - OLDEST_DAYS * 24 * 3600 * 1000;
    const old = (await this._mine("drafts")).filter((draft) => draft.kept < before);
    await this._write(["drafts"], (drafts) => {
      for (const draft of old) drafts.delete([this.account, draft.task]);
    });
  }

  async _mine(name) {
    const all = this._database
      ? await done(this._database.transaction(name).objectStore(name).getAll())
      : [...this._memory[name].values()];
    return all.filter((entry) => entry.account === this.account);
  }

  _write(names, change) {
    if (!this._database) {
      const keyOf = (entry) => JSON.stringify(entry.client_id ?? [entry.account, entry.task]);
      const memory = (name) => ({
        put: (entry) => this._memory[name].set(keyOf(entry), entry),
        delete: (key) => this._memory[name].delete(JSON.stringify(key)),
      });
      change(...names.map(memory));
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const transaction = this._database.transaction(names, "readwrite", { durability: "strict" });
      transaction.oncomplete = () => resolve();
      transaction.onerror = transaction.onabort = () => reject(transaction.error ?? new Error("The browser kept nothing."));
      change(...names.map((name) => transaction.objectStore(name)));
    });
  }
}
