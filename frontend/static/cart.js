// The cart page. Every change is a keyed request to the API, and what comes back is what is shown. Changes of one line
// are sent one after the other; of several clicks on "+", only the last quantity is sent.

import { Unreachable, change, newKey, send } from "./api.js";
import { count, cover, el, money, notice, part, toast } from "./dom.js";
import { sawCart, sawNoSession } from "./header.js";

const SETTLE_MS = 350;
const QUANTITY_MAX = 999;
const rows = new Map();
const message = part("notice");

function build(sku) {
  const input = el("input", { type: "number", inputmode: "numeric", min: 1, max: QUANTITY_MAX, step: 1, required: true });
  const row = {
    input,
    title: el("a", { href: `/products/${sku}` }),
    each: el("p"),
    total: el("p", { class: "line-total" }),
    remove: el("button", { class: "text-button", type: "button", onclick: () => remove(sku) }, "Remove"),
    less: el("button", { type: "button", "data-step": -1 }, "−"),
    more: el("button", { type: "button", "data-step": 1 }, "+"),
    timer: 0,
    wanted: null,
    queue: Promise.resolve(),
  };
  input.addEventListener("change", () => setSoon(sku));
  row.item = el(
    "li",
    { class: "cart-line" },
    cover(sku),
    el("div", { class: "line-words" }, el("h2", {}, row.title), row.each),
    row.total,
    el("div", { class: "line-tools" }, el("div", { class: "stepper", "data-stepper": true }, row.less, input, row.more), row.remove),
  );
  return row;
}

function fill(row, line) {
  row.line = line;
  row.title.textContent = line.title;
  row.each.textContent = `${money(line.unit_price)} each`;
  row.total.textContent = money(line.line_total);
  row.input.setAttribute("aria-label", `Quantity of ${line.title}`);
  row.less.setAttribute("aria-label", `One less of ${line.title}`);
  row.more.setAttribute("aria-label", `One more of ${line.title}`);
  row.remove.setAttribute("aria-label", `Remove ${line.title}`);
  // While the customer is still choosing, an answer to an earlier change must not turn the number back.
  if (row.wanted === null) row.input.value = String(line.quantity);
  row.less.disabled = Number(row.input.value) <= 1;
}

function show(cart) {
  sawCart(cart);
  const list = part("lines");
  const present = new Set(cart.lines.map((line) => line.sku));
  for (const [sku, row] of rows) {
    if (present.has(sku)) continue;
    row.item.remove();
    rows.delete(sku);
  }
  for (const line of cart.lines) {
    if (!rows.has(line.sku)) rows.set(line.sku, build(line.sku));
    const row = rows.get(line.sku);
    fill(row, line);
    // Rows that are there already stay where they are, so that the focus stays too.
    if (!row.item.isConnected) list.append(row.item);
  }
  const pieces = cart.lines.reduce((sum, line) => sum + line.quantity, 0);
  part("pieces").textContent = count(pieces, "item");
  part("total").textContent = money(cart.total);
  part("cart").hidden = cart.lines.length === 0;
  part("empty").hidden = cart.lines.length > 0;
  part("loading").hidden = true;
}

function setSoon(sku) {
  const row = rows.get(sku);
  const quantity = Math.min(Math.max(Math.trunc(Number(row.input.value)) || 1, 1), QUANTITY_MAX);
  row.input.value = String(quantity);
  row.less.disabled = quantity <= 1;
  row.wanted = quantity;
  clearTimeout(row.timer);
  row.timer = setTimeout(() => {
    row.queue = row.queue.then(() => set(sku, quantity));
  }, SETTLE_MS);
}

async function set(sku, quantity) {
  const row = rows.get(sku);
  if (!row) return;
  row.item.classList.add("busy");
  const done = await apply("PUT", `/api/cart/lines/${sku}`, { quantity }, newKey());
  row.item.classList.remove("busy");
  if (row.wanted === quantity) row.wanted = null;
  if (!done && row.line) fill(row, row.line);
  else if (done) fill(row, done.lines.find((line) => line.sku === sku) ?? row.line);
}

async function remove(sku) {
  const row = rows.get(sku);
  const { title, quantity } = row.line;
  clearTimeout(row.timer);
  row.remove.disabled = true;
  const done = await row.queue.then(() => apply("DELETE", `/api/cart/lines/${sku}`, undefined, newKey()));
  row.remove.disabled = false;
  if (!done) return;
  const next = document.querySelector(".cart-line .text-button") ?? part("empty").querySelector("a");
  next?.focus();
  const undo = el("button", { type: "button" }, "Undo");
  const box = toast(`${title} is out of your cart.`, { action: undo });
  const key = newKey();
  undo.addEventListener("click", async () => {
    undo.disabled = true;
    if (await apply("POST", "/api/cart/lines", { sku, quantity }, key)) box.remove();
    undo.disabled = false;
  });
}

/** Sends a change and shows the cart that comes back; null if it was not accepted or not answered. */
async function apply(method, path, body, key) {
  try {
    const answer = await change(method, path, body, key);
    if (answer.ok) {
      notice(message);
      show(answer.body);
      return answer.body;
    }
    notice(message, "bad", el("p", {}, answer.detail));
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    unreachable();
  }
  return null;
}

function unreachable() {
  const again = el("button", { class: "button-line", type: "button", onclick: load }, "Look again");
  notice(message, "bad", el("p", {}, "The shop did not answer. What is shown here may be out of date."), el("p", {}, again));
}

async function load() {
  try {
    const answer = await send("GET", "/api/cart");
    notice(message);
    if (answer.ok) show(answer.body);
    else if (answer.status === 401) {
      sawNoSession();
      part("empty").hidden = false;
    } else unreachable();
  } catch {
    unreachable();
  }
  part("loading").hidden = true;
}

// Back from another page: the cart shown is the one that was left.
addEventListener("pageshow", (event) => event.persisted && load());
load();
