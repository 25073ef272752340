// Modules: their condition, what shadow modules would change, a reset, and a reload.

import { post } from "./api.js";
import { at, el, fill } from "./dom.js";
import { ago, modulePage, number, says, seconds, span, who, word } from "./words.js";

/** How many of the differences that a shadow module would make are shown. */
const DIFFERENCES = 5;

/** Show the modules, and then the shadow modules; *again* reloads the card. */
export function showModules({ modules }, shadows, now, again) {
  const of = (name) => shadows.differences.filter((it) => it.module === name);
  fill(at("modules-list"), at("modules-empty"), [
    ...modules.map((it) => module(it, now, again)),
    ...shadows.modules.map((it) => shadow(it, of(it.name), now, again)),
  ]);
}

/** Make the button reload the modules and show the result; *again* reloads the page's parts. */
export function beginReloads(again) {
  at("modules-reload").addEventListener("click", async () => {
    at("modules-reload").disabled = true;
    say("Loading and testing the modules …");
    try {
      const result = await (await post("/modules/reload")).json();
      say(result.problem === null ? reloaded(result) : `The old modules stay: ${result.problem}`, result.problem !== null);
    } catch (error) {
      say(error.message, true);
    }
    at("modules-reload").disabled = false;
    await again();
  });
}

function say(text, isProblem = false) {
  at("modules-said").className = isProblem ? "problem" : "muted small";
  at("modules-said").textContent = text;
}

function reloaded(result) {
  const restart = result.needs_restart.length ? ` These keys need a restart: ${result.needs_restart.join(", ")}.` : "";
  return `Reloaded: ${result.modules.join(", ") || "no module"}.${restart}`;
}

/** Return the row of a module. */
export function module(it, now, again) {
  return row(it, now, [reset(it, again), state(it, now)]);
}

/** Return the row of a shadow module, with the differences that it would make. */
export function shadow(it, differences, now, again, most = DIFFERENCES) {
  const paused = it.paused ? state(it, now) : null;
  const element = row(it, now, [reset(it, again), paused, el("span.badge.shadow", {}, "shadow")]);
  element.append(...changes(differences, now, most));
  return element;
}

function row(it, now, actions) {
  const answers = `${seconds(it.median_seconds)}, 95 % within ${seconds(it.p95_seconds)}`;
  const timed = it.median_seconds === null ? null : fact("answers in", answers);
  return el("li", {}, el("div.top", {}, el("a.name", { href: modulePage(it.name) }, it.name), el("span.actions", {}, ...actions)),
    el("dl.facts", {}, fact("calls", number(it.calls)), fact("failures", number(it.failures)), timed), failure(it, now));
}

function state(it, now) {
  return it.paused
    ? el("span.badge.bad", {}, `paused, asked again in ${span(Math.max(0, it.paused_until_ts - now))}`)
    : el("span.badge", {}, "working");
}

function reset(it, again) {
  if (!it.paused) return null;
  const button = el("button.quiet", { type: "button", "aria-label": `Reset ${it.name}` }, "Reset");
  button.addEventListener("click", async () => {
    button.disabled = true;
    await post(`/modules/${encodeURIComponent(it.name)}/reset`).catch(() => {});  // the row shows whether it worked
    await again();
  });
  return button;
}

function failure(it, now) {
  const last = it.last_failure;
  if (!last) return null;
  return el("p.small.muted", {}, `Last failure ${ago(last.at_ts, now)}: ${last.kind} in ${last.callback}. `, el("code", {}, last.problem));
}

function changes(differences, now, most) {
  if (!differences.length) return [el("p.small.muted", {}, "So far it would change nothing.")];
  const left = differences.length - most;
  const more = left > 0 ? [el("p.small.muted", {}, `and ${number(left)} more`)] : [];
  return [el("ul.would", {}, ...differences.slice(0, most).map((it) => change(it, now))), ...more];
}

/** Return "carl would see bob as online “brb”, not as away · 5 s ago". */
function change(it, now) {
  const instead = it.shown === null ? null : el("span", {}, ", not as ", ...shown(it.shown));
  return el("li", {}, who(it.viewer), " would see ", who(it.subject), " as ", el("span.as", {}, ...shown(it.would_be_shown)),
    instead, el("span.muted", {}, ` · ${ago(it.at_ts, now)}`));
}

const shown = (presence) => [word(presence.presence), says(presence.status_msg)].filter((part) => part !== null);

/** Return a value with its name. */
export const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
