"use strict";

const MOST_ANSWERS = 4;
const part = (id) => document.getElementById(id);
let key = "";
let asking = false;

const percent = (score) => (score > 0 && score < 0.001 ? "<0.1" : (100 * score).toFixed(score < 0.1 ? 1 : 0)) + " %";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

function tell(problem, at) {
  part("problem").textContent = problem;
  part("problem").hidden = !problem;
  part("status").textContent = "";
  if (at) at.focus();
}

/* Offsets count Unicode characters, JavaScript's count halves of some: so the passage is taken apart first. */
function mark(characters, answer) {
  const place = part("read");
  const text = (from, to) => characters.slice(from, to).join("");
  const marked = element("mark", { id: "marked" }, text(answer.start, answer.end));
  place.replaceChildren(text(0, answer.start), ...(answer.answer ? [marked] : []), text(answer.end));
  if (answer.answer) place.scrollTop += marked.getBoundingClientRect().top - place.getBoundingClientRect().top - place.clientHeight / 3;
}

function choose(button, characters, answer) {
  for (const other of document.querySelectorAll(".answer[aria-pressed='true']")) other.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-pressed", "true");
  mark(characters, answer);
  part("read").scrollIntoView({ block: "nearest" });
}

function shown(answer, characters) {
  const text = answer.answer
    ? element("span", { class: "text", lang: "", ...(/\p{L}/u.test(answer.answer) && { dir: "auto" }) }, answer.answer)
    : element("span", { class: "text none" }, "no answer in the passage");
  const filled = element("span");
  filled.style.width = `${100 * answer.score}%`;
  const bar = element("span", { class: "bar", "aria-hidden": "true" }, filled);
  const score = element("span", { class: "score", dir: "ltr" }, element("span", { class: "hidden" }, "confidence "), percent(answer.score));
  const button = element("button", { type: "button", class: "answer", "aria-pressed": "false" }, text, bar, score);
  button.addEventListener("click", () => choose(button, characters, answer));
  return element("li", {}, button);
}

function show(questions, passage, answers) {
  const characters = Array.from(passage);
  const direction = getComputedStyle(part("passage")).direction; /* of answers without letters, too */
  const made = questions.map((question, n) =>
    element("li", {}, element("h3", { dir: "auto", lang: "" }, question), element("ul", { dir: direction }, ...answers[n].map((answer) => shown(answer, characters)))),
  );
  const list = part("answers");
  if (list.passage !== passage) list.replaceChildren();
  list.passage = passage;
  list.prepend(...made);
  part("found").hidden = false;
  choose(list.querySelector(".answer"), characters, answers[0][0]);
  const best = answers[0][0];
  part("status").textContent =
    questions.length === 1
      ? `Answered: ${best.answer || "no answer in the passage"}, confidence ${percent(best.score)}.`
      : `${questions.length} questions answered.`;
}

async function ask(questions, passage) {
  const body = { question: questions, context: passage, top_k: MOST_ANSWERS };
  if (part("impossible").checked) body.handle_impossible_answer = true;
  if (part("lang").value.trim()) body.lang = part("lang").value.trim();
  if (part("question-lang").value.trim()) body.question_lang = part("question-lang").value.trim();
  const headers = { "Content-Type": "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  const response = await fetch("answer", { method: "POST", headers, body: JSON.stringify(body) });
  const found = await response.json();
  if (response.ok) return show(questions, passage, found.answers);
  if (response.status !== 401) return tell(`Not answered: ${found.error}`, part("questions"));
  part("key-part").hidden = false;
  tell(key ? "This API key is not the server's." : "This server asks for an API key.", part("key"));
}

async function submit(event) {
  event.preventDefault();
  if (asking) return;
  const passage = part("passage").value;
  const questions = part("questions").value.split("\n").map((line) => line.trim()).filter(Boolean);
  if (!passage.trim()) return tell("Paste a passage first.", part("passage"));
  if (!questions.length) return tell("Write a question first.", part("questions"));
  key = part("key").value.trim();
  tell("");
  part("status").textContent = "Asking …";
  asking = true;
  part("send").setAttribute("aria-disabled", "true");
  try {
    await ask(questions, passage);
  } catch (error) {
    tell("The server does not answer. Is it still running?", part("questions"));
  } finally {
    asking = false;
    part("send").removeAttribute("aria-disabled");
  }
}

part("ask").noValidate = true;
part("ask").addEventListener("submit", submit);
part("questions").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  part("ask").requestSubmit();
});
fetch("health")
  .then((response) => response.json())
  .then((about) => (part("model").textContent = `Model: ${about.model}.`))
  .catch(() => {});
