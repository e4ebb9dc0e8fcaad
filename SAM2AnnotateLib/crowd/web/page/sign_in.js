// Who is there: signing in, joining by an invite, signing in again over what is being done.

import { Problem } from "./api.js";
import { field, make } from "./elements.js";

const SHORTEST = 10; // letters of a password, as the server wants them

/**
 * A form that signs in.
 * @param texts {title, text, button}
 * @param sent called with {name, password}; what it throws is shown
 * @param name filled in, if it is known
 */
function form(texts, sent, name = "", isNew = false) {
  const [nameLabel, nameInput] = field("Name", { name: "name", autocomplete: "username", required: true, autocapitalize: "none", spellcheck: "false", value: name });
  const [wordLabel, wordInput] = field("Password", {
    name: "password", type: "password", autocomplete: isNew ? "new-password" : "current-password", required: true,
    minlength: isNew ? SHORTEST : null, maxlength: "256",
  });
  const problem = make("p", { class: "problem", role: "alert", hidden: true });
  const submit = make("button", { type: "submit", class: "main" }, texts.button);
  const element = make(
    "form",
    {
      class: "sign-in",
      on: {
        submit: async (event) => {
          event.preventDefault();
          submit.disabled = true;
          problem.hidden = true;
          try {
            await sent({ name: nameInput.value.trim(), password: wordInput.value });
          } catch (error) {
            problem.textContent = error instanceof Problem ? error.words : `${error}`;
            if (error.waitSeconds) problem.textContent += ` Wait ${Math.ceil(error.waitSeconds)} s.`;
            problem.hidden = false;
            wordInput.select();
          } finally {
            submit.disabled = false;
          }
        },
      },
    },
    make("h1", { id: "sign-in-title" }, texts.title), ...texts.text.map((text) => make("p", {}, text)), nameLabel, wordLabel, problem, submit,
  );
  return { element, focus: () => (name ? wordInput : nameInput).focus() };
}

/** The page for those who are not signed in. Gives a promise that holds once they are. */
export function signIn(api, place, invite) {
  return new Promise((resolve) => {
    const texts = invite
      ? { title: "Join", text: ["You were invited to mark things on medical pictures.", `Choose a name and a password of at least ${SHORTEST} letters. You need them to come back.`], button: "Join" }
      : { title: "Sign in", text: ["No account yet? Open the invitation link that you were sent."], button: "Sign in" };
    const { element, focus } = form(
      texts,
      async (entered) => {
        await api.signIn(invite ? "/api/join" : "/api/login", invite ? { invite, ...entered } : entered);
        resolve();
      },
      "",
      Boolean(invite),
    );
    place.replaceChildren(make("main", { class: "narrow" }, element));
    focus();
  });
}

/** Over the page: the session is over, sign in again. Gives true once the same person has, false for another. */
export function signInAgain(api, name) {
  return new Promise((resolve) => {
    const texts = { title: "Please sign in again", text: ["You were signed out. Nothing is lost: what you drew is still there."], button: "Sign in" };
    const dialog = make("dialog", { "aria-labelledby": "sign-in-title", on: { cancel: (event) => event.preventDefault() } });
    const { element, focus } = form(
      texts,
      async (entered) => {
        await api.signIn("/api/login", entered);
        const me = await api.me();
        dialog.close();
        dialog.remove();
        resolve(me.name === name);
      },
      name,
    );
    dialog.append(element);
    document.body.append(dialog);
    dialog.showModal();
    focus();
  });
}
