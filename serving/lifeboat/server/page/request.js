const model = JSON.parse(element("model").textContent);
// The page may stand behind a gateway's prefix: at its / and at its /docs the paths are beside it.
const here = (path) => new URL(`./${path.replace(/^\//, "")}`, location.href).href;
const NO_TRAFFIC = "Seldon-Skip-Logging";
const controls = () => [...document.querySelectorAll("[data-column]")];

function valueOf(control) {
  const text = control.value;
  if (text === "") return null;
  if (control.dataset.kind === "boolean") return text === "true";
  if (["float", "integer"].includes(control.dataset.kind)) return Number(text);
  return text;
}

const rowOf = () => Object.fromEntries(controls().map((control) => [control.dataset.column, valueOf(control)]));

function fill(row) {
  for (const control of controls()) {
    const value = row[control.dataset.column];
    control.value = value === null || value === undefined ? "" : String(value);
  }
}

// The reply's JSON, or an Error with what the server says.
async function ask(path, body) {
  let reply;
  try {
    reply = await fetch(here(path), {
      method: "POST", body: JSON.stringify(body),
      headers: { "content-type": "application/json", [NO_TRAFFIC]: "true" },
    });
  } catch {
    throw new Error("The server does not answer.");
  }
  const document = await reply.json().catch(() => ({}));
  if (reply.ok) return document;
  const again = reply.headers.get("retry-after");
  const said = document.status?.info ?? document.error ?? document.message ?? `It answers ${reply.status}.`;
  throw new Error(again ? `${said} (Ask again in ${again} s.)` : said);
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curlOf(path, body) {
  return `curl -s ${quoted(here(path))} \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify(body))}`;
}
