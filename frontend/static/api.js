// Talks to the public API. The one place that sends requests, and so the one place that resends them.
//
// A request either gets an answer (`Answer`) or it throws `Unreachable`: then nobody knows whether it was carried out.
// What may be resent: reads, and changes that carry an Idempotency-Key, since a repeat of those counts once. The key is
// minted before the first send and stays the same on every resend; a new key would be a new purchase.

const ATTEMPTS = 4;
const ATTEMPT_MS = 10_000; // above the shop's own limit of 8 s for a checkout
const PAUSE_MS = 300; // doubles; the shop's Retry-After wins
const PAUSE_MAX_MS = 2_500;

/** No answer came: the outcome is unknown. */
export class Unreachable extends Error {}

/** A key that names one intent of the customer. */
export function newKey() {
  // randomUUID exists on https and localhost only, and the shop may be tried over plain http from another machine.
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** An answer of the shop, whatever its status. */
class Answer {
  constructor(response, body) {
    this.status = response.status;
    this.ok = response.ok;
    this.body = body;
    this.location = response.headers.get("Location");
    const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    this.retryAfterS = Number.isFinite(seconds) ? seconds : null;
  }

  /** The kind of problem: the end of its type, such as "out-of-stock". Empty if it is none. */
  get problem() {
    return this.ok ? "" : String(this.body?.type ?? "").split("#").pop();
  }

  /** What the shop says about it, for people. */
  get detail() {
    return this.body?.detail ?? "The shop did not say why.";
  }
}

async function once(method, path, body, key) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), ATTEMPT_MS);
  try {
    const response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      signal: abort.signal,
    });
    // Read inside the time limit: an answer that stops half-way is no answer.
    const text = await response.text();
    let parsed = null;
    try {
      parsed = text ? JSON.parse(text) : null;
    } catch {
      if (response.ok) throw new Unreachable("the answer cannot be read");
    }
    return new Answer(response, parsed);
  } catch (error) {
    throw error instanceof Unreachable ? error : new Unreachable(String(error));
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Sends a request, and sends it again on silence or 5xx where a repeat is harmless. `attempts` is the bound.
 * A 429 is never resent by itself: whoever is told to slow down shows that to the customer.
 */
export async function send(method, path, { body, key, attempts } = {}) {
  const repeatable = method === "GET" || Boolean(key);
  const most = attempts ?? (repeatable ? ATTEMPTS : 1);
  for (let attempt = 1; ; attempt += 1) {
    let answer;
    let failure;
    try {
      answer = await once(method, path, body, key);
      if (answer.status < 500) return answer;
    } catch (error) {
      failure = error;
    }
    if (attempt >= most) {
      if (answer) return answer;
      throw failure;
    }
    const asked = (answer?.retryAfterS ?? 0) * 1000;
    const backOff = PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random());
    await pause(Math.min(Math.max(asked, backOff), PAUSE_MAX_MS));
  }
}

/** Sees to it that there is a session, an anonymous one if need be. Opening one too many harms nothing. */
export async function ensureSession() {
  const known = await send("GET", "/api/session");
  if (known.ok) return known.body;
  if (known.status !== 401) throw new Unreachable(known.detail);
  const opened = await send("POST", "/api/session", { attempts: ATTEMPTS });
  if (!opened.ok) throw new Unreachable(opened.detail);
  return { anonymous: true };
}

let ready = null;

/**
 * A change to the cart. Opens a session first; if the session ended meanwhile, opens a new one and sends the change once
 * more. The key stays: the old session's cart is gone with it, so the change cannot count twice.
 */
export async function change(method, path, body, key = newKey()) {
  ready ??= ensureSession();
  try {
    await ready;
  } catch (error) {
    ready = null;
    throw error;
  }
  const answer = await send(method, path, { body, key });
  if (answer.status !== 401) return answer;
  ready = ensureSession();
  await ready;
  return send(method, path, { body, key });
}
