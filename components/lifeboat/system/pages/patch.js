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
