const digits = (value) => Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6 });
const percent = (value) => `${(100 * value).toFixed(1)} %`;
const withUnit = (value) => (model.unit ? `${digits(value)} ${model.unit}` : digits(value));

function bar(kind, from, to) {
  return node("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    node("rect", { class: "track", x: 0, y: 0, width: 100, height: 10 }),
    node("rect", { class: kind, x: from, y: 0, width: Math.max(to - from, 0.4), height: 10 }));
}

function line(name, given, drawn, value, chosen = false) {
  return node("div", { class: chosen ? "row chosen" : "row" },
    node("span", {}, name, given === null ? null : node("span", { class: "given" }, given)), drawn,
    node("span", { class: "value" }, value));
}

// The numbers of an answer: classes as bars, a number with its interval.
function showAnswer(prediction) {
  if (model.called) {
    const named = model.names.map((name) => [name, prediction[name]]);
    return [node("p", { class: "large" }, String(prediction.label)),
      node("div", { class: "bars" }, named.map(([name, share]) =>
        line(name, null, bar("share", 0, 100 * share), percent(share), name === prediction.label)))];
  }
  const [value, low, high] = model.names.map((name) => prediction[name]);
  const interval = low === undefined ? null : node("p", { class: "muted" }, `between ${digits(low)} and ${withUnit(high)}`);
  return [node("p", { class: "large" }, withUnit(value)), interval];
}

// What each column adds, the strongest first, on one scale that holds the base and every bar.
function showReasons(said, row) {
  return said.outputs.map((output, place) => {
    const shown = (value) => (model.called ? percent(value) : withUnit(value));
    const signed = (value) => `${value < 0 ? "−" : "+"}${model.called ? (100 * Math.abs(value)).toFixed(1) : digits(Math.abs(value))}`;
    const added = said.columns.map((name, player) => ({
      name, value: said.contributions[0][player][place], error: said.errors?.[0][player][place] ?? 0,
    })).sort((one, other) => Math.abs(other.value) - Math.abs(one.value));
    const widest = Math.max(...added.map((one) => Math.abs(one.value)), 1e-12);
    const drawn = ({ value }) => (value < 0
      ? bar("less", 50 - (48 * -value) / widest, 50) : bar("more", 50, 50 + (48 * value) / widest));
    const given = (name) => (said.groups?.[name] ?? [name]).map((column) => row[column] ?? "nothing").join(", ");
    return node("div", {},
      node("p", {}, node("strong", {}, output), `: ${shown(said.answers[0][place])}, beside ${shown(said.base[place])} on average.`),
      node("div", { class: "bars" }, added.map((one) => line(one.name, String(given(one.name)), drawn(one),
        one.error ? `${signed(one.value)} ± ${model.called ? (100 * one.error).toFixed(1) : digits(one.error)}` : signed(one.value)))),
      node("p", { class: "note" }, `Shapley values beside ${said.background} rows of those it learned from${model.called ? ", in percentage points" : ""}; with that average they sum to the answer.`));
  });
}

const showFault = (error) => [node("p", { class: "banner bad", role: "alert" }, error.message)];
