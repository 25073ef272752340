// The matrix: for each pair of the chosen users, whether one sees the other, and why.

import { get } from "./api.js";
import { at, el } from "./dom.js";
import { known } from "./people.js";
import { dot, fullId, says, shortName, who, word } from "./words.js";

const MOST = 12;
const AT_ONCE = 4;
const AT_FIRST = 5;
const KEPT_AS = "lamplighter-matrix";
/** Pairs that a batch concerns are asked about again after a pause, in milliseconds, which is longer after many pairs. */
const PAUSE = 500;
const PAUSE_FOR_EACH = 20;
/** How many pairs are asked about again in each period, although no batch concerned them. */
const SOME = 10;

let chosen = [];
/** The server's answers, by viewer and subject. */
let answers = new Map();
let focused = [0, 0];
let asked = 0;
/** The pairs to ask about again, by key. */
let touched = new Map();
let isDue = false;
/** The index at which `askSomeAgain` continues. */
let next = 0;

const key = (viewer, subject) => `${viewer} ${subject}`;

/** Choose *users*, unless users have been chosen in this tab. */
export function chooseAtFirst(users) {
  if (sessionStorage.getItem(KEPT_AS) === null && users.length) choose([...new Set(users)].slice(0, AT_FIRST));
}

/** Begin with the users who have been chosen in this tab. */
export function beginMatrix() {
  chosen = JSON.parse(sessionStorage.getItem(KEPT_AS) ?? "[]");
  at("matrix-form").addEventListener("submit", (event) => {
    event.preventDefault();
    add(fullId(at("matrix-user").value.trim()));
  });
  at("matrix-user").addEventListener("focus", suggest);
  at("matrix-again").addEventListener("click", ask);
  at("matrix").addEventListener("keydown", move);
  ask();
}

function suggest() {
  const free = [...known].filter((userId) => !chosen.includes(userId)).sort().slice(0, 200);
  at("matrix-known").replaceChildren(...free.map((value) => el("option", { value })));
}

function add(userId) {
  let problem = "";
  if (!/^@[^:\s]*:[^@\s]+$/.test(userId)) problem = "Write a user as alice, or as @alice:example.org.";
  else if (chosen.includes(userId)) problem = `${userId} is already in the table.`;
  else if (chosen.length >= MOST) problem = `The table has room for ${MOST} users.`;
  at("matrix-problem").textContent = problem;
  at("matrix-user").select();
  if (problem) return;
  at("matrix-user").value = "";
  choose([...chosen, userId]);
}

function choose(users) {
  chosen = users;
  sessionStorage.setItem(KEPT_AS, JSON.stringify(chosen));
  focused = [0, 0];
  at("matrix-why").replaceChildren();
  ask();
}

/** Ask again about the pairs that *batch* concerns. */
export function followBatch(batch) {
  const subjects = new Set([...batch.changes, ...batch.tellings].map((it) => it.user_id));
  const changed = pairsOf(chosen).filter(([, subject]) => subjects.has(subject));
  changed.forEach((pair) => touched.set(key(...pair), pair));
  askSoon();
}

/** Ask again about some pairs, others each time, because rooms and modules change without a batch. */
export function askSomeAgain() {
  const pairs = pairsOf(chosen);
  const some = [...pairs, ...pairs].slice(next, next + Math.min(SOME, pairs.length));
  next = (next + SOME) % Math.max(1, pairs.length);
  some.forEach((pair) => touched.set(key(...pair), pair));
  askSoon();
}

/** Ask again about all pairs, and keep the old answers meanwhile. */
export function askAllAgain() {
  pairsOf(chosen).forEach((pair) => touched.set(key(...pair), pair));
  askSoon();
}

function askSoon(pause = PAUSE) {
  if (isDue || !touched.size) return;
  isDue = true;
  setTimeout(async () => {
    const pairs = [...touched.values()];
    const pauseThen = PAUSE + PAUSE_FOR_EACH * pairs.length;
    touched = new Map();
    await askAbout(pairs, asked);
    isDue = false;
    askSoon(pauseThen);
  }, pause);
}

const pairsOf = (users) => users.flatMap((viewer) => users.map((subject) => [viewer, subject]));

/** Draw the matrix, and ask the server about all pairs. */
export async function ask() {
  const number = ++asked;
  const pairs = pairsOf(chosen);
  answers = new Map(pairs.filter(([v, s]) => answers.has(key(v, s))).map(([v, s]) => [key(v, s), answers.get(key(v, s))]));
  draw();
  await askAbout(pairs, number);
}

