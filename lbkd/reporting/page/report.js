"use strict";

const AT_ONCE = 30;
const data = JSON.parse(document.getElementById("data").textContent);
const part = (id) => document.getElementById(id);
const OUTCOMES = {
  "first only": "right, and the other is not",
  "second only": "not right, and the other is",
  both: "both right",
  neither: "neither right",
  differ: "other words than the other's",
};
let shown = [];
let drawn = 0;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/* Fill a list of choices, and keep the choice that was made where it is still one. */
function offer(id, choices) {
  const offered = JSON.stringify(choices);
  if (part(id).offered === offered) return;
  const former = part(id).value;
  part(id).offered = offered;
  part(id).replaceChildren(...choices.map(([value, text]) => element("option", { value }, text)));
  if (choices.some(([value]) => value === former)) part(id).value = former;
}

const pairName = (view) => (view.passage === view.question ? view.passage : `passage ${view.passage}, question ${view.question}`);
const views = () => data.views.filter((view) => view.set === part("set").value);
const view = () => views().find((each) => pairName(each) === part("language").value);
const same = (names) => names.map((name) => [name, name]);

function offerAll() {
  offer("set", same([...new Set(data.views.map((each) => each.set))]));
  offer("language", same(views().map(pairName)));
  const runs = data.runs.filter((name) => name in view().answers);
  offer("run", same(runs));
  offer("other", [["", "no other run"], ...same(runs.filter((name) => name !== part("run").value))]);
  const verdicts = data.verdicts.map((name, n) => [String(n), name]);
  const outcomes = part("other").value ? Object.entries(OUTCOMES) : [];
  offer("verdict", [["", "all"], ...verdicts, ...outcomes]);
  offer("kind", [["", "all"], ...data.kinds.map((name, n) => [String(n), name]).slice(1)]);
}

function fits(one, two, verdict) {
  if (verdict === "") return true;
  if (!(verdict in OUTCOMES)) return one[2] === Number(verdict);
  const [first, second] = [one[2] === 0, two[2] === 0];
  return { "first only": first && !second, "second only": second && !first, both: first && second, neither: !first && !second, differ: one[0] !== two[0] }[verdict];
}

function chosen() {
  const now = view();
  const [verdict, kind, words] = [part("verdict").value, part("kind").value, part("words").value.trim().toLowerCase()];
  const [ones, twos] = [now.answers[part("run").value], now.answers[part("other").value]];
  const [texts, asked] = [data.texts[now.texts][now.passage], data.texts[now.texts][now.question]];
  return now.asked
    .map((row, n) => {
      const [, passage, golds] = texts.questions[row];
      return { question: asked.questions[now.wordings[n]][0], passage: texts.passages[passage], golds, one: ones[n], two: twos && twos[n] };
    })
    .filter((each) => fits(each.one, each.two, verdict) && (kind === "" || each.one[3] === Number(kind)))
    .filter((each) => !words || [each.question, each.passage, each.one[0], each.two ? each.two[0] : ""].some((text) => text.toLowerCase().includes(words)));
}

function counted(rows, of, names) {
  return names.map((name, n) => [name, rows.filter((each) => each.one[of] === n).length]).filter(([, count]) => count);
}

function tell() {
  const verdicts = counted(shown, 2, data.verdicts).map(([name, count]) => `${count} ${name}`);
  const kinds = counted(shown, 3, data.kinds).filter(([name]) => name !== "none").map(([name, count]) => `${name} ${count}`);
  const what = `${part("run").value} on ${part("set").value}, ${part("language").value}`;
  part("told").textContent = `${what}: ${shown.length} of ${view().asked.length} answers` + (shown.length ? `: ${verdicts.join(", ")}` : "") + (kinds.length ? `. Errors: ${kinds.join(", ")}.` : ".");
  const [run, other] = [part("run").value, part("other").value];
  part("gap").textContent = "";
  if (!other) return;
  const [ones, twos] = [view().answers[run], view().answers[other]];
  const only = (left, right) => left.filter((each, n) => each[2] === 0 && right[n][2] !== 0).length;
  const { [run]: { [other]: ahead } = {}, [other]: { [run]: behind } = {} } = view().differences;
  const gap = ahead || (behind && [-behind[0], -behind[2], -behind[1]]);
  const told = gap ? ` Its F1 is ${gap[0] < 0 ? "lower" : "higher"} by ${Math.abs(gap[0]).toFixed(1)}; the difference's 95 % interval is ${gap[1].toFixed(1)} to ${gap[2].toFixed(1)}.` : "";
  part("gap").textContent = `${run} alone is right on ${only(ones, twos)} questions, ${other} alone on ${only(twos, ones)}.${told}`;
}

