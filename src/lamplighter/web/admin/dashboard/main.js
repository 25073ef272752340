// The page: it asks for the token, and then keeps all parts up to date.

import { Refused, get, token } from "./api.js";
import { beginChanges, loadChanges, showBatch, showLost } from "./changes.js";
import { beginDetail, followInDetail } from "./detail.js";
import { at } from "./dom.js";
import { restartFigures, showFigures } from "./figures.js";
import { loadMachinery } from "./machinery.js";
import { askAllAgain, askSomeAgain, beginMatrix, chooseAtFirst, followBatch } from "./matrix.js";
import { beginReloads } from "./modules.js";
import { loadNodes } from "./nodes.js";
import { beginSearch, loadPeople, showSoon, updatePeople } from "./people.js";
import { listen } from "./stream.js";
import { setHome, span } from "./words.js";

const PERIOD = 5000;
const LIVE = { on: "live", off: "no answer", "": "connecting" };

function askForToken(problem = "") {
  at("app").hidden = true;
  at("sign-in").hidden = false;
  at("sign-in-problem").textContent = problem;
  at("token").focus();
}

async function open() {
  let server;
  try {
    server = await get("/server");
  } catch (error) {
    if (error instanceof Refused) token.forget();
    askForToken(error.message);
    return;
  }
  setHome(server.server_name);
  at("sign-in").hidden = true;
  at("app").hidden = false;
  begin(server);
}

function begin(server) {
  const skew = Date.now() - server.now_ts;
  const showServer = () => {
    const up = span(Date.now() - skew - server.started_ts);
    const node = server.node === null ? "" : ` · node ${server.node}`;
    at("server").textContent = `${server.server_name}${node} · version ${server.version} · up ${up}`;
  };
  document.title = `${server.server_name} · Lamplighter`;
  showServer();
  tell("");
  beginChanges();
  beginMatrix();
  beginSearch();
  beginDetail();
  beginReloads(async () => {
    askAllAgain();
    await safely(() => loadMachinery(server));
  });
  listen({
    begin: () => {
      restartFigures();
      safely(look);
    },
    batch: (batch) => {
      showBatch(batch);
      updatePeople(batch);
      followBatch(batch);
      followInDetail(batch);
    },
    figures: showFigures,
    lost: (lost) => {
      showLost(lost);
      safely(loadPeople);
      askAllAgain();
    },
    refused: signOut,
  }, tell);
  const refresh = () => {
    if (document.hidden) return;
    showServer();
    safely(async () => showProblem(await get("/server")));
    showSoon();
    askSomeAgain();
    safely(() => loadMachinery(server));
    safely(() => loadNodes(server));
  };
  refresh();
  setInterval(refresh, PERIOD);
  document.addEventListener("visibilitychange", refresh);
}

/** Load the batches from before the stream began, and choose the first users of the matrix. */
async function look() {
  const [batches, present] = await Promise.all([loadChanges(), loadPeople()]);
  const { users } = await get("/users", { limit: 5 });
  chooseAtFirst([...concerned(batches), ...present, ...users.map((user) => user.user_id)]);
  askAllAgain();
}

/** Return the users in the last batches; those to whom or whom a module has shown come first. */
function concerned(batches) {
  const found = { module: [], other: [] };
  for (const { user_id: userId, recipients } of batches.flatMap((batch) => batch.tellings)) {
    for (const { viewer, reasons } of recipients) {
      if (viewer === userId) continue;
      const isByModule = reasons.some((reason) => reason.kind === "module");
      found[isByModule ? "module" : "other"].push(viewer, userId);
    }
  }
  return [...found.module, ...found.other];
}

/** Say what is wrong with the database, and with the homeserver behind this server. */
function showProblem({ homeserver_problem: problem, can_store: canStore }) {
  at("storage-problem").hidden = canStore;
  at("homeserver-problem").textContent = problem ?? "";
  at("homeserver-problem").hidden = problem === null;
}

function tell(state) {
  at("live").className = `live ${state}`;
  at("live").textContent = LIVE[state];
  at("app").classList.toggle("old", state === "off");
}

/** Do *work*, and ignore its errors: the page asks again later. */
async function safely(work) {
  try {
    await work();
  } catch (error) {
    if (error instanceof Refused) signOut();
  }
}

function signOut() {
  token.forget();
  location.reload();
}

at("sign-out").addEventListener("click", signOut);
at("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token.keep(at("token").value.trim());
  at("token").value = "";
  open();
});

if (token.get()) open();
else askForToken();
