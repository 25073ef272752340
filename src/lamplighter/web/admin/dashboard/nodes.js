// The card of the cluster: its nodes, what each owns, and what is wrong.

import { get } from "./api.js";
import { at, el } from "./dom.js";
import { fact } from "./modules.js";
import { ago, number, seconds } from "./words.js";

/** A node with a longer lag is behind, in milliseconds. */
const BEHIND = 2000;

/** Load and show the cluster, if *server* is a node of one. */
export async function loadNodes(server) {
  at("nodes").hidden = server.node === null;
  if (server.node === null) return;
  const cluster = await get("/cluster");
  at("nodes-list").replaceChildren(...cluster.nodes.map((it) => node(it, cluster)));
  at("nodes-count").textContent = number(cluster.nodes.length);
  at("nodes-problems").textContent = cluster.problems.join(" · ");
}

function node(it, { now_ts: now, is_old: isOld }) {
  return el("li", {}, el("div.top", {}, el("b", {}, it.name), state(it, isOld)),
    el("dl.facts", {},
      fact("address", it.address),
      fact("joined", ago(it.epoch, now)),
      fact("partitions", number(it.partitions)),
      fact("behind the log", it.lag_ms === null ? "–" : seconds(it.lag_ms / 1000))));
}

function state(it, isOld) {
  if (isOld) return el("span.badge.warn", {}, "not known");
  if (it.lag_ms === null) return el("span.badge.warn", {}, "starting");
  return it.lag_ms > BEHIND ? el("span.badge.warn", {}, "behind") : el("span.badge", {}, "keeps up");
}
