// Make elements. Text never becomes markup, here or elsewhere on the page.

const SVG = "http://www.w3.org/2000/svg";

/** Return the element with this ID. */
export const at = (id) => document.getElementById(id);

/** Return a new element: `el("p.muted.small", {title: "…"}, "text", child, …)`. */
export function el(what, attributes = {}, ...children) {
  const [name, ...classes] = what.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  set(element, attributes);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Return a new SVG element. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  set(element, attributes);
  element.append(...children);
  return element;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null) element.setAttribute(name, value);
  }
}

/** Show *children* in *list*, or show *empty* if there are none. */
export function fill(list, empty, children) {
  list.replaceChildren(...children);
  list.hidden = children.length === 0;
  empty.hidden = children.length > 0;
}
