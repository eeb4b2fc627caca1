// Hand-written SVG. Every chart has a sentence for screen readers and a table beside it in the page.
const FLOOR = -10; // p-values below 10^-10 are drawn there

const path = (points) => {
  let broken = true;
  return points.map((point) => {
    if (point === null) {
      broken = true;
      return "";
    }
    const step = `${broken ? "M" : "L"}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
    broken = false;
    return step;
  }).join("");
};

const text = (x, y, words, attributes = {}) => node("text", { x, y, ...attributes }, words);

function picture(width, height, label, ...shapes) {
  const size = { viewBox: `0 0 ${width} ${height}`, width: "100%", role: "img", "aria-label": label };
  return node("svg", size, shapes);
}

const exponent = (p) => Math.max(FLOOR, Math.log10(Math.max(p, 10 ** FLOOR)));

// The lowest exponent any chart of this model needs, so that all share one scale.
function lowest(model) {
  const all = judged(model).flatMap((window) => [...Object.values(window.p_values), window.threshold]);
  return Math.min(-3, ...all.filter(known).map((p) => Math.floor(exponent(p))));
}

// Shares of each bin: the reference above, the newest window below, both as bars and as numbers.
function histogram(feature) {
  const { bins, reference, window } = feature.histogram;
  const widest = Math.max(...reference, ...window, 0.01);
  // Few bins get thick bars, so that the cards of a row are about as tall.
  const pitch = Math.min(34, Math.max(17, Math.floor(176 / bins.length)));
  const bar = (pitch - 6) / 2;
  const length = (value) => Math.max(value > 0 ? 1 : 0, (158 * value) / widest);
  const lines = bins.map((bin, index) => {
    const y = index * pitch + 2;
    const shares = `${share(reference[index])} → ${share(window[index])}`;
    return node("g", {},
      node("title", {}, `${bin}: ${share(reference[index])} of the reference, ${share(window[index])} of the window`),
      node("rect", { x: 0, y, width: 340, height: pitch, class: "hit" }),
      text(88, y + pitch / 2 + 2, shorten(bin, 15), { class: "bin", "text-anchor": "end" }),
      node("rect", { x: 96, y: y + 1, width: length(reference[index]), height: bar, rx: 1.5, class: "reference" }),
      node("rect", { x: 96, y: y + bar + 2, width: length(window[index]), height: bar, rx: 1.5, class: "recent" }),
      text(340, y + pitch / 2 + 2, shares, { class: "bin muted", "text-anchor": "end" }));
  });
  const label = `${feature.name}: shares of ${bins.length} bins, reference against newest window`;
  return picture(340, bins.length * pitch + 4, label, lines);
}

const shorten = (words, most) => (words.length > most ? `${words.slice(0, most - 1)}…` : words);

// p-values of one feature over the windows, log scale, down is worse.
function sparkline(feature, model, floor) {
  const windows = judged(model);
  const x = (index) => 4 + (index * 244) / Math.max(1, windows.length - 1);
  const y = (p) => 6 + (44 * exponent(p)) / floor;
  const points = windows.map((window, index) => {
    const p = pValue(window, feature.name);
    return p === null ? null : [x(index), y(p), p < feature.threshold];
  });
  const low = points.filter((point) => point?.[2]);
  const last = points.at(-1);
  const limit = known(feature.threshold) ? y(feature.threshold) : null;
  const label = `p-values of ${feature.name} over ${windows.length} windows, ${low.length} of them below the threshold`;
  return picture(340, 60, label,
    text(258, 56, `p, ${windows.length} ${windows.length === 1 ? "window" : "windows"}`, { class: "bin muted" }),
    limit !== null && node("line", { x1: 0, x2: 252, y1: limit, y2: limit, class: "limit" }),
    limit !== null && text(258, limit + 3.5, "threshold", { class: "bin muted" }),
    node("path", { d: path(points), class: "line" }),
    low.map(([cx, cy]) => node("circle", { cx, cy, r: 2.2, class: "low" })),
    last && node("circle", { cx: last[0], cy: last[1], r: 3, class: last[2] ? "low" : "dot" }));
}

// Ticks of the time axis: at most one per 84 px.
function timeAxis(times, x, y, now, width) {
  const every = Math.max(1, Math.ceil(times.length / Math.max(2, Math.floor(width / 84))));
  const shown = times.map((time, index) => [time, index]);
  const ticked = shown.filter(([, index]) => (times.length - 1 - index) % every === 0);
  return ticked.map(([time, index]) => text(x(index), y, clock(time, now), { class: "tick", "text-anchor": "middle" }));
}

// p-values of all features over all windows. Those that drifted of late are coloured and named, the others stay grey.
function pChart(model, names, now, width) {
  const windows = model.windows;
  const floor = lowest(model);
  const box = { left: 50, right: width - 92, top: 26, bottom: 226 };
  const pitch = (box.right - box.left) / windows.length;
  const x = (index) => box.left + (index + 0.5) * pitch;
  const y = (p) => box.top + ((box.bottom - box.top) * exponent(p)) / floor;
  const hot = lately(model, names).slice(0, 4);
  const points = (name) => windows.map((window, index) => {
    const p = pValue(window, name);
    return p === null ? null : [x(index), y(p)];
  });
  const limits = windows.map((window, index) => (known(window.threshold) ? [x(index), y(window.threshold)] : null));
  const calm = names.filter((name) => !hot.includes(name));
  return picture(width, 250, chartSentence(model),
    alarmBands(windows, box, pitch), grid(floor, box, y),
    calm.map((name) => node("path", { d: path(points(name)), class: "line calm" }, node("title", {}, name))),
    node("path", { d: path(limits), class: "limit" }),
    hot.map((name, rank) => node("path", { d: path(points(name)), class: `line hot${rank}` })),
    hotLabels(hot, points, box), limitLabel(limits, box, hot.length > 0),
    timeAxis(windows.map((window) => window.closed), x, 244, now, width - 130),
    windows.map((window, index) => columnOf(window, x(index) - pitch / 2, pitch, box, now)));
}

// Features below the threshold in one of the windows an alarm looks at, worst first.
function lately(model, names) {
  const last = judged(model).slice(-model.of);
  const least = (name) => Math.min(...last.map((window) => (pValue(window, name) ?? 2) / (window.threshold ?? 1)));
  return names.filter((name) => least(name) < 1).sort((a, b) => least(a) - least(b));
}

function chartSentence(model) {
  const all = judged(model);
  const alarms = all.filter((window) => window.alarm).length;
  return `p-values of all features over ${all.length} windows on a log scale; ${alarms} windows in alarm`;
}

function grid(floor, box, y) {
  const step = floor < -5 ? 2 : 1;
  const exponents = Array.from({ length: Math.floor(-floor / step) + 1 }, (_, index) => -index * step);
  return exponents.map((one) => {
    const [at, words] = [y(10 ** one), `${one === FLOOR ? "≤" : ""}${power(one)}`];
    return [
      node("line", { x1: box.left, x2: box.right, y1: at, y2: at, class: "grid" }),
      text(box.left - 6, at + 4, words, { class: "tick", "text-anchor": "end" }),
    ];
  });
}

function alarmBands(windows, box, pitch) {
  return windows.map((window, index) => {
    if (!window.alarm) return null;
    const x = box.left + index * pitch;
    const first = !windows[index - 1]?.alarm;
    return node("g", {},
      node("rect", { x, y: box.top, width: pitch, height: box.bottom - box.top, class: "band" }),
      node("rect", { x, y: box.top - 5, width: pitch, height: 4, class: "alarm" }),
      first && text(x, box.top - 9, "alarm", { class: "tick alarm-word" }));
  });
}

// Names at the ends of their lines, moved apart where they would overlap.
function hotLabels(hot, points, box) {
  const ends = hot.map((name, rank) => ({ name, rank, y: points(name).findLast((point) => point !== null)?.[1] }));
  const shown = ends.filter((end) => known(end.y)).sort((a, b) => b.y - a.y);
  let below = box.bottom + 15;
  return shown.map((end) => {
    below = Math.min(end.y, below - 15);
    return text(box.right + 6, below + 4, shorten(end.name, 12), { class: `name hot${end.rank}` });
  });
}

function limitLabel(limits, box, crowded) {
  const first = limits.find((point) => point !== null);
  if (!first) return null;
  return text(crowded ? box.left + 4 : box.right + 6, first[1] + (crowded ? -5 : 4), "threshold", { class: "tick" });
}

function columnOf(window, x, width, box, now) {
  const least = lowestIn(window).slice(0, 4).map(([name, value]) => `${name} ${probability(value)}`).join(", ");
  const values = window.state === "judged" ? least : outcome(window);
  return node("g", {},
    node("title", {}, `Window ${window.number}, ${clock(window.closed, now)}: ${values}`),
    node("rect", { x, y: box.top, width, height: box.bottom - box.top, class: "hit column" }),
    window.state !== "judged" && text(x + width / 2, box.bottom - 4, "×", { class: "tick", "text-anchor": "middle" }));
}

// A measure of live performance over time, with its bound where it has one.
function liveChart(history, measure, words, bound, now) {
  const shown = history.filter((point) => known(point[measure]));
  const values = shown.map((point) => point[measure]);
  const low = Math.min(...values, known(bound) ? bound : Infinity);
  const high = Math.max(...values, known(bound) ? bound : -Infinity);
  const pad = Math.max((high - low) * 0.12, 0.01);
  const y = (value) => 12 + (86 * (high + pad - value)) / (high - low + 2 * pad);
  const x = (index) => 44 + (index * 250) / Math.max(1, shown.length - 1);
  const digits = (value) => figure(measure, value);
  const label = `${words} over ${shown.length} points, now ${digits(values.at(-1))}`;
  return picture(340, 122, label,
    [low, high].filter((value, index) => index === 0 || high - low > pad / 4).map((value) => [
      node("line", { x1: 44, x2: 296, y1: y(value), y2: y(value), class: "grid" }),
      text(38, y(value) + 4, digits(value), { class: "tick", "text-anchor": "end" })]),
    known(bound) && node("line", { x1: 44, x2: 296, y1: y(bound), y2: y(bound), class: "limit" }),
    known(bound) && text(300, y(bound) + 4, "bound", { class: "tick" }),
    node("path", { d: path(shown.map((point, index) => [x(index), y(point[measure])])), class: "line" }),
    node("circle", { cx: x(shown.length - 1), cy: y(values.at(-1)), r: 3.2, class: "dot" }),
    text(44, 118, clock(shown[0].time, now), { class: "tick" }),
    shown.length > 1 && text(296, 118, clock(shown.at(-1).time, now), { class: "tick", "text-anchor": "end" }));
}
