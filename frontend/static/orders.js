// The list of orders, newest first, a page at a time.

import { send } from "./api.js";
import { count, cover, el, money, notice, part, when } from "./dom.js";
import { badge } from "./state.js";

const PAGE = 10;
const COVERS_MAX = 8;
let after = null;

function card(order) {
  const pieces = order.lines.reduce((sum, line) => sum + line.quantity, 0);
  const covers = order.lines.slice(0, COVERS_MAX).map((line) => cover(line.sku));
  return el(
    "li",
    { class: "order-card" },
    el("h2", {}, el("a", { href: `/orders/${order.id}` }, when(order.created_at))),
    el("p", { class: "order-sum" }, money(order.total)),
    el("p", {}, badge(order.state), ` ${count(pieces, "item")}`),
    el("div", { class: "covers", "aria-hidden": "true" }, ...covers),
  );
}

function failed(detail) {
  const again = el("button", { class: "button-line", type: "button", onclick: load }, "Try again");
  notice(part("notice"), "bad", el("p", {}, detail), el("p", {}, again));
}

async function load() {
  const older = part("older");
  older.disabled = true;
  try {
    const cursor = after ? `&after=${encodeURIComponent(after)}` : "";
    const answer = await send("GET", `/api/orders?limit=${PAGE}${cursor}`);
    notice(part("notice"));
    if (answer.ok) {
      part("orders").append(...answer.body.items.map(card));
      after = answer.body.next;
      older.hidden = !after;
    } else if (answer.status !== 401) failed(answer.detail);
    const nothing = answer.ok || answer.status === 401;
    part("empty").hidden = !nothing || part("orders").children.length > 0;
  } catch {
    failed("The shop did not answer.");
  }
  older.disabled = false;
  part("loading").hidden = true;
}

part("older").addEventListener("click", load);
load();
