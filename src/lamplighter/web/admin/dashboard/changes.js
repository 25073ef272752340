// The list of changes, the newest first: what changed, to whom it was delivered, and why.

import { get } from "./api.js";
import { at, el } from "./dom.js";
import { clock, dot, says, shortName, shortReason, who, word } from "./words.js";

const SHOWN = 80;
const MOST_FRESH = 3;
/** Functions that make an entry each. When much happens at once, most are never called. */
let waiting = [];
let isHeld = false;
let isDue = false;
/** The position of the newest batch in the list. */
let newest = "";
/** The batches that the stream brings while older ones are being loaded; null afterwards. */
let early = null;

/** Make the button pause and resume the list. */
export function beginChanges() {
  at("hold").addEventListener("click", () => {
    isHeld = !isHeld;
    at("hold").setAttribute("aria-pressed", String(isHeld));
    label();
    if (!isHeld) show();
  });
}

/** Load the batches from before the stream began, show the new ones, and return all. */
export async function loadChanges() {
  early = [];
  try {
    const { batches } = await get("/changes", { limit: SHOWN });
    // Older batches are shown even while the list is paused.
    place([...batches].reverse().filter(isNew).flatMap(entriesOf));
    return batches;
  } finally {
    const waited = early;
    early = null;
    waited.forEach(take);
  }
}

/** Show a published batch. */
export function showBatch(batch) {
  if (early) early.push(batch);
  else take(batch);
}

function take(batch) {
  if (isNew(batch)) add(entriesOf(batch));
}

/** Return whether a batch is newer than all batches in the list, and remember its position. */
function isNew({ position }) {
  if (newest && !isAfter(position, newest)) return false;
  newest = position;
  return true;
}

function isAfter(one, other) {
  const [[time, count], [otherTime, otherCount]] = [one, other].map((it) => it.split("-").map(Number));
  return time > otherTime || (time === otherTime && count > otherCount);
}

/** Show how many events were lost. */
export function showLost({ events }) {
  add([() => el("li.muted.small", {}, `${events} events were lost, because this page did not read fast enough.`)]);
}

function add(entries) {
  waiting = [...waiting, ...entries].slice(-SHOWN);
  if (isHeld) label();
  else if (!isDue) {
    isDue = true;
    requestAnimationFrame(show);
  }
}

function label() {
  at("hold").textContent = isHeld ? `Resume${waiting.length ? ` (${waiting.length} new)` : ""}` : "Pause";
}

function show() {
  isDue = false;
  if (!isHeld) place(waiting.splice(0));
}

/** Put the entries that *makers* make at the top, the last one first. */
function place(makers) {
  const list = at("changes-list");
  const entries = makers.slice(-SHOWN).map((make) => make()).reverse();
  // When much happens at once, new entries do not glow.
  if (entries.length <= MOST_FRESH) entries.forEach((it) => it.classList.add("fresh"));
  list.prepend(...entries);
  while (list.childElementCount > SHOWN) list.lastElementChild.remove();
  at("changes-empty").hidden = list.childElementCount > 0;
}

/** Return functions that make an entry each: for the changes, and for what was delivered later. */
export function entriesOf(batch) {
  const when = Number(batch.position.split("-")[0]);
  const tellings = new Map();
  for (const telling of batch.tellings) {
    tellings.set(telling.user_id, [...(tellings.get(telling.user_id) ?? []), telling]);
  }
  const entries = batch.changes.map((change) => {
    const told = tellings.get(change.user_id) ?? [];
    tellings.delete(change.user_id);
    return () => entry(when, change.user_id, change.presence, described(change), told);
  });
  for (const [userId, told] of tellings) {
    entries.push(() => entry(when, userId, told[0].presence, ", delivered later", told));
  }
  if (batch.left_out) entries.push(() => el("li.muted.small", {}, `and ${batch.left_out} more at the same time`));
  return entries;
}

function described(change) {
  return change.was === change.presence.presence ? "" : `, was ${word(change.was)}`;
}

function entry(when, userId, presence, more, told) {
  const what = el("div", {}, dot(presence.presence), who(userId), ` is ${word(presence.presence)}`,
    says(presence.status_msg), el("span.muted.small", {}, more));
  const recipients = el("div.told", {}, ...told.flatMap((telling) => groups(telling, presence, userId)));
  if (!recipients.childElementCount) recipients.append(el("span.muted", {}, "no viewer is connected"));
  return el("li.change", {}, el("time", { datetime: new Date(when).toISOString() }, clock(when)),
    el("div", {}, what, recipients));
}

/** Return a line for each set of reasons, with its recipients. */
function groups(telling, presence, userId) {
  const byReason = new Map();
  for (const { viewer, reasons } of telling.recipients) {
    if (viewer === userId) continue;
    const because = reasons.map(shortReason).join(" and ");
    byReason.set(because, [...(byReason.get(because) ?? []), viewer]);
  }
  const lines = [...byReason].map(([because, viewers]) =>
    el("div", {}, el("span.because", {}, because), " → ", viewers.map(shortName).join(", "), altered(telling, presence)));
  const unnamed = telling.told - telling.recipients.length;
  if (unnamed > 0) lines.push(el("div.muted", {}, `and ${unnamed} more`));
  return lines;
}

function altered(telling, presence) {
  const { presence: shown, status_msg: message } = telling.presence;
  if (shown === presence.presence && message === presence.status_msg) return null;
  return el("span.as", {}, ` shown as ${word(shown)}`, says(message));
}
