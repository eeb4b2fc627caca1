// The parts of the page, top down; each takes facts and gives elements.
const KINDS = { number: "number", category: "category", text: "text", score: "the model's answer" };
// What was tested of a column; nothing is said where that is its values themselves.
const ASPECTS = {
  "share of each value": "share of each value", "unseen values": "values new to the reference",
  length: "length in characters", "alphabetical order": "place in the alphabet",
  characters: "unusual characters, in bits each",
};
const TOO_MANY = 12; // rows of the table of windows before the rest is folded away

const section = (title, note, ...children) =>
  node("section", { "data-key": title, "aria-label": title },
    node("h2", {}, title), note && node("p", { class: "muted note" }, note), children);

const nothing = (title, words) => section(title, null, node("p", { class: "empty" }, words));

const tag = (tone, words) => node("span", { class: `tag ${tone}` }, words);

const table = (caption, head, body) =>
  node("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, node("table", {},
    node("caption", {}, caption),
    node("thead", {}, node("tr", {}, head.map((cell) => node("th", { scope: "col" }, cell)))),
    node("tbody", {}, body.map((cells) => node("tr", {}, cells.map((cell) => node("td", {}, cell)))))));

const folded = (key, summary, ...children) =>
  node("details", { "data-key": key }, node("summary", {}, summary), children);

function headline(model, state) {
  const { tone, mark, words, more } = verdict(model, state);
  return node("section", { class: `verdict ${tone}`, "data-key": "verdict", "aria-label": "Verdict" },
    node("span", { class: "mark", "aria-hidden": "true" }, mark),
    node("div", {},
      node("h1", { "aria-live": "polite" }, words),
      more && node("p", {}, more),
      model && identity(model),
      model && progress(model, state)));
}

const identity = (model) => node("p", { class: "identity" },
  node("strong", {}, model.model), ` version ${model.version} `,
  node("code", { title: model.digest }, shorten(model.digest, 13)), " ",
  model.active ? tag("good", "active") : tag("idle", "silent: no recent prediction"), pagesOf(model));

// The model's other pages, which the page that leads to all of them serves.
const PAGES = [["model-card.html", "Model card"], ["data-profile.html", "Data profile"], ["rollout.html", "Rollout"]];

function pagesOf({ model, version }) {
  const { home } = document.body.dataset;
  const place = `${home}/models/${encodeURIComponent(model)}/${encodeURIComponent(version)}`;
  return home && PAGES.map(([file, title]) => [" ", node("a", { href: `${place}/${file}` }, title)]);
}

function progress(model, state) {
  const { rows: seen, of, closes } = model.window;
  const closing = known(closes) ? `, closes by ${clock(closes, state.time)}` : "";
  return node("p", { class: "progress" },
    node("progress", { max: of, value: Math.min(seen, of), "aria-label": "Rows in the open window" }),
    node("span", {}, `Next window: ${count(seen)} of ${rows(of)}${closing}`));
}

function warnings(model, state) {
  const { judge } = state;
  return [
    (state.problems ?? []).map((problem) => node("p", { class: "banner bad" }, problem)),
    judge.state === "failed" && node("p", { class: "banner bad", role: "alert" },
      node("strong", {}, "The judge failed"),
      `: ${judge.reason || "it gave no reason"}. Windows wait on disk until it works again.`),
    judge.state === "loading" && node("p", { class: "banner" }, "The judge is loading. Closed windows wait for it."),
    model?.online?.alarm && node("p", { class: "banner bad" }, node("strong", {}, "Online detector"),
      `: the score has shifted within the last ${rows(model.window.of)}.`),
  ];
}

function tile(name, value, note, tone = "") {
  return node("div", { class: `tile ${tone}` },
    node("dt", {}, name), node("dd", {}, node("strong", {}, value), note && node("small", {}, note)));
}

function livePart({ live, history }, now) {
  const title = "Live performance";
  const first = firstFigure(live);
  if (!live.rows) {
    const words = `No truth has come back yet. ${first.title} appears here once feedback names the answers it belongs to.`;
    return nothing(title, words);
  }
  const charted = live.figures.slice(0, 2);
  const enough = isEnough(live.rows, live);
  // Points of few rows jump by chance alone.
  const drawn = history.filter((point) => isEnough(point.rows, live));
  return section(title, `Measured on ${rows(live.rows)} whose truth is known.`,
    node("div", { class: "live" },
      enough ? liveTiles(live) : fewTiles(live),
      charted.map((one) => historyChart(drawn, one.name, one.title, one === first ? live.bound : null, now))),
    history.length > 0 && folded("live", "Numbers over time", table("Live performance over time",
      ["Time", "Rows", ...charted.map((one) => one.title)],
      [...history].reverse().map((point) => liveRow(point, charted, live, now)))));
}

