// Asks for this page every few seconds while someone can see it, and changes what differs.
const EVERY = 3000;
const PATIENCE = 15000;
const main = document.querySelector("main");
const freshness = document.getElementById("freshness");
const stale = document.getElementById("stale");
let timer = null;
let asking = false;

async function ask() {
  const reply = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!reply.ok) throw new Error(`status ${reply.status}`);
  return new DOMParser().parseFromString(await reply.text(), "text/html");
}

function lost() {
  document.body.classList.add("stale");
  freshness.textContent = "Stale";
  stale.textContent = "The home page's server does not answer: what you see is from before. This page keeps asking.";
  stale.hidden = false;
}

async function refresh() {
  let fresh;
  try {
    fresh = await ask();
  } catch {
    lost();
    return;
  }
  // Outside the try: a mistake in drawing is an error of this page, not of the server.
  patch(main, fresh.querySelector("main"));
  document.title = fresh.title;
  freshness.textContent = fresh.getElementById("freshness").textContent;
  document.body.classList.remove("stale");
  stale.hidden = true;
}

async function tick() {
  clearTimeout(timer);
  if (asking || document.hidden) return;
  asking = true;
  try {
    await refresh();
  } finally {
    asking = false;
    timer = setTimeout(tick, EVERY);
  }
}

document.addEventListener("visibilitychange", tick);
timer = setTimeout(tick, EVERY);
