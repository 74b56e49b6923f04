// The part of the page that is the same everywhere: how full the cart is, and who is signed in.
//
// The session cookie is invisible to scripts on purpose. So that a first visit costs the shop no call, the browser keeps
// a note of what it saw last; it is shown at once and corrected by the next answer. The note decides nothing.

import { send } from "./api.js";
import { count, part } from "./dom.js";

const NOTE = "trestle.note";

function read() {
  try {
    return JSON.parse(localStorage.getItem(NOTE)) ?? {};
  } catch {
    return {};
  }
}

function write(changes) {
  try {
    localStorage.setItem(NOTE, JSON.stringify({ ...read(), ...changes }));
  } catch {
    // Storage may be switched off. The header then starts empty on each page; nothing else is lost.
  }
}

function show({ pieces = 0, email = null }, bump = false) {
  const badge = part("cart-count");
  badge.hidden = pieces === 0;
  badge.textContent = pieces > 99 ? "99+" : String(pieces);
  part("cart-words").textContent = pieces === 0 ? "" : `, ${count(pieces, "item")}`;
  badge.setAttribute("aria-hidden", "true");
  badge.classList.toggle("bump", false);
  if (bump) {
    void badge.offsetWidth; // restarts the animation
    badge.classList.add("bump");
  }
  part("account").textContent = email ? "Account" : "Sign in";
}

/** Takes over a cart that the shop has just told. */
export function sawCart(cart) {
  const pieces = cart.lines.reduce((sum, line) => sum + line.quantity, 0);
  const before = read().pieces ?? 0;
  write({ pieces, session: true });
  show(read(), pieces > before);
}

/** Takes over who is signed in; null for nobody. */
export function sawAccount(account) {
  write({ email: account?.email ?? null, session: true });
  show(read());
}

/** There is no session any more. */
export function sawNoSession() {
  write({ pieces: 0, email: null, session: false });
  show({});
}

/** Shows the note, and corrects it if there ever was a session. */
export async function start() {
  show(read());
  if (!read().session) return;
  try {
    const [cart, session] = await Promise.all([
      send("GET", "/api/cart", { attempts: 2 }),
      send("GET", "/api/session", { attempts: 2 }),
    ]);
    if (session.status === 401) sawNoSession();
    if (session.ok) sawAccount(session.body.account);
    if (cart.ok) sawCart(cart.body);
  } catch {
    // The header is an extra; the page itself says when the shop cannot be reached.
  }
}
