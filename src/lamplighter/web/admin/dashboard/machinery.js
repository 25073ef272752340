// The cards of modules and of other servers.

import { get } from "./api.js";
import { at, el, fill } from "./dom.js";
import { fact, showModules } from "./modules.js";
import { number, span } from "./words.js";

/** Load and show the condition of modules and other servers. */
export async function loadMachinery(server) {
  const [modules, shadows, destinations] = await Promise.all([get("/modules"), get("/modules/shadow"), get("/destinations")]);
  const now = Date.now();
  showModules(modules, shadows, now, () => loadMachinery(server));
  fill(at("servers-list"), at("servers-empty"), destinations.destinations.map((it) => destination(it, now)));
  at("servers-count").textContent = destinations.total ? number(destinations.total) : "";
  at("servers-empty").textContent = server.federation_enabled
    ? "All servers answer, and no states wait for them."
    : "Federation is off.";
}

function destination(it, now) {
  const state = it.retry_ts === null
    ? el("span.badge", {}, it.is_busy ? "sending" : "answers")
    : el("span.badge.warn", {}, `next attempt in ${span(Math.max(0, it.retry_ts - now))}`);
  const failures = it.failures ? fact("failed in a row", number(it.failures)) : null;
  return el("li", {}, el("div.top", {}, el("b", {}, it.server_name), state),
    el("dl.facts", {}, fact("waiting", number(it.queued)), failures));
}
