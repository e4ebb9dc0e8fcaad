// How long someone has looked at a slice, and new ids.

/** Seconds for which the page was in sight since it was started. */
export class Clock {
  constructor() {
    this._seen = () => this._turn();
    document.addEventListener("visibilitychange", this._seen);
    this.start();
  }

  start() {
    this._before = 0;
    this._since = document.hidden ? null : performance.now();
  }

  close() {
    document.removeEventListener("visibilitychange", this._seen);
  }

  get seconds() {
    const now = this._since === null ? 0 : performance.now() - this._since;
    return Math.round((this._before + now) / 10) / 100;
  }

  _turn() {
    if (document.hidden && this._since !== null) {
      this._before += performance.now() - this._since;
      this._since = null;
    } else if (!document.hidden && this._since === null) {
      this._since = performance.now();
    }
  }
}

/** A random id (UUID 4). crypto.randomUUID is missing where a page comes without TLS. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
