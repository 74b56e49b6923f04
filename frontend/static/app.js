// Starts every page: shows what only works with script, fills the header, and lets products be put into the cart.

import { Unreachable, change, newKey } from "./api.js";
import { el, toast } from "./dom.js";
import { sawCart, start } from "./header.js";

document.documentElement.classList.add("script");
start();
addEventListener("pageshow", (event) => event.persisted && start());

/** Plus and minus beside a number field; the field itself says its bounds. */
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-stepper] [data-step]");
  if (!button) return;
  const input = button.parentElement.querySelector("input");
  const wanted = (Number.parseInt(input.value, 10) || 0) + Number(button.dataset.step);
  input.value = String(Math.min(Math.max(wanted, Number(input.min)), Number(input.max)));
  input.dispatchEvent(new Event("change", { bubbles: true }));
});

// The key of an addition whose outcome is unknown, by form: the customer's next click on the same thing sends the same
// key again, so a click after an error cannot put two pieces into the cart where one was meant.
const unsure = new WeakMap();

async function add(form) {
  const { add: sku, title } = form.dataset;
  const button = form.querySelector("[type=submit]");
  const quantity = Number(form.elements.quantity?.value ?? 1);
  const earlier = unsure.get(form);
  const key = earlier?.quantity === quantity ? earlier.key : newKey();
  button.disabled = true;
  try {
    const answer = await change("POST", "/api/cart/lines", { sku, quantity }, key);
    if (answer.status >= 500) throw new Unreachable(answer.detail);
    unsure.delete(form);
    if (answer.ok) {
      sawCart(answer.body);
      const what = quantity === 1 ? title : `${quantity} × ${title}`;
      toast(`${what} is in your cart.`, { action: el("a", { href: "/cart" }, "See cart") });
    } else {
      toast(answer.detail, { kind: "bad" });
    }
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    unsure.set(form, { key, quantity });
    const action = el("button", { type: "button", onclick: (event) => retry(event, form) }, "Try again");
    toast(`The shop did not answer. Trying again is safe: it cannot add ${title} twice.`, { kind: "bad", action });
  } finally {
    button.disabled = false;
  }
}

function retry(event, form) {
  event.target.closest(".toast").remove();
  add(form);
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-add]");
  if (!form) return;
  event.preventDefault();
  if (!form.querySelector("[type=submit]").disabled) add(form);
});
