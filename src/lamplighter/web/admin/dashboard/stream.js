// Server-sent events, read with `fetch` so that the token is in a header and not in the URL.

import { Refused, request } from "./api.js";

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 15000;
/** Figures come each second. After this many milliseconds without an event the connection is dead. */
const SILENCE = 10000;

/** Connect again and again, and call `on[name]` with each event; return a function that stops it. */
export function listen(on, tell) {
  let pause = FIRST_PAUSE;
  let isOver = false;
  let abort = new AbortController();

  async function once() {
    abort = new AbortController();
    const response = await request("/events", { signal: abort.signal });
    tell("on");
    on.begin();
    pause = FIRST_PAUSE;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const silent = setTimeout(() => abort.abort(), SILENCE);
      const { value, done } = await reader.read().finally(() => clearTimeout(silent));
      if (done) return;
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) hand(block, on);
    }
  }

  async function always() {
    while (!isOver) {
      try {
        await once();
      } catch (error) {
        if (error instanceof Refused) {
          on.refused(error);
          return;
        }
      }
      if (isOver) return;
      tell("off");
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }

  always();
  return () => {
    isOver = true;
    abort.abort();
  };
}

function hand(block, on) {
  const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
  on[fields.event]?.(JSON.parse(fields.data));
}
