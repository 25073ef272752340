// Requests to the admin API. The token is sent in a header, and kept until the tab is closed.

const PREFIX = "admin";
const KEPT_AS = "lamplighter-admin-token";

/** The server does not accept the token. */
export class Refused extends Error {}

export const token = {
  get: () => sessionStorage.getItem(KEPT_AS),
  keep: (value) => sessionStorage.setItem(KEPT_AS, value),
  forget: () => sessionStorage.removeItem(KEPT_AS),
};

/** Return the response to a request. Throws `Refused`, or an `Error` with a text for people. */
export async function request(path, options = {}) {
  const kept = token.get();
  // What is asked one after the other may go on after somebody has signed out.
  if (kept === null) throw new Refused("Nobody is signed in.");
  const headers = { Authorization: `Bearer ${kept}` };
  let response;
  try {
    response = await fetch(PREFIX + path, { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached.");
  }
  if (response.ok) return response;
  if (response.status === 401) throw new Refused("This is not the admin token.");
  const answer = await response.json().catch(() => ({}));
  throw new Error(answer.error ?? `The server answered ${response.status}.`);
}

/** Return the content of the answer to a GET. */
export async function get(path, query = {}, options = {}) {
  const text = new URLSearchParams(query).toString();
  return (await request(text ? `${path}?${text}` : path, options)).json();
}

/** Send a POST without a body. */
export const post = (path) => request(path, { method: "POST" });
