// Pictures of tasks' slices, held while they may be looked at again, so that going back and forth asks the server once.

const KEPT_TASKS = 6;

export class Slices {
  constructor(api) {
    this._api = api;
    this._tasks = new Map();
    this._closed = false;
  }

  /** A promise of the address of a task's slice, or of a neighbor of it. */
  picture(task, offset = 0) {
    if (this._closed) return new Promise(() => {}); // nobody is there who would look at it
    const pictures = this._tasks.get(task.id) ?? new Map();
    this._tasks.delete(task.id);
    this._tasks.set(task.id, pictures); // used last
    if (!pictures.has(offset)) {
      const loaded = this._api.picture(offset ? `${task.image}?offset=${offset}` : task.image);
      pictures.set(offset, loaded);
      loaded.catch(() => pictures.delete(offset));
    }
    this._forget();
    return pictures.get(offset);
  }

  /** Give all addresses back. Whoever shows one of them has been closed before: a picture that still loads would be in error. */
  close() {
    this._closed = true;
    for (const id of [...this._tasks.keys()]) this._drop(id);
  }

  _forget() {
    for (const id of [...this._tasks.keys()].slice(0, Math.max(this._tasks.size - KEPT_TASKS, 0))) this._drop(id);
  }

  _drop(id) {
    for (const loaded of this._tasks.get(id).values()) loaded.then((url) => URL.revokeObjectURL(url), () => {});
    this._tasks.delete(id);
  }
}
