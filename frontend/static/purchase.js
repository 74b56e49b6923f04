// One purchase, from its key to a definite answer. This file decides what an answer means; checkout.js shows it.
//
// The rules (the shop's own are published at /docs/problems):
//  - The key is minted when the page is shown. Before the first send, key and body go into sessionStorage together.
//    (A real provider's token, too, names one payment once and is no card number.)
//  - They stay there until a definite answer, so a reload, a second click or a restart of the browser's tab sends the
//    same request again, and the shop answers with the same order.
//  - Silence, 5xx and 202 are not definite: money may have been taken. The only thing to do is ask again, same key.
//  - A new key is minted only after an answer that says nothing happened under the old one and nothing will.

import { Unreachable, newKey, pause, send } from "./api.js";
import { isOver } from "./state.js";

const STORE = "trestle.purchase";
const POLLS_MAX = 20;
const POLL_MS = 1_000;
const REPEATS_MAX = 8;

// Where storage is switched off, the purchase lives as long as the page: a second click is safe, a reload is not.
let memory = null;

function load() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE));
  } catch {
    return memory;
  }
}

function save(purchase) {
  memory = purchase;
  try {
    sessionStorage.setItem(STORE, JSON.stringify(purchase));
  } catch {
    // See `memory`.
  }
}

/** The purchase at hand: `{key}` when nothing was sent, `{key, body, lines}` when its outcome is not known yet. */
export function current() {
  const known = load();
  if (known?.key) return known;
  return startOver();
}

/** Leaves the old key behind. Only after a definite answer, or because the customer insists. */
export function startOver() {
  const fresh = { key: newKey() };
  save(fresh);
  return fresh;
}

/** Forgets a purchase that is over. */
function close() {
  memory = null;
  try {
    sessionStorage.removeItem(STORE);
  } catch {
    // See `memory`.
  }
}

const orderOf = (answer) => answer.body?.operation_ref ?? answer.body?.id ?? answer.location?.split("/").pop() ?? null;

/**
 * Sends the purchase and follows it to its end or to a bound. `body` and `lines` are given the first time only; later
 * calls send what was sent first, whatever the page shows by then. `progress(words, part)` is called on the way.
 *
 * Resolves to `{kind, order?, answer?}`; kinds:
 *   bought, declined, refused        definite; the key is used up and gone
 *   changed, fix                     definite; nothing began
 *   claimed                          another checkout has these lines: see `order`; the key stays, and is unused
 *   reused                           the key bought something else, in a copy of this window; nothing began
 *   pending                          the shop goes on with `order`; look there
 *   abandoned                        closed by a person; see `order`
 *   unknown                          no definite answer: try again with the same key
 */
export async function buy(body, lines, progress) {
  const known = current();
  const purchase = known.body ? known : { ...known, body, lines };
  save(purchase);
  for (let repeat = 0; repeat < REPEATS_MAX; repeat += 1) {
    progress(repeat === 0 ? "Paying …" : "The shop is still at it …", repeat / REPEATS_MAX);
    let answer;
    try {
      answer = await send("POST", "/api/checkout", { body: purchase.body, key: purchase.key, attempts: 2 });
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      return { kind: "unknown" };
    }
    if (answer.problem !== "in-progress") return interpret(answer, purchase, progress);
    await pause((answer.retryAfterS ?? 1) * 1_000);
  }
  return { kind: "unknown" };
}

function interpret(answer, purchase, progress) {
  const order = orderOf(answer);
  const end = (kind) => {
    close();
    return { kind, order, answer };
  };
  if (answer.status === 201) return end("bought");
  if (answer.status === 202) return follow(order, progress);
  if (answer.status === 402) return end("declined");
  switch (answer.problem) {
    case "total-changed":
    case "cart-empty":
      startOver();
      return { kind: "changed", answer };
    case "out-of-stock":
      return end("refused");
    case "cart-claimed":
      save({ key: purchase.key });
      return { kind: "claimed", order, answer };
    case "operation-abandoned":
    case "operation-result-expired":
      return { kind: "abandoned", order, answer };
    case "key-reused":
      return { kind: "reused", answer };
    default:
  }
  if (answer.body?.safe_new_key === true) return end("refused");
  if (answer.status === 401) return { kind: "unknown", answer };
  if ([400, 413, 415, 422].includes(answer.status)) {
    // The request was not understood, so nothing began: the same key may go with a corrected one.
    save({ key: purchase.key });
    return { kind: "fix", answer };
  }
  return { kind: "unknown", order, answer };
}

/** Looks at an order until it is over, or until the customer has waited long enough. */
async function follow(order, progress) {
  for (let poll = 0; poll < POLLS_MAX; poll += 1) {
    progress("The bank is taking its time. Your order is safe …", poll / POLLS_MAX);
    await pause(POLL_MS);
    const seen = await send("GET", `/api/orders/${order}`, { attempts: 2 }).catch(() => null);
    const state = seen?.ok ? seen.body.state : null;
    if (state === null || !isOver(state)) continue;
    close();
    if (state === "completed") return { kind: "bought", order };
    return { kind: state === "declined" ? "declined" : "refused", order };
  }
  return { kind: "pending", order };
}
