// Node's fetch, which is undici.
const [url, body] = process.argv.slice(2);

async function ask(method, path, content) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url + path, { method, headers, body: content, duplex: "half" });
  console.log(answer.status, (await answer.text()).length);
}

await ask("POST", "/predict", body);
await ask("POST", "/predict", body);
await ask("POST", "/predict", new Blob([body]).stream());
await ask("POST", "/predict", "{");
await ask("HEAD", "/live");
