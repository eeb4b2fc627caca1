// Numbers, times and verdicts in words.
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DASH = "–";
const known = (value) => typeof value === "number" && Number.isFinite(value);
const two = (value) => String(value).padStart(2, "0");
const count = (value) => (known(value) ? value.toLocaleString("en-GB") : DASH);
const rows = (value) => `${count(value)} ${value === 1 ? "row" : "rows"}`;
const fixed = (value, digits) => (known(value) ? value.toFixed(digits) : DASH);

function share(value) {
  if (!known(value)) return DASH;
  const percent = 100 * value;
  if (percent > 0 && percent < 0.1) return "<0.1%";
  return `${Number(percent.toFixed(percent >= 10 ? 0 : 1))}%`;
}

const finely = (value) => (known(value) ? `${(100 * value).toFixed(1)}%` : DASH);

function probability(value) {
  if (!known(value)) return DASH;
  if (value < 0.0001) return "<0.0001";
  return value.toFixed(value < 0.01 ? 4 : value < 0.1 ? 3 : 2);
}

function significant(value) {
  if (!known(value)) return DASH;
  if (value === 0) return "0";
  return Math.abs(value) >= 1000 ? count(Math.round(value)) : String(Number(value.toPrecision(2)));
}

const power = (exponent) =>
  exponent === 0 ? "1" : `10⁻${[...String(-exponent)].map((digit) => SUPERSCRIPTS[digit]).join("")}`;

const sameDay = (one, other) => new Date(one * 1000).toDateString() === new Date(other * 1000).toDateString();

// The time of day, with its date where that is not the detector's today.
function clock(time, now, seconds = false) {
  if (!known(time)) return DASH;
  const date = new Date(time * 1000);
  const day = sameDay(time, now) ? "" : `${date.getDate()} ${MONTHS[date.getMonth()]} `;
  return `${day}${two(date.getHours())}:${two(date.getMinutes())}${seconds ? `:${two(date.getSeconds())}` : ""}`;
}

function age(time, now) {
  if (!known(time)) return "never";
  const seconds = Math.max(0, Math.round(now - time));
  if (seconds < 100) return `${seconds} s ago`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`;
}

// "a, b and 3 more".
function listed(names, most = 3) {
  if (names.length <= most) return names.join(", ");
  return `${names.slice(0, most).join(", ")} and ${names.length - most} more`;
}

// p-value of a feature in a window, or null where that window has none.
const pValue = (window, name) =>
  Object.hasOwn(window.p_values ?? {}, name) && known(window.p_values[name]) ? window.p_values[name] : null;

const worstFirst = (features) =>
  [...features].sort((a, b) => (a.p_value ?? 2) - (b.p_value ?? 2) || a.name.localeCompare(b.name));

const drifted = (model) =>
  worstFirst(model.latest?.features ?? []).filter((one) => one.drift).map((one) => one.name);

// [name, p-value] of a window's features that have one, lowest first.
const lowestIn = (window) =>
  Object.entries(window.p_values ?? {}).filter(([, p]) => known(p)).sort((a, b) => a[1] - b[1]);
const judged = (model) => model.windows.filter((window) => window.state === "judged");

// When the first window of the present alarm closed.
function alarmSince(model) {
  let since = null;
  for (const window of judged(model).reverse()) {
    if (!window.alarm) break;
    since = window.closed;
  }
  return since;
}

// The first live figure is the one that may have a bound: the lowest it may be, or the highest where less is better.
const firstFigure = (live) => live.figures[0];
// Of fewer rows a figure says little: a share is told as a count, and nothing is beyond its bound.
const isEnough = (count, live) => count >= live.needed;
function beyondBound(live) {
  const { name, higher_is_better: higher } = firstFigure(live);
  if (!isEnough(live.rows, live)) return false;
  return known(live[name]) && known(live.bound) && (higher ? live[name] < live.bound : live[name] > live.bound);
}
const boundSide = (live) => (firstFigure(live).higher_is_better ? "below" : "above");

// Shares as percentages, all else by its significant digits.
const SHARES = new Set(["accuracy", "coverage"]);
const plain = (value) => (known(value) ? value.toLocaleString("en-GB", { maximumSignificantDigits: 4 }) : DASH);
function figure(name, value) {
  if (SHARES.has(name)) return finely(value);
  return Math.abs(value) < 10 ? fixed(value, 3) : plain(value);
}

// Of few rows: a share as a count of them, such as "4 of 5".
const few = (name, value, all) =>
  SHARES.has(name) && known(value) ? `${count(Math.round(value * all))} of ${count(all)}` : figure(name, value);

// What a reader wants to know first: {tone, words, more}.
function verdict(model, state) {
  if (!model) return waitingVerdict(state);
  if (model.alarm) return alarmVerdict(model, state);
  if (!model.latest) return collectingVerdict(model, state);
  if (model.latest.drift) return watchVerdict(model);
  if (beyondBound(model.live)) {
    const which = firstFigure(model.live).title.toLowerCase();
    return { tone: "bad", mark: "!", words: `No drift, but live ${which} is ${boundSide(model.live)} its bound`, more: "" };
  }
  const more = `Window ${model.latest.number} looks like the reference the model was trained on.`;
  return { tone: "good", mark: "✓", words: "No drift", more };
}

// An alarm needs drift in the newest window and in enough of the last ones.
function tally(model) {
  const times = judged(model).slice(-model.of).filter((window) => window.drift).length;
  return `${times} of the last ${model.of} windows drifted; ${model.alarms} raise the alarm.`;
}

function watchVerdict(model) {
  const names = listed(drifted(model));
  const words = `Watching${names ? `: ${names}` : ""}`;
  return { tone: "watch", mark: "?", words, more: `No alarm yet: ${tally(model)}` };
}

function alarmVerdict(model, state) {
  const names = listed(drifted(model));
  const since = alarmSince(model);
  const words = `Drift${names ? `: ${names}` : ""}${known(since) ? ` since ${clock(since, state.time)}` : ""}`;
  return { tone: "bad", mark: "!", words, more: tally(model) };
}

function collectingVerdict(model, state) {
  if (state.judge.state === "failed") {
    return { tone: "bad", mark: "!", words: "No verdict: the judge failed", more: "" };
  }
  const pending = model.windows.some((window) => window.state === "waiting");
  if (pending) return { tone: "idle", mark: "…", words: "The first window is being judged", more: "" };
  const words = `Collecting: ${count(model.window.rows)} of ${rows(model.window.of)}`;
  return { tone: "idle", mark: "…", words, more: "The first verdict comes when this window closes." };
}

function waitingVerdict(state) {
  const more = known(state.events.last)
    ? "Events arrive, but none is a prediction of a known model yet."
    : "The detector runs. No event has reached it yet.";
  return { tone: "idle", mark: "…", words: "Waiting for the first prediction", more };
}
