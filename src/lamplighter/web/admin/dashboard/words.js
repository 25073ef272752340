// Texts for users, presences, times and numbers.

import { el } from "./dom.js";

const BUSY = "org.matrix.msc3026.busy";
let home = "";

/** Set the name of this server, whose own users are shown by their localparts. */
export function setHome(serverName) {
  home = serverName;
}

/** Return the short name of a user. */
export function shortName(userId) {
  const place = userId.indexOf(":");
  return isOurs(userId) ? userId.slice(1, place) : userId;
}

/** Return the whole ID of a user; *text* may be only the localpart. */
export function fullId(text) {
  const named = text.startsWith("@") || !text ? text : `@${text}`;
  return named && !named.includes(":") ? `${named}:${home}` : named;
}

/** Return whether a user is of this server. */
export const isOurs = (userId) => userId.slice(userId.indexOf(":") + 1) === home;

/** Return a user's name as a link to the user's page; its title is the whole ID. */
export function who(userId) {
  const place = userId.indexOf(":");
  const rest = isOurs(userId) ? null : el("span.at", {}, userId.slice(place));
  return el("a.who", { title: userId, href: personPage(userId) }, userId.slice(1, place), rest);
}

/** Return the address of a user's page, and of a module's page. */
export const personPage = (userId) => `#/people/${encodeURIComponent(userId)}`;
export const modulePage = (name) => `#/modules/${encodeURIComponent(name)}`;

/** Return the word for a presence. */
export const word = (presence) => (presence === BUSY ? "busy" : presence);

/** Return the mark of a presence, whose shape and colour differ. */
export const dot = (presence) => el(`span.dot.${word(presence)}`, { "aria-hidden": "true" });

/** Return a status message in quotation marks; null without one. */
export const says = (message) => (message ? el("span.says", {}, ` “${message}”`) : null);

/** Return a short text for a reason: the name of the room or of the module. */
export function shortReason(reason) {
  if (reason.kind === "shared_room") return reason.room.name ?? reason.room.room_id;
  return reason.text;
}

/** Return the time of day. */
export function clock(ms) {
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

/** Return the time since *ms*, rounded. */
export function ago(ms, now) {
  const seconds = Math.max(0, Math.round((now - ms) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
}

/** Return a duration, rounded. */
export const span = (ms) => ago(0, ms).replace(" ago", "");

/** Return a number of seconds as text. */
export function seconds(value) {
  if (value === null) return "–";
  if (value < 0.001) return "under 1 ms";
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
}

/** Return a number with its thousands separated. */
export const number = (value) => value.toLocaleString("en").replaceAll(",", "\u202f");
