// Modules and other servers: how they do, and another chance for a module.

import { get, post } from "./api.js";
import { at, el, fill } from "./dom.js";
import { ago, number, seconds, span } from "./words.js";

/** Ask how modules and other servers are, and show it. */
export async function loadMachinery(server) {
  const [modules, destinations] = await Promise.all([get("/modules"), get("/destinations")]);
  const now = Date.now();
  const again = () => loadMachinery(server);
  fill(at("modules-list"), at("modules-empty"), modules.modules.map((it) => module(it, now, again)));
  fill(at("servers-list"), at("servers-empty"), destinations.destinations.map((it) => destination(it, now)));
  at("servers-count").textContent = destinations.total ? number(destinations.total) : "";
  at("servers-empty").textContent = server.federation_enabled
    ? "Every server has been told all there is, and has answered."
    : "Federation is off: this server speaks to no other.";
}

function module(it, now, again) {
  const state = it.paused
    ? el("span.badge.bad", {}, `paused, tried again in ${span(Math.max(0, it.paused_until_ts - now))}`)
    : el("span.badge", {}, "working");
  const answers = `${seconds(it.median_seconds)}, 95 % within ${seconds(it.p95_seconds)}`;
  const timed = it.median_seconds === null ? null : fact("answers in", answers);
  return el("li", {}, el("div.top", {}, el("b", {}, it.name), el("span.actions", {}, reset(it, again), state)),
    el("dl.facts", {}, fact("calls", number(it.calls)), fact("failures", number(it.failures)), timed), failure(it, now));
}

function reset(it, again) {
  if (!it.paused) return null;
  const button = el("button.quiet", { type: "button", "aria-label": `Reset ${it.name}` }, "Reset");
  button.addEventListener("click", async () => {
    button.disabled = true;
    await post(`/modules/${encodeURIComponent(it.name)}/reset`).catch(() => {});  // it shows
    await again();
  });
  return button;
}

function failure(it, now) {
  const last = it.last_failure;
  if (!last) return null;
  return el("p.small.muted", {}, `Last failure ${ago(last.at_ts, now)}: ${last.kind} in ${last.callback}. `, el("code", {}, last.problem));
}

function destination(it, now) {
  const state = it.retry_ts === null
    ? el("span.badge", {}, it.is_busy ? "sending" : "answers")
    : el("span.badge.warn", {}, `tried again in ${span(Math.max(0, it.retry_ts - now))}`);
  const failures = it.failures ? fact("failed in a row", number(it.failures)) : null;
  return el("li", {}, el("div.top", {}, el("b", {}, it.server_name), state),
    el("dl.facts", {}, fact("waiting", number(it.queued)), failures));
}

const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
