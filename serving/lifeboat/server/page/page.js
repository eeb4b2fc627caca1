const rowForm = element("row"), anyForm = element("any");
const examples = model.examples;
let asked = 0;

// The field that a refusal names, such as "row 1, column Age: …".
function markWrong(message) {
  for (const control of controls()) {
    const isWrong = message.includes(`column ${control.dataset.column}:`) || message.includes(`, ${control.dataset.column}:`);
    control.closest(".field").classList.toggle("wrong", isWrong);
    if (isWrong) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
}

async function submit() {
  const turn = ++asked, row = rowOf();
  const requests = [[model.predict, { instances: [row] }], [model.explain, { jsonData: row }]];
  element("curl").textContent = requests.filter(([path]) => path).map((one) => curlOf(...one)).join("\n\n");
  const show = (id, children) => { if (turn === asked) element(id).replaceChildren(...children.flat().filter(Boolean)); };
  try {
    const { predictions } = await ask(...requests[0]);
    markWrong("");
    show("answer", showAnswer(predictions[0]));
  } catch (error) {
    markWrong(error.message);
    show("answer", showFault(error));
    show("why", []);
    return;
  }
  if (!model.explain) return;
  try {
    const { meta } = await ask(...requests[1]);
    show("why", showReasons(meta.tags.explanation, row));
  } catch (error) {
    show("why", showFault(error));
  }
}

rowForm.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
element("fill").addEventListener("click", () => { fill(model.example); submit(); });
element("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(element("curl").textContent);
  element("copy").textContent = "Copied";
  setTimeout(() => { element("copy").textContent = "Copy"; }, 2000);
});
const showExample = () => { element("body").value = JSON.stringify(examples[element("path").value], null, 1); };
element("path").addEventListener("change", showExample);
showExample();
anyForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const reply = await fetch(here(element("path").value), {
      method: "POST", body: element("body").value, headers: { "content-type": "application/json", [NO_TRAFFIC]: "true" },
    });
    element("reply").textContent = `${reply.status} ${await reply.text()}`;
  } catch {
    element("reply").textContent = "The server does not answer.";
  }
});
fill(model.example);
element("curl").textContent = curlOf(model.predict, { instances: [rowOf()] });