/** Ask about these pairs, a few at a time, until other users are chosen. */
async function askAbout(pairs, number) {
  const work = async () => {
    for (let pair = pairs.shift(); pair && number === asked; pair = pairs.shift()) {
      const [viewer, subject] = pair;
      const answer = await get("/explain", { viewer, subject }).catch((error) => ({ problem: error.message }));
      if (number === asked) put(viewer, subject, answer);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

function put(viewer, subject, answer) {
  answers.set(key(viewer, subject), answer);
  const [row, column] = [chosen.indexOf(viewer), chosen.indexOf(subject)];
  const cell = at("matrix").querySelector(`[data-place="${row} ${column}"]`);
  if (cell) dress(cell, viewer, subject);
  if (cell?.getAttribute("aria-pressed") === "true") explain(viewer, subject);
}

function draw() {
  const any = chosen.length > 0;
  at("matrix-scroll").hidden = at("matrix-legend").hidden = at("matrix-again").hidden = !any;
  at("matrix-empty").hidden = any;
  const head = el("tr", {}, el("td"), ...chosen.map((subject) => el("th", { scope: "col", title: subject }, shortName(subject))));
  const rows = chosen.map((viewer, row) => el("tr", {}, rowHead(viewer),
    ...chosen.map((subject, column) => el("td", {}, cell(viewer, subject, row, column)))));
  at("matrix").replaceChildren(el("thead", {}, head), el("tbody", {}, ...rows));
}

function rowHead(viewer) {
  const away = () => choose(chosen.filter((it) => it !== viewer));
  const label = `Remove ${viewer}`;
  return el("th", { scope: "row", title: viewer }, el("span", {}, shortName(viewer)),
    el("button", { type: "button", "aria-label": label, title: label, onclick: away }, "×"));
}

function cell(viewer, subject, row, column) {
  const isFocused = focused[0] === row && focused[1] === column;
  const button = el(viewer === subject ? "button.cell.self" : "button.cell", {
    type: "button", "data-place": `${row} ${column}`, tabindex: isFocused ? "0" : "-1", "aria-pressed": "false",
    onfocus: () => select(button, viewer, subject, row, column),
    onclick: () => button.focus(),  // some browsers do not focus a button that is clicked
  }, el("i.mark.waiting", { "aria-hidden": "true" }));
  dress(button, viewer, subject);
  return button;
}

function dress(button, viewer, subject) {
  const answer = answers.get(key(viewer, subject));
  if (!answer) {
    button.setAttribute("aria-label", `${shortName(viewer)} and ${shortName(subject)}: asking`);
    return;
  }
  button.firstChild.className = `mark ${markOf(answer)}`;
  const text = answer.problem ?? `${sentence(answer.sight)}: ${reasons(answer).join("; ")}`;
  button.setAttribute("aria-label", text);
  button.title = text;
}

function markOf({ sight }) {
  if (!sight) return "unknown";
  if (!sight.sees) return sight.showing === "withheld" ? "withheld" : "no";
  return sight.showing === "altered" ? "altered" : "yes";
}

function select(button, viewer, subject, row, column) {
  focused = [row, column];
  for (const other of at("matrix").querySelectorAll(".cell")) {
    other.tabIndex = other === button ? 0 : -1;
    other.setAttribute("aria-pressed", String(other === button));
  }
  explain(viewer, subject);
}

function move(event) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!step || !event.target.classList.contains("cell")) return;
  event.preventDefault();
  const [row, column] = [focused[0] + step[0], focused[1] + step[1]];
  at("matrix").querySelector(`[data-place="${row} ${column}"]`)?.focus();
}

const sentence = ({ sees, viewer, subject }) =>
  `${shortName(viewer)} ${sees ? "sees" : "does not see"} ${shortName(subject)}`;

function reasons({ sight, hints }) {
  const because = sight.reasons.map((reason) => reason.text);
  return [...because, ...hints.map((hint) => hint.text)];
}

/** Show the reasons and hints beside the matrix. */
function explain(viewer, subject) {
  const answer = answers.get(key(viewer, subject));
  if (!answer) return;
  const { sight, hints, problem } = answer;
  if (problem) {
    at("matrix-why").replaceChildren(el("p.problem", {}, problem));
    return;
  }
  const lines = sight.reasons.map(because);
  if (sight.showing === "altered") lines.push(line(`altered by module ${sight.altered_by.join(", ")}`, []));
  if (sight.overruled.length) {
    lines.push(line(`altered differently by module ${sight.overruled.join(", ")}, which is earlier in the configuration and does not decide`, []));
  }
  lines.push(...hints.map((hint) => line(hint.text, hint.rooms)));
  const seen = sight.seen ? el("span", {}, " ", dot(sight.seen.presence), word(sight.seen.presence), says(sight.seen.status_msg)) : null;
  at("matrix-why").replaceChildren(
    el("p", {}, who(viewer), sight.sees ? " sees " : " does not see ", who(subject), seen && " as", seen), el("ul", {}, ...lines));
}

/** Return the line of a reason, with the ID of its room, because rooms may have the same name. */
function because({ text, room }) {
  return line(text, room?.name ? [{ room_id: room.room_id, name: null }] : []);
}

function line(text, rooms) {
  const named = rooms.map((room) => el("span.room", {}, ` ${room.name ? `${room.name} ` : ""}${room.room_id}`));
  return el("li", {}, text, ...named);
}
