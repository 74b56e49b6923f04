// The states of an order in words. A state that this page does not know yet is shown as it is.

import { el } from "./dom.js";

export const STATES = {
  accepted: { label: "Being paid", over: false },
  needs_attention: { label: "Being looked into", over: false },
  completed: { label: "Paid", over: true },
  declined: { label: "Payment declined", over: true },
  refused: { label: "Not accepted", over: true },
  refunded: { label: "Refunded", over: true },
};

/** Whether nothing more will happen by itself. */
export const isOver = (state) => STATES[state]?.over ?? false;

export function badge(state) {
  return el("span", { class: `state state-${state}` }, STATES[state]?.label ?? state);
}
