// What the page asks of the server. Every failure is a Problem: a sentence, and what to do about it.

const PATIENCE_MS = 30000;

export class Problem extends Error {
  /** @param status of HTTP; 0 if the server did not answer at all */
  constructor(status, problem, remedy = "", waitSeconds = null) {
    super(problem);
    this.status = status;
    this.remedy = remedy;
    this.waitSeconds = waitSeconds;
  }

  /** Whether the same request may go well later. */
  get passes() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }

  get words() {
    return [this.message, this.remedy].filter(Boolean).join(" ");
  }
}

async function problemOf(response) {
  let told = {};
  try {
    told = await response.json();
  } catch {
    // Not of our server: a proxy's page, for instance. The status says enough.
  }
  const wait = Number(response.headers.get("Retry-After"));
  const text = typeof told.problem === "string" ? told.problem : `The server answered with error ${response.status}.`;
  return new Problem(response.status, text, typeof told.remedy === "string" ? told.remedy : "", wait > 0 ? wait : null);
}

export class Api {
  /**
   * @param signInAgain asks the person to sign in; gives true once they have, false if the page begins anew
   * @param someoneElse called if another person has signed in meanwhile, in another tab for instance
   */
  constructor(signInAgain, someoneElse) {
    this.csrf = "";
    this._person = null;
    this._signInAgain = signInAgain;
    this._someoneElse = someoneElse;
    this._signingIn = null;
  }

  get(path) {
    return this._asked("GET", path).then((response) => response.json());
  }

  post(path, body = {}) {
    return this._asked("POST", path, body).then((response) => response.json());
  }

  /** A picture's address on this page, to be given back with URL.revokeObjectURL. */
  async picture(path) {
    const response = await this._asked("GET", path);
    return URL.createObjectURL(await response.blob());
  }

  /** Sign in, with a name and a password or with an invite too. */
  async signIn(path, body) {
    const signed = await (await this._sent("POST", path, body)).json();
    this.csrf = signed.csrf;
    return signed;
  }

  async me() {
    const me = await (await this._sent("GET", "/api/me")).json();
    this.csrf = me.csrf;
    this._person ??= me.name;
    return me;
  }

  async _asked(method, path, body, again = true) {
    try {
      return await this._sent(method, path, body);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.status === 401) {
        this._signingIn ??= this._signInAgain().finally(() => (this._signingIn = null));
        if (await this._signingIn) return this._asked(method, path, body, again);
      } else if (problem.status === 403 && method === "POST" && again) {
        // Signed in anew in another tab: this one's token is old.
        const before = this.csrf;
        const { name } = await this.me();
        if (name !== this._person) {
          this._someoneElse();
          throw new Problem(401, "Somebody else has signed in in this browser.");
        }
        if (this.csrf !== before) return this._asked(method, path, body, false);
      }
      throw problem;
    }
  }

  async _sent(method, path, body) {
    const options = { method, credentials: "same-origin", cache: "no-store", headers: {}, signal: AbortSignal.timeout(PATIENCE_MS) };
    if (method === "POST") {
      options.headers = { "Content-Type": "application/json", "X-CSRF-Token": this.csrf };
      options.body = JSON.stringify(body);
    }
    let response;
    try {
      response = await fetch(path, options);
    } catch {
      throw new Problem(0, "The server does not answer.", "Check your connection.");
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }
}