function given(answer, who) {
  const [text, f1, verdict, kind] = answer;
  const told = data.verdicts[verdict] + (verdict ? `: ${data.kinds[kind]}, F1 ${f1} %` : "");
  const said = text ? element("bdi", { lang: view().passage }, text) : element("span", { class: "nothing" }, "no answer");
  return element("span", { class: "given" }, element("span", { class: `badge ${data.verdicts[verdict]}` }, told), said, ...(who ? [element("span", { class: "who" }, who)] : []));
}

/* Where a text stands in a passage: [from, to] of each occurrence. */
function places(passage, text) {
  const found = [];
  for (let at = text ? passage.indexOf(text) : -1; at >= 0; at = passage.indexOf(text, at + 1)) found.push([at, at + text.length]);
  return found;
}

/* Offsets of golds count Unicode characters, JavaScript's count halves of some: so the passage is taken apart. */
function golden(passage, golds) {
  const characters = Array.from(passage);
  const length = (to) => characters.slice(0, to).join("").length;
  return golds.map(([from, to]) => [length(from), length(to)]);
}

function marked(passage, spans) {
  const cuts = [...new Set([0, passage.length, ...Object.values(spans).flat(2)])].sort((a, b) => a - b);
  return cuts.slice(1).map((to, n) => {
    const from = cuts[n];
    const classes = Object.keys(spans).filter((name) => spans[name].some(([start, end]) => start <= from && to <= end));
    const text = passage.slice(from, to);
    return classes.length ? element("mark", { class: classes.join(" ") }, text) : text;
  });
}

function opened(each) {
  const spans = { gold: golden(each.passage, each.golds), one: places(each.passage, each.one[0]), two: each.two ? places(each.passage, each.two[0]) : [] };
  const golds = [...new Set(spans.gold.map(([from, to]) => each.passage.slice(from, to)))];
  const line = (kind, name, texts, note) => [
    element("dt", {}, element("mark", { class: kind }, name)),
    element("dd", {}, ...(texts.length ? texts : ["no answer"]).flatMap((text, n) => [n ? " · " : "", element("bdi", { lang: view().passage }, text)]), note),
  ];
  const often = (kind) => (spans[kind].length > 1 ? ` (stands ${spans[kind].length} times in the passage; which was meant is not kept, so all are marked)` : "");
  const own = (answer) => (answer[0] ? [answer[0]] : []);
  const list = element("dl", {}, ...line("gold", "right answer", golds, ""), ...line("one", part("run").value, own(each.one), often("one")));
  if (each.two) list.append(...line("two", part("other").value, own(each.two), often("two")));
  return element("div", { class: "opened" }, list, element("div", { class: "passage", dir: "auto", lang: view().passage }, ...marked(each.passage, spans)));
}

function row(each) {
  const question = element("span", { class: "asked", dir: "auto", lang: view().question }, each.question);
  const answers = each.two ? [given(each.one, part("run").value), given(each.two, part("other").value)] : [given(each.one)];
  const made = element("details", {}, element("summary", {}, question, ...answers));
  made.addEventListener("toggle", () => made.open && made.children.length === 1 && made.append(opened(each)));
  return element("li", {}, made);
}

function draw() {
  const rows = shown.slice(drawn, drawn + AT_ONCE).map(row);
  drawn += rows.length;
  part("rows").append(...rows);
  const left = shown.length - drawn;
  part("more").hidden = !left;
  part("more").textContent = `Show ${Math.min(left, AT_ONCE)} more of ${left}`;
  return rows[0];
}

function update() {
  offerAll();
  shown = chosen();
  drawn = 0;
  part("rows").replaceChildren();
  tell();
  draw();
}

part("choose").addEventListener("submit", (event) => event.preventDefault());
part("choose").addEventListener("change", update);
part("words").addEventListener("input", update);
part("more").addEventListener("click", () => draw().querySelector("summary").focus());
update();
