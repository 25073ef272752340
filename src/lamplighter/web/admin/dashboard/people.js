// The users who are not offline, kept up to date by the stream; and the search for users.

import { get } from "./api.js";
import { at, el, fill } from "./dom.js";
import { split } from "./figures.js";
import { ago, dot, number, says, who, word } from "./words.js";

const SHOWN = 100;
/** The greatest number of search results. */
const FOUND = 20;
const ORDER = ["busy", "online", "unavailable"];
const present = new Map();
/** All users seen since the page was opened, as suggestions. */
export const known = new Set();
let isDue = false;
let searched = 0;

/** Load the users who are not offline; return their IDs in the order of the list. */
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

/** Update the list with a published batch. */
export function updatePeople(batch) {
  batch.changes.forEach((change) => take(change.user_id, change.presence));
  if (batch.changes.length) showSoon();
}

function take(userId, presence) {
  known.add(userId);
  if (presence.presence === "offline") present.delete(userId);
  else present.set(userId, presence);
}

/** Draw the list once in the next frame, after any number of changes. */
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
  const counts = {};
  for (const { presence } of present.values()) counts[presence] = (counts[presence] ?? 0) + 1;
  at("people-count").textContent = split(counts);
}

/** Make the search field work: it searches the accounts, and the known users of other servers. */
export function beginSearch() {
  at("search").addEventListener("input", () => search().catch(() => {}));
  at("search-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    await search().catch(() => {});
    const first = at("search-list").querySelector("a");
    if (first) location.hash = first.hash;
  });
}

async function search() {
  const text = at("search").value.trim().replace(/^@/, "").split(":")[0];
  const asked = ++searched;
  if (!text) {
    showFound([], false);
    return;
  }
  const { users } = await get("/users", { containing: text, limit: FOUND });
  if (asked !== searched) return; // the text has changed meanwhile
  const ours = users.map((user) => [user.user_id, user.presence]);
  const others = [...present].filter(([userId]) => userId.slice(1).split(":")[0].includes(text)
    && !ours.some(([known]) => known === userId));
  showFound([...ours, ...others].slice(0, FOUND), true);
}

function showFound(found, isAsked) {
  const now = Date.now();
  at("search-list").replaceChildren(...found.map(([userId, presence]) => person(userId, presence, now)));
  at("search-list").hidden = !found.length;
  at("people-list").classList.toggle("aside", isAsked);
  at("search-said").textContent = isAsked && !found.length ? "No user has this name." : "";
}

/** Return a user's row in a list. */
export function person(userId, presence, now) {
  const state = el("span.muted.small", {}, ` ${word(presence.presence)}`);
  const last = presence.last_active_ts ? ago(presence.last_active_ts, now) : "";
  const when = presence.currently_active ? "active" : last;
  return el("li.person", {}, dot(presence.presence),
    el("div", {}, who(userId), state, says(presence.status_msg)), el("span.when", {}, when));
}
