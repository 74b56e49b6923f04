// Small helpers to build what the pages show. Text always goes in as text, never as HTML, so no title can become markup.

const GBP = new Intl.NumberFormat("en-GB", { style: "currency", currency: "GBP" });

/** `{amount_minor, currency}` in words. Whole minor units become a decimal only here, for the eye. */
export function money({ amount_minor: minor, currency }) {
  const format = currency === "GBP" ? GBP : new Intl.NumberFormat("en-GB", { style: "currency", currency });
  return format.format(minor / 100);
}

/** A time of the API in words. */
export function when(rfc3339) {
  return new Date(rfc3339).toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short" });
}

/** "1 item", "3 items". */
export function count(number, word) {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

/** The element that carries `data-<name>`. */
export function part(name, within = document) {
  return within.querySelector(`[data-${name}]`);
}

/** Builds an element. Attributes that are `false` or missing are left out; `on*` ones are listeners. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The cover of a product, small. The title stands beside it, so it says nothing to a screen reader. */
export function cover(sku) {
  return el("img", { src: `/covers/${encodeURIComponent(sku)}.svg`, width: 72, height: 108, alt: "", loading: "lazy" });
}

/** Shows a message in place of what was there before; none clears it. */
export function notice(place, kind, ...children) {
  place.replaceChildren(...(kind ? [el("div", { class: `notice ${kind}` }, ...children)] : []));
}

const TOAST_MS = 7_000;
const TOASTS_MAX = 3;

/** A short message in the corner, read out by screen readers. `action` is an optional link or button in it. */
export function toast(text, { kind = "", action } = {}) {
  const region = part("toasts");
  while (region.children.length >= TOASTS_MAX) region.firstChild.remove();
  const box = el("div", { class: `toast ${kind}` }, el("p", {}, text), action);
  region.append(box);
  const leave = () => {
    // Not under the pointer or the keyboard's focus: somebody is about to use it.
    if (box.matches(":hover, :focus-within")) setTimeout(leave, TOAST_MS);
    else box.remove();
  };
  setTimeout(leave, TOAST_MS);
  return box;
}
