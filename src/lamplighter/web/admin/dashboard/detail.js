// The page of one user, or of one module. The fragment of the URL says which.

import { get } from "./api.js";
import { entriesOf } from "./changes.js";
import { at, el } from "./dom.js";
import { fact, module, shadow } from "./modules.js";
import { ago, dot, fullId, isOurs, number, says, shortName, who, word } from "./words.js";

/** How many users, and how many batches, are shown. */
const PEOPLE = 100;
const CHANGES = 40;
/** The least and the greatest time between two loads of the page, in milliseconds. */
const PAUSE = 1000;
const PERIOD = 10000;

/** The page that is shown: `{kind, name}`; null for the overview. */
let shown = null;
let asked = 0;
let isDue = false;

/** Show the page of the URL, now and when the URL changes. */
export function beginDetail() {
  addEventListener("hashchange", open);
  setInterval(() => shown && !document.hidden && load(), PERIOD);
  open();
}

/** Load the page again if *batch* concerns it. */
export function followInDetail(batch) {
  if (!shown || isDue || !concerns(batch, shown)) return;
  isDue = true;
  setTimeout(() => {
    isDue = false;
    if (shown) load();
  }, PAUSE);
}

function concerns(batch, { kind, name }) {
  if (kind !== "people") return batch.tellings.length > 0;
  const isName = (it) => it.user_id === name || (it.recipients ?? []).some((to) => to.viewer === name);
  return [...batch.changes, ...batch.tellings].some(isName);
}

