// The tiles: users online, viewers, deliveries, and their cost.

import { at, el } from "./dom.js";
import { spark } from "./spark.js";
import { number, word } from "./words.js";

/** How many seconds the charts show. */
const SHOWN = 60;
/** The number of seconds over which the cost is averaged. */
const SMOOTHED = 30;
/** With fewer deliveries in that time the cost is not shown: most of it would be other work. */
const ENOUGH = 1000;

const taken = [];
const deliveries = [];
const costs = [];

/** Drop the figures from before the connection was lost. */
export function restartFigures() {
  taken.length = 0;
}

/** Show the figures of this second. */
export function showFigures(figures) {
  keep(taken, figures, SMOOTHED + 1);
  showPeople(figures);
  if (taken.length < 2) return;
  const [last, now] = taken.slice(-2);
  keep(deliveries, rate(last, now), SHOWN);
  keep(costs, cost(taken[0], now), SHOWN);
  showSparks();
}

function keep(list, value, most) {
  list.push(value);
  if (list.length > most) list.shift();
}

const rate = (last, now) => ((now.delivered - last.delivered) * 1000) / Math.max(1, now.at_ts - last.at_ts);

/** Return the microseconds of processor time per delivered update; null if there are too few. */
function cost(first, now) {
  const delivered = now.delivered - first.delivered;
  return delivered >= ENOUGH ? ((now.cpu_seconds - first.cpu_seconds) * 1e6) / delivered : null;
}

function showPeople(figures) {
  const { online = 0, ...others } = figures.users;
  at("online-number").textContent = number(online);
  const besides = split(others);
  at("online-split").textContent = besides ? `besides ${besides}` : "nobody else";
  at("watching-number").textContent = number(figures.outboxes);
  at("watching-split").textContent = `${number(figures.polls)} polls wait`;
}

/** Return the number of users with each presence except offline, as text. */
export function split(counts) {
  const present = Object.entries(counts).filter(([presence, count]) => presence !== "offline" && count);
  return present.map(([presence, count]) => `${number(count)} ${word(presence)}`).join(" · ");
}

function showSparks() {
  const [now, highest] = [deliveries.at(-1), Math.max(...deliveries)];
  at("deliveries-number").textContent = number(Math.round(now));
  const said = `Deliveries per second in the last minute: ${Math.round(now)} now, ${Math.round(highest)} at most`;
  spark(at("deliveries-spark"), deliveries, SHOWN, said);
  const price = costs.at(-1);
  const amount = price === null ? "–" : number(Math.round(price));
  at("cost-number").replaceChildren(amount, el("small", {}, price === null ? "" : "µs"));
  at("cost-why").hidden = price !== null;
  const told = price === null ? "too few deliveries to say" : `${amount} microseconds now`;
  spark(at("cost-spark"), costs, SHOWN, `Processor time per delivery in the last minute: ${told}`);
}