function liveTiles(live) {
  const first = firstFigure(live);
  const beyond = beyondBound(live);
  const sides = boundSide(live) === "below" ? ["above", "below"] : ["below", "above"];
  const bound = known(live.bound) ? `${sides[Number(beyond)]} its bound of ${figure(first.name, live.bound)}` : "no bound set";
  const note = (one) => (one === first ? bound : one.higher_is_better ? "higher is better" : "lower is better");
  return node("dl", { class: "tiles" }, live.figures.map((one) =>
    tile(one.title, figure(one.name, live[one.name]), note(one), one === first && beyond ? "bad" : "")));
}

const fewTiles = (live) => node("div", {},
  node("dl", { class: "tiles few" }, live.figures.map((one) => tile(one.title, few(one.name, live[one.name], live.rows)))),
  node("p", { class: "muted note" }, `Too few rows to judge by: from ${count(live.needed)} on, when chance moves a share by `
    + "no more than 10 points either way, it is shown as a percentage and held against its bound."));

const liveRow = (point, charted, live, now) => [clock(point.time, now, true), count(point.rows),
  ...charted.map((one) => (isEnough(point.rows, live) ? figure : few)(one.name, point[one.name], point.rows))];

function historyChart(history, measure, words, bound, now) {
  if (!history.some((point) => known(point[measure]))) return null;
  return node("figure", {}, node("figcaption", {}, words), liveChart(history, measure, words, bound, now));
}

function features(model, now) {
  const title = "Features";
  if (!model.latest) return nothing(title, "No window has been judged yet, so there is nothing to compare.");
  const { latest } = model;
  const closed = model.windows.find((window) => window.number === latest.number)?.closed;
  const when = known(closed) ? `, closed ${clock(closed, now)}` : "";
  const floor = lowest(model);
  const note = `Window ${latest.number}${when}: ${rows(latest.rows)} against the reference. Lowest p-value first.`;
  return section(title, note,
    node("p", { class: "legend" }, node("span", { class: "swatch reference" }), "reference ",
      node("span", { class: "swatch recent" }), "newest window"),
    node("div", { class: "cards" }, worstFirst(latest.features).map((one) => card(one, model, floor))));
}

function card(feature, model, floor) {
  const { bins, reference, window } = feature.histogram;
  return node("article", { class: feature.drift ? "card drift" : "card", "data-key": feature.name },
    node("h3", {}, node("span", { class: "feature" }, feature.name),
      node("span", { class: "kind" }, tested(feature)),
      feature.drift ? tag("bad", "drift") : tag("good", "no drift")),
    node("p", { class: "facts" },
      node("strong", { title: String(feature.p_value) }, `p ${probability(feature.p_value)}`),
      `, ${feature.drift ? "below" : "above"} the threshold ${probability(feature.threshold)}`),
    bins.length ? histogram(feature) : node("p", { class: "empty" }, "No distribution to show."),
    node("div", { class: "spark" }, sparkline(feature, model, floor)),
    node("p", { class: "facts" }, effect(feature.effect), node("br"), missing(feature.missing)),
    folded("numbers", "Numbers",
      node("p", { class: "facts" }, `Statistic of ${feature.test}: ${significant(feature.distance)}`),
      testTable(feature),
      table(`${feature.name}, shares`, ["Bin", "Reference", "Window"],
      bins.map((bin, index) => [bin, share(reference[index]), share(window[index])]))));
}

// The usual reading of PSI: below 0.1 nothing, above 0.25 a real shift.
const sizeOf = (value) => (value < 0.1 ? "small" : value < 0.25 ? "moderate" : "large");

function effect({ name, value }) {
  if (!known(value)) return `Effect: ${name} not known`;
  return `Effect: ${name} ${significant(value)}${name === "PSI" ? ` (${sizeOf(value)})` : " standard deviations"}`;
}

const tested = ({ kind, aspect }) => [KINDS[kind] ?? kind, ASPECTS[aspect]].filter(Boolean).join(": ");

