// One order. While it is not over the page looks again by itself; the shop finishes it whether or not anybody looks.

import { pause, send } from "./api.js";
import { cover, el, money, notice, part, when } from "./dom.js";
import { badge, isOver } from "./state.js";

const LOOK_MS = 1_500;
const LOOKS_MAX = 60;
const page = part("order");
const id = page.dataset.order;
const fresh = location.hash === "#thanks";

function journey(state) {
  const bad = { declined: "Payment declined", refused: "Not accepted" }[state];
  const middle = state === "needs_attention" ? "Being looked into" : "Payment";
  const paid = state === "completed" || state === "refunded";
  const stops = [
    ["Order received", "done"],
    [bad ?? middle, bad ? "stopped" : paid ? "done" : "now"],
    [state === "refunded" ? "Refunded" : "Complete", paid ? "done" : ""],
  ];
  part("journey").replaceChildren(
    ...stops.map(([words, how]) => el("li", { class: how, "aria-current": how === "now" ? "step" : false }, words)),
  );
}

function line({ sku, title, quantity, unit_price, line_total }) {
  return el(
    "li",
    { class: "cart-line" },
    cover(sku),
    el(
      "div",
      { class: "line-words" },
      el("h2", {}, el("a", { href: `/products/${sku}` }, title)),
      el("p", {}, `${quantity} × ${money(unit_price)}`),
    ),
    el("p", { class: "line-total" }, money(line_total)),
  );
}

function address(given) {
  if (!given) return [];
  const { name, line1, line2, city, postcode, country } = given;
  const lines = [name, line1, line2, `${postcode} ${city}`, country].filter(Boolean);
  return [el("p", { class: "small" }, "To"), el("address", {}, ...lines.flatMap((text) => [text, el("br")]))];
}

function say(state) {
  const place = part("notice");
  if (state === "completed" && fresh) {
    part("heading").textContent = "Thank you";
    notice(place, "good", el("p", {}, "Your order is paid and complete. In a real shop, a parcel would now be on its way to the station."));
  } else if (state === "accepted") {
    notice(place, "", el("p", {}, "We are waiting for the bank. You may leave this page: the order goes on by itself and is paid once at most."));
  } else if (state === "needs_attention") {
    notice(place, "", el("p", {}, "The bank has not told us yet whether it charged you, so a person looks into it. Please do not order again; the order stays here."));
  } else if (state === "declined") {
    notice(place, "bad", el("p", {}, "The payment was declined. Nothing was charged, and your cart is as it was."));
  } else if (state === "refused") {
    notice(place, "bad", el("p", {}, "This order was not accepted. Nothing was charged."));
  } else {
    notice(place);
  }
}

function show(order) {
  say(order.state);
  journey(order.state);
  part("lines").replaceChildren(...order.lines.map(line));
  part("state").replaceChildren(badge(order.state));
  part("placed").textContent = when(order.created_at);
  part("placed").dateTime = order.created_at;
  part("total").textContent = money(order.total);
  part("address").replaceChildren(...address(order.address));
  part("content").hidden = false;
}

function failed(...children) {
  notice(part("notice"), "bad", ...children);
}

async function load() {
  let shown = null;
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    let answer;
    try {
      answer = await send("GET", `/api/orders/${id}`);
    } catch {
      failed(el("p", {}, "The shop did not answer. The order is safe; reload the page to look again."));
    }
    if (answer?.ok && answer.body.state !== shown) {
      show(answer.body);
      shown = answer.body.state;
    } else if (answer?.status === 404 || answer?.status === 401) {
      const signIn = el("a", { href: `/login?next=/orders/${id}` }, "sign in");
      failed(el("p", {}, "This order cannot be seen from this session. If you made it with your account, please ", signIn, "."));
    } else if (answer && !answer.ok) failed(el("p", {}, answer.detail));
    part("loading").hidden = true;
    if (!answer?.ok || isOver(answer.body.state)) return;
    await pause(LOOK_MS);
  }
}

load();
