// The checkout page: shows what is bought and what became of it. What an answer means, purchase.js decides.

import { Unreachable, ensureSession, send } from "./api.js";
import { el, money, notice, part } from "./dom.js";
import { sawAccount, sawCart } from "./header.js";
import { buy, current, startOver } from "./purchase.js";

const form = part("form");
const outcome = part("outcome");
const pay = part("pay");
const REQUIRED = ["name", "line1", "city", "postcode", "country"];
let cart = null;
let busy = false;

function showLines(lines, total) {
  const rows = lines.map(({ quantity, title, line_total: sum }) =>
    el("li", {}, el("span", {}, quantity === 1 ? title : `${quantity} × ${title}`), el("span", {}, money(sum))),
  );
  part("lines").replaceChildren(...rows);
  part("total").textContent = money(total);
  pay.textContent = `Buy now for ${money(total)}`;
}

/** Shows what became of it above the form and moves there, also for those who cannot see it. */
function say(kind, heading, ...children) {
  notice(outcome, kind || "wait", el("h2", {}, heading), ...children);
  outcome.focus({ preventScroll: true });
  outcome.scrollIntoView({ block: "nearest" });
}

const p = (...words) => el("p", {}, ...words);
const link = (href, words, look = "button-line") => el("a", { class: look, href }, words);
const button = (words, onclick, look = "button") => el("button", { class: look, type: "button", onclick }, words);
const actions = (...children) => el("div", { class: "actions" }, ...children);

/** While a purchase is open its body is fixed, so the fields that made it are locked: what is shown is what is sent. */
function lock(locked) {
  for (const fieldset of form.querySelectorAll("fieldset")) fieldset.disabled = locked;
  pay.disabled = locked;
  form.setAttribute("aria-busy", String(busy));
}

function progress(words, share) {
  const bar = outcome.querySelector("progress");
  // Only new words replace the old: a live region is read out again whenever it is filled.
  if (bar?.previousSibling.textContent === words) bar.value = share;
  else {
    const value = Math.max(share, 0.05);
    notice(outcome, "wait", p(words), el("progress", { max: 1, value, "aria-label": "Waiting for the answer" }));
  }
}

const RESULTS = {
  bought({ order }) {
    say("good", "Thank you", p("Taking you to your order …"));
    location.assign(`/orders/${order}#thanks`);
  },
  declined({ answer }) {
    const code = answer?.body?.code ? ` (${answer.body.code})` : "";
    say("bad", "The payment was declined", p(`The bank said no${code}. Nothing was charged and your cart is as it was. You may choose another card and buy again.`));
    return reload();
  },
  refused({ answer, order }) {
    const { sku, available } = answer?.body ?? {};
    const title = cart?.lines.find((line) => line.sku === sku)?.title ?? sku;
    const short = sku ? p(`Of “${title}” there ${available === 1 ? "is one piece" : `are ${available ?? "too few"} pieces`} left. `) : null;
    const more = order ? link(`/orders/${order}`, "See the order") : null;
    say("bad", "This order could not be filled", short, p("Nothing was charged. Please change your cart and buy again."), actions(link("/cart", "Change the cart", "button"), more));
    return reload();
  },
  changed({ answer }) {
    const total = answer.body?.total;
    const now = total ? p(`It costs ${money(total)} now.`) : null;
    say("", "Your cart has changed", now, p("Prices or contents changed since you opened this page, perhaps in another window. Nothing was bought. Please look at the order below and buy again if you agree."));
    return reload();
  },
  claimed({ order }) {
    const see = order ? link(`/orders/${order}`, "See that order", "button") : link("/orders", "Your orders", "button");
    say("", "Already being bought", p("Another checkout, perhaps in another window, is buying or has bought these things. This one did nothing."), actions(see));
    return reload();
  },
  reused() {
    say("", "Already bought in another window", p("A copy of this window has sent an order under the same key, with another card or address. This one did nothing. Please look at your orders before you buy the same again."), actions(link("/orders", "Your orders", "button"), insist()));
  },
  pending({ order }) {
    say("", "Your order is still being paid", p("The bank has not answered yet. The shop goes on by itself, whether or not you stay, and charges you once at most. Please do not order the same again."), actions(link(`/orders/${order}`, "Watch the order", "button"), button("Try again safely", submit, "button-line")));
  },
  abandoned({ order }) {
    const see = order ? link(`/orders/${order}`, "See the order", "button") : null;
    say("bad", "This order was closed by hand", p("Somebody at the shop had to end it. Please look at it before you buy the same again, and ask us if you were charged."), actions(see, insist()));
  },
  fix({ answer }) {
    say("bad", "Something needs correcting", p(answer.detail), p("Nothing was bought."));
  },
  unknown({ answer }) {
    const session = answer?.status === 401;
    const isBusy = answer?.problem === "busy" || answer?.status === 429;
    const why = session
      ? p("Your session has ended, so the shop cannot tell us about this order. Please sign in with the account you bought with; then try again.")
      : isBusy
        ? p("Too many trains on the line: the shop could not take your order just now.")
        : p("We did not get a clear answer, so we do not know yet whether your order went through.");
    const signIn = session ? link("/login?next=/checkout", "Sign in") : null;
    say("", isBusy ? "The shop is busy" : "No answer yet", why, p("Trying again is safe: it sends the same order under the same key. If the first one arrived, you get that order back. You cannot be charged twice."), actions(button("Try again safely", submit), signIn, link("/orders", "Look at your orders"), session ? insist() : null));
  },
};