const testTable = ({ name, tests = [] }) => tests.length > 1 && table(`${name}, tests`, ["Tested", "Test", "p-value"],
  tests.map((one) => [ASPECTS[one.aspect] ?? one.aspect, one.test, probability(one.p_value)]));

const missing = ({ reference, window }) =>
  reference || window ? `Missing: ${share(reference)} in the reference, ${share(window)} now` : "Missing: none";

function overTime(model, now, width) {
  const title = "p-values over time";
  if (!judged(model).length) return nothing(title, "No p-value yet.");
  const names = [...new Set(judged(model).flatMap((window) => Object.keys(window.p_values)))];
  const cells = (window) => [count(window.number), probability(window.threshold),
    ...names.map((name) => probability(pValue(window, name)))];
  const note = "One line for each feature, on a log scale: the lower, the less the window looks like the reference. ";
  return section(title, `${note}Features that drifted of late are coloured.`,
    node("figure", { class: "panel" }, pChart(model, names, now, width)),
    folded("p-values", "Numbers", table("p-values of every window",
      ["Window", "Threshold", ...names], [...model.windows].reverse().map(cells))));
}

function outcome(window) {
  if (window.state === "waiting") return "waiting for the judge";
  if (window.state === "failed") return `not judged: ${window.reason || "no reason given"}`;
  return window.drift ? "drift" : "no drift";
}

function windowRow(window, now) {
  const usual = window.state === "waiting" ? "idle" : "good";
  const tone = window.state === "failed" || window.drift ? "bad" : usual;
  const [worst] = lowestIn(window);
  return [count(window.number), clock(window.closed, now, true), tag(tone, outcome(window)),
    window.alarm ? tag("bad", "alarm") : DASH,
    worst ? `${worst[0]} ${probability(worst[1])}` : DASH, count(window.rows)];
}

function windowTable(model, now) {
  const title = "Windows";
  const newest = [...model.windows].reverse().map((window) => windowRow(window, now));
  if (!newest.length) return nothing(title, "No window has closed yet.");
  const head = ["Window", "Closed", "Verdict", "Alarm", "Lowest p-value", "Rows"];
  const rest = newest.slice(TOO_MANY);
  return section(title, null, table("Newest windows", head, newest.slice(0, TOO_MANY)),
    rest.length > 0 && folded("rest", `${count(rest.length)} earlier`, table("Earlier windows", head, rest)));
}

const counters = (pairs) => node("dl", { class: "counters" }, pairs.map(([name, value]) =>
  node("div", {}, node("dt", {}, name), node("dd", {}, typeof value === "number" ? count(value) : value))));

function traffic(state) {
  return section("Events and feedback", null, node("div", { class: "pair" },
    node("div", { class: "panel" }, node("h3", {}, "Events"), counters(eventCounts(state))),
    node("div", { class: "panel" }, node("h3", {}, "Feedback"), counters(feedbackCounts(state.feedback)))));
}

function eventCounts({ events, judge, time }) {
  const refused = Object.entries(events.refused).filter(([, times]) => times > 0);
  return [["Last event", age(events.last, time)], ["Accepted", events.accepted],
    ["Seen twice, counted once", events.duplicates], ["On disk, not yet in a window", events.waiting],
    ["Waiting for their bundle", events.held],
    ["Judge", judge.state],
    ...(refused.length ? refused.map(([reason, times]) => [`Refused: ${reason}`, times]) : [["Refused", "none"]])];
}

const feedbackCounts = (feedback) => [["Joined to its prediction", feedback.joined],
  ["Waiting for its prediction", feedback.waiting], ["Told twice", feedback.duplicate],
  ["Its source said otherwise before", feedback.contradictory], ["Another source said otherwise", feedback.conflict],
  ["Of no trusted source", feedback.untrusted], ["Of no one prediction", feedback.ambiguous], ["Too late", feedback.late],
  ["For an unknown prediction", feedback.unknown], ["Exported as labelled rows", feedback.exported]];

function view(model, state, width) {
  const parts = model ? about(model, state.time, width) : node("p", { class: "empty" },
    "Once the model server sends its predictions here, this page compares them with the data the model learned from.");
  return node("main", { id: "state" }, headline(model, state), warnings(model, state), parts, traffic(state));
}

const about = (model, now, width) =>
  [livePart(model, now), features(model, now), overTime(model, now, width), windowTable(model, now)];
