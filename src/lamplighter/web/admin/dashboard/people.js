// Who is online, kept up to date by the stream.

import { get } from "./api.js";
import { at, el, fill } from "./dom.js";
import { ago, dot, number, says, who, word } from "./words.js";

const SHOWN = 100;
const ORDER = ["busy", "online", "unavailable"];
const present = new Map();
/** Whoever was seen since the page was opened, for who wants to choose among them. */
export const known = new Set();
let isDue = false;

/** Ask who is online; return them, in the order in which they are shown. */
export async function loadPeople() {
  present.clear();
  let from = {};
  do {
    const page = await get("/online", { limit: 1000, ...from });
    page.users.forEach((user) => take(user.user_id, user.presence));
    from = page.next_batch === null ? null : { from: page.next_batch };
  } while (from && present.size < 5000);
  showSoon();
  return sorted().map(([userId]) => userId);
}

/** Take in a batch that was published. */
export function updatePeople(batch) {
  batch.changes.forEach((change) => take(change.user_id, change.presence));
  if (batch.changes.length) showSoon();
}

function take(userId, presence) {
  known.add(userId);
  if (presence.presence === "offline") present.delete(userId);
  else present.set(userId, presence);
}

/** Show it once, however much has changed. */
export function showSoon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    show();
  });
}

function sorted() {
  const rank = ([userId, { presence }]) => `${ORDER.indexOf(word(presence))}${userId}`;
  return [...present].sort((one, other) => (rank(one) < rank(other) ? -1 : 1));
}

function show() {
  const now = Date.now();
  const rows = sorted().slice(0, SHOWN).map(([userId, presence]) => person(userId, presence, now));
  if (present.size > SHOWN) rows.push(el("li.muted", {}, `and ${number(present.size - SHOWN)} more`));
  fill(at("people-list"), at("people-empty"), rows);
  at("people-count").textContent = present.size ? number(present.size) : "";
}

function person(userId, presence, now) {
  const state = el("span.muted.small", {}, ` ${word(presence.presence)}`);
  const when = presence.currently_active ? "active" : ago(presence.last_active_ts, now);
  return el("li.person", {}, dot(presence.presence),
    el("div", {}, who(userId), state, says(presence.status_msg)), el("span.when", {}, when));
}