/** The way out of a purchase that cannot be asked about any more; only a customer may choose it. */
function insist() {
  const act = () => {
    startOver();
    location.reload();
  };
  return button("Give this one up and start over", act, "button-line");
}

/** The address, null if none is given, or undefined if one is begun and not complete. */
function address() {
  const fields = Object.fromEntries([...REQUIRED, "line2"].map((name) => [name, form.elements[name].value.trim()]));
  const begun = Object.values(fields).some(Boolean);
  const missing = REQUIRED.filter((name) => begun && !fields[name]);
  for (const name of REQUIRED) mark(form.elements[name], missing.includes(name));
  if (missing.length > 0) {
    form.elements[missing[0]].focus();
    return undefined;
  }
  if (!fields.line2) delete fields.line2;
  return begun ? fields : null;
}

function mark(input, isMissing) {
  const id = `${input.id}-error`;
  document.getElementById(id)?.remove();
  input.setAttribute("aria-invalid", String(isMissing));
  if (!isMissing) return input.removeAttribute("aria-describedby");
  input.setAttribute("aria-describedby", id);
  return input.parentElement.append(el("p", { class: "error", id }, "Needed for an address. Or leave all fields empty."));
}

async function submit(event) {
  event?.preventDefault();
  if (busy) return;
  const open = current().body;
  let body = open;
  if (!open) {
    const to = address();
    if (to === undefined) return;
    body = { payment: { token: form.elements.token.value }, expected_total: cart.total, ...(to && { address: to }) };
  }
  busy = true;
  lock(true);
  try {
    const result = await buy(body, cart?.lines, progress);
    busy = false;
    await RESULTS[result.kind](result);
  } finally {
    busy = false;
    // Locked for as long as an answer is owed: the form must not promise what the fixed request does not say.
    lock(Boolean(current().body) || outcome.querySelector(".good") !== null);
  }
}

/** Reads the cart again after a definite answer, so that the next try agrees to what is true now. */
async function reload() {
  const answer = await send("GET", "/api/cart").catch(() => null);
  if (!answer?.ok) return;
  cart = answer.body;
  sawCart(cart);
  form.hidden = cart.lines.length === 0;
  part("empty").hidden = cart.lines.length > 0;
  if (cart.lines.length > 0) showLines(cart.lines, cart.total);
}

function hint() {
  part("hint", form).textContent = form.elements.token.selectedOptions[0]?.dataset.hint ?? "";
}

/** A purchase that was sent before this page was shown, and whose outcome is owed. */
function resume({ body, lines }) {
  form.hidden = false;
  showLines(lines ?? [], body.expected_total);
  form.elements.token.value = body.payment.token;
  for (const [name, value] of Object.entries(body.address ?? {})) form.elements[name].value = value;
  hint();
  lock(true);
  RESULTS.unknown({});
}

// Back from the order: the browser may show this page as it was left, with a purchase that is over.
addEventListener("pageshow", (event) => event.persisted && location.reload());

async function start() {
  form.addEventListener("submit", submit);
  form.elements.token.addEventListener("change", hint);
  hint();
  const open = current();
  try {
    if (open.body) resume(open);
    else {
      const session = await ensureSession();
      sawAccount(session.account);
      await reload();
      if (!cart) throw new Unreachable("no cart");
    }
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    say("bad", "The shop did not answer", p("Nothing was sent."), actions(button("Try again", () => location.reload())));
  }
  part("loading").hidden = true;
}

start();
