// A small line chart of the last minute, without axes.

import { svg } from "./dom.js";

const WIDTH = 120;
const HEIGHT = 32;

/** Draw *values* into *place*, which has *room* for so many; null is a gap. *label* is for screen readers. */
export function spark(place, values, room, label) {
  const highest = Math.max(...values.map((value) => value ?? 0), Number.MIN_VALUE);
  const x = (index) => (WIDTH * (room - values.length + index)) / (room - 1);
  const y = (value) => HEIGHT - 2 - (HEIGHT - 4) * (value / highest);
  const runs = [];
  values.forEach((value, index) => {
    if (value === null) runs.push([]);
    else (runs.at(-1) ?? runs[runs.push([]) - 1]).push([x(index), y(value)]);
  });
  const drawn = runs.filter((run) => run.length > 1).flatMap((run) => {
    const points = run.map((point) => point.map((it) => it.toFixed(1)).join(" ")).join("L");
    const [first, last] = [run[0][0].toFixed(1), run.at(-1)[0].toFixed(1)];
    return [
      svg("path", { class: "area", d: `M${first} ${HEIGHT}L${points}L${last} ${HEIGHT}Z` }),
      svg("path", { class: "line", d: `M${points}` }),
    ];
  });
  const ground = svg("line", { class: "ground", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT });
  const attributes = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label };
  place.replaceChildren(svg("svg", attributes, ground, ...drawn));
}
