// Sign in, create an account, sign out. The shop opens a new session at sign-in and brings the guest's cart along.

import { Unreachable, newKey, pause, send } from "./api.js";
import { el, notice, part } from "./dom.js";
import { sawAccount, sawCart, sawNoSession } from "./header.js";

const PASSWORD_MIN = 8;
const COUNTDOWN_MAX_S = 3_600;

/** Where to go afterwards: a page of this shop, or the front page. Never another site, whatever the address says. */
function next() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "/";
  try {
    const url = new URL(wanted, location.origin);
    return url.origin === location.origin && wanted.startsWith("/") ? url.pathname + url.search : "/";
  } catch {
    return "/";
  }
}

function fieldError(input, text) {
  const id = `${input.id}-error`;
  document.getElementById(id)?.remove();
  input.setAttribute("aria-invalid", text ? "true" : "false");
  const described = [input.id === "register-password" ? "password-rule" : "", text ? id : ""].filter(Boolean).join(" ");
  if (described) input.setAttribute("aria-describedby", described);
  else input.removeAttribute("aria-describedby");
  if (text) input.parentElement.append(el("p", { class: "error", id }, text));
  return Boolean(text);
}

/** Checks what the browser can check, and puts the focus on the first mistake. The shop checks again. */
function isFilledIn(form, isNew) {
  const { email, password } = form.elements;
  const noEmail = !email.value.trim() || !email.validity.valid;
  const wrong = [
    fieldError(email, noEmail ? "Please give an e-mail address, like ada@example.org." : "") && email,
    fieldError(password, passwordMistake(password.value, isNew)) && password,
  ].filter(Boolean);
  wrong[0]?.focus();
  return wrong.length === 0;
}

function passwordMistake(password, isNew) {
  if (!password) return "Please give a password.";
  return isNew && [...password].length < PASSWORD_MIN ? `Please use at least ${PASSWORD_MIN} characters.` : "";
}

async function countDown(form, seconds) {
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  for (let left = Math.min(seconds, COUNTDOWN_MAX_S); left > 0; left -= 1) {
    // Told to a screen reader once, not every second.
    const words = `Too many wrong passwords. Please wait ${seconds} seconds.`;
    if (part("error", form).textContent !== words) part("error", form).textContent = words;
    button.textContent = `Wait ${left} s`;
    await pause(1_000);
  }
  part("error", form).textContent = "";
  button.textContent = button.dataset.label;
  button.disabled = false;
}

/** Opens the account's session and leaves for the next page; or says why not. */
async function signIn(form, credentials) {
  const answer = await send("POST", "/api/session", { body: credentials, attempts: 2 });
  if (answer.ok) {
    sawAccount(answer.body.account ?? { email: credentials.email });
    const cart = await send("GET", "/api/cart").catch(() => null);
    if (cart?.ok) sawCart(cart.body);
    location.assign(next());
    return;
  }
  if (answer.status === 429) return void countDown(form, answer.retryAfterS ?? 30);
  part("error", form).textContent =
    answer.status === 401 ? "E-mail address and password do not go together." : answer.detail;
}

async function register(form, credentials) {
  form.dataset.key ||= newKey();
  const answer = await send("POST", "/api/accounts", { body: credentials, key: form.dataset.key });
  if (answer.status < 500) form.dataset.key = "";
  if (answer.ok) return signIn(form, credentials);
  if (answer.status === 409) {
    fieldError(form.elements.email, "This address has an account already. Please sign in.");
    form.elements.email.focus();
    return;
  }
  part("error", form).textContent = answer.detail;
}

function wire(form, act, isNew) {
  const button = form.querySelector("[type=submit]");
  button.dataset.label = button.textContent;
  // Another address or password is another account, so it must not come under the key of the one before.
  form.addEventListener("input", () => (form.dataset.key = ""));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    part("error", form).textContent = "";
    if (button.disabled || !isFilledIn(form, isNew)) return;
    button.disabled = true;
    let waits = false;
    try {
      await act(form, { email: form.elements.email.value.trim(), password: form.elements.password.value });
      waits = button.textContent !== button.dataset.label;
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      part("error", form).textContent = "The shop did not answer. Please try again.";
    } finally {
      if (!waits) button.disabled = false;
    }
  });
}

async function signOut() {
  try {
    const answer = await send("DELETE", "/api/session", { attempts: 3 });
    if (!answer.ok && answer.status !== 401) throw new Unreachable(answer.detail);
    sawNoSession();
    location.assign("/");
  } catch {
    notice(part("notice"), "bad", el("p", {}, "The shop did not answer, so you may still be signed in. Please try again."));
  }
}

async function start() {
  wire(part("login"), signIn, false);
  wire(part("register"), register, true);
  part("sign-out").addEventListener("click", signOut);
  const session = await send("GET", "/api/session").catch(() => null);
  if (!session?.ok || !session.body.account) return;
  part("heading").textContent = "Your account";
  part("email").textContent = session.body.account.email;
  part("signed-in").hidden = false;
  part("forms").hidden = true;
  sawAccount(session.body.account);
}

start();
