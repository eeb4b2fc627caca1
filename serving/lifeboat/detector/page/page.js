// Asks for ./drift every two seconds while someone can see the page.
const EVERY = 2000;
const PATIENCE = 5000;
const REASONS = { TimeoutError: `nothing for ${PATIENCE / 1000} s`, TypeError: "no connection" };
let state = null;
let chosen = new URLSearchParams(location.hash.slice(1)).get("model");
let timer = null;
let asking = false;

const nameOf = (model) => `${model.model}/${model.version}/${model.digest}`;
const ordered = (models) =>
  [...models].sort((a, b) => Number(b.active) - Number(a.active) || (b.last ?? 0) - (a.last ?? 0));
const chooseFrom = (models) => models.find((model) => nameOf(model) === chosen) ?? models[0] ?? null;

function option(model) {
  const words = `${model.model} ${model.version}${model.active ? "" : " (silent)"}${model.alarm ? ", drift" : ""}`;
  return node("option", { value: nameOf(model) }, words);
}

function offer(models, model) {
  const several = models.length > 1;
  element("choice").hidden = !several;
  patchChildren(element("model"), several ? models.map(option) : []);
  if (several) element("model").value = nameOf(model);
}

function show() {
  const models = ordered(state.models);
  const model = chooseFrom(models);
  offer(models, model);
  const main = element("state");
  patch(main, view(model, state, Math.max(320, main.clientWidth - 34)));
  document.title = `${verdict(model, state).words} · Lifeboat`;
}

function fresh() {
  document.body.classList.remove("stale");
  element("stale").hidden = true;
  element("freshness").textContent = `Updated ${clock(state.time, state.time, true)}`;
}

function stale(reason) {
  const last = state ? ` What you see is from ${clock(state.time, Date.now() / 1000, true)}.` : "";
  document.body.classList.add("stale");
  element("freshness").textContent = "Stale";
  element("stale").textContent = `The detector does not answer (${reason}).${last} This page keeps asking.`;
  element("stale").hidden = false;
}

async function answer() {
  const reply = await fetch("./drift", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!reply.ok) throw new Error(`status ${reply.status}`);
  return reply.json();
}

async function ask() {
  let received;
  try {
    received = await answer();
  } catch (error) {
    stale(REASONS[error.name] ?? error.message);
    return;
  }
  // Outside the try: a mistake in drawing is an error of this page, not of the detector.
  state = received;
  show();
  fresh();
}

async function tick() {
  clearTimeout(timer);
  if (asking || document.hidden) return;
  asking = true;
  try {
    await ask();
  } finally {
    asking = false;
    timer = setTimeout(tick, EVERY);
  }
}

element("model").addEventListener("change", (event) => {
  chosen = event.target.value;
  history.replaceState(null, "", `#${new URLSearchParams({ model: chosen })}`);
  show();
});
document.addEventListener("visibilitychange", tick);
addEventListener("resize", () => state && show());
tick();