function open() {
  const [, kind, name] = location.hash.match(/^#\/(people|modules)\/(.+)$/) ?? [];
  const wasShown = shown !== null;
  shown = kind ? { kind, name: decoded(name) } : null;
  asked += 1;
  at("overview").hidden = shown !== null;
  at("detail").hidden = shown === null;
  if (!shown) {
    if (wasShown) scrollTo(0, 0);
    return;
  }
  if (kind === "people") shown.name = fullId(shown.name);
  at("detail-title").textContent = kind === "people" ? shortName(shown.name) : shown.name;
  at("detail-said").replaceChildren();
  at("detail-problem").textContent = "";
  at("detail-parts").replaceChildren();
  scrollTo(0, 0);
  at("detail-title").focus();
  load();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function load() {
  const number = ++asked;
  const { kind, name } = shown;
  let parts = [];
  let problem = "";
  try {
    parts = await (kind === "people" ? person(name) : ofModule(name));
  } catch (error) {
    problem = error.message;
  }
  if (number !== asked) return; // another page was opened meanwhile
  at("detail-problem").textContent = problem;
  if (problem) return;
  const [about, ...cards] = parts;
  at("detail-said").replaceChildren(...about);
  keepingFocus(() => at("detail-parts").replaceChildren(...cards));
}

/** Do *work*, which replaces all parts, and restore the focus and the scroll positions. */
function keepingFocus(work) {
  const places = () => [...at("detail-parts").querySelectorAll("a, button, [tabindex]")];
  const scrolled = [...at("detail-parts").querySelectorAll(".feed")].map((it) => it.scrollTop);
  const place = places().indexOf(document.activeElement);
  work();
  [...at("detail-parts").querySelectorAll(".feed")].forEach((it, index) => { it.scrollTop = scrolled[index] ?? 0; });
  if (place >= 0) places()[place]?.focus({ preventScroll: true });
}

async function person(userId) {
  const account = isOurs(userId) ? await get(`/users/${encodeURIComponent(userId)}`) : null;
  const [explained, sees, seenBy, { batches }] = await Promise.all([
    get("/explain", { viewer: userId, subject: userId }),
    get("/sees", { viewer: userId, limit: PEOPLE }),
    get("/seen_by", { subject: userId, limit: PEOPLE }),
    get("/changes", { user: userId, limit: CHANGES }),
  ]);
  const now = Date.now();
  return [
    about(userId, account, explained.sight.actual, now),
    card("Who sees this user, and why", sights(seenBy, userId, "viewer"), "Nobody else sees this user."),
    card("Whom this user sees, and why", sights(sees, userId, "subject"), "This user sees nobody else."),
    card("Devices", (account?.devices ?? []).map((it) => device(it, now)), account ? "No device is logged in." : "Only the user's own server knows the devices."),
    card("Rooms", (account?.rooms ?? []).map(room), "No room of this server."),
    changes(batches, "Nothing about this user was delivered recently."),
  ];
}

function about(userId, account, presence, now) {
  const when = presence.last_active_ts ? `last active ${ago(presence.last_active_ts, now)}` : "";
  const name = account?.displayname ? `${account.displayname} · ` : "";
  const what = account === null ? "no account here" : [account.is_admin ? "administrator" : "", account.is_deactivated ? "deactivated" : ""].filter(Boolean).join(" · ");
  return [`${name}${userId} · `, dot(presence.presence), word(presence.presence), says(presence.status_msg),
    ...[presence.currently_active ? "active" : when, what].filter(Boolean).map((it) => ` · ${it}`)].filter((it) => it !== null);
}

function sights(page, userId, side) {
  const others = page.sights.filter((sight) => sight[side] !== userId).map((sight) => sightOf(sight, side));
  return page.next_batch === null ? others : [...others, el("li.muted", {}, "and more")];
}

/** Return "alice sees ● online “brb”", or "● bob is online “brb”", with the reasons. */
function sightOf(sight, side) {
  const seen = sight.seen ?? sight.actual;
  const as = sight.showing === "altered" ? el("span.as.small", {}, ` altered by ${sight.altered_by.join(", ")}`) : null;
  const because = sight.reasons.map((reason) => reason.text).join(" and ") || sight.showing;
  const what = side === "viewer"
    ? [who(sight.viewer), " sees ", dot(seen.presence), word(seen.presence)]
    : [dot(seen.presence), who(sight.subject), ` is ${word(seen.presence)}`];
  const line = [...what, says(seen.status_msg), as].filter((it) => it !== null);
  return el("li", {}, el("div", {}, ...line), el("div.small.because", {}, because));
}

function device(it, now) {
  const seen = it.last_seen_ts === null ? "never" : ago(it.last_seen_ts, now);
  const presence = it.presence === null ? "none" : word(it.presence);
  return el("li", {}, el("div.top", {}, el("b", {}, it.display_name ?? it.device_id), it.display_name ? el("code", {}, it.device_id) : null),
    el("dl.facts", {}, fact("polls", number(it.polls)), fact("presence", presence), fact("last seen", seen)));
}

const room = (it) => el("li", {}, el("p", {}, it.name ?? "without a name", el("span.room", {}, ` ${it.room_id}`)));

async function ofModule(name) {
  const [{ modules }, shadows, { batches }] = await Promise.all([
    get("/modules"), get("/modules/shadow"), get("/changes", { module: name, limit: CHANGES }),
  ]);
  const now = Date.now();
  const counting = modules.filter((it) => it.name === name).map((it) => module(it, now, load));
  const differences = shadows.differences.filter((it) => it.module === name);
  const trying = shadows.modules.filter((it) => it.name === name).map((it) => shadow(it, differences, now, load, differences.length));
  const rows = [...counting, ...trying];
  const said = rows.length ? "a presence router module" : "There is no presence router module with this name.";
  return [[said], card("Condition", rows, "The module is not loaded.", "wide"), changes(batches, "The module has sent nothing recently.")];
}

function changes(batches, empty) {
  const entries = batches.flatMap((batch) => entriesOf(batch).map((make) => make()));
  return card("Recent deliveries", entries, empty, "wide", "feed");
}

function card(title, rows, empty, more = "", list = "rows") {
  const id = `detail-${title.split(/\W/)[0].toLowerCase()}-${title.length}`;
  const name = `section.card${more ? `.${more}` : ""}`;
  const items = rows.length ? el(`ul.${list}`, list === "feed" ? { tabindex: "0", "aria-label": title } : {}, ...rows) : el("p.empty", {}, empty);
  return el(name, { "aria-labelledby": id }, el("div.head", {}, el("h2", { id }, title)), items);
}
