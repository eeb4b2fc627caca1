// Every text goes through createTextNode or setAttribute: names in the JSON are never read as HTML.
const SVG = "http://www.w3.org/2000/svg";
const SHAPES = new Set(["svg", "g", "path", "rect", "circle", "line", "text", "title"]);

function node(tag, attributes = {}, ...children) {
  const made = SHAPES.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const keyOf = (one) => one.dataset?.key;
const alike = (old, fresh) => old.nodeName === fresh.nodeName && keyOf(old) === keyOf(fresh);

// Makes `old` equal to `fresh` and touches only what differs: opened tables, focus and selections stay.
function patch(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  patchAttributes(old, fresh);
  patchChildren(old, [...fresh.childNodes]);
}

function patchAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    // A reader opened it.
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function patchChildren(old, children) {
  const keyed = new Map([...old.children].filter(keyOf).map((child) => [keyOf(child), child]));
  children.forEach((child, index) => {
    const here = old.childNodes[index] ?? null;
    const match = keyed.get(keyOf(child)) ?? here;
    if (match === null || !alike(match, child)) {
      old.insertBefore(child, here);
      return;
    }
    if (match !== here) old.insertBefore(match, here);
    patch(match, child);
  });
  while (old.childNodes.length > children.length) old.lastChild.remove();
}

const element = (id) => document.getElementById(id);
