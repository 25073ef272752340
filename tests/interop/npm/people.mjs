// People at matrix-js-sdk.
import { createClient, ClientEvent } from "matrix-js-sdk";

// matrix-js-sdk is written for Node 22; older ones lack only this.
Promise.withResolvers ??= () => {
    const all = {};
    all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }));
    return all;
};

const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, getChild: () => quiet };

export async function person(baseUrl, name) {
    const anonymous = createClient({ baseUrl, logger: quiet });
    const { user_id: userId, access_token: accessToken, device_id: deviceId } =
        await anonymous.registerRequest({
            username: name, password: "wonderland", auth: { type: "m.login.dummy" },
        });
    return createClient({ baseUrl, userId, accessToken, deviceId, logger: quiet });
}

/** Resolve with what `read` makes of an event, once it makes something of it. */
export function heard(client, event, read) {
    return new Promise((resolve) => {
        const listener = (...args) => {
            const found = read(...args);
            if (found === undefined) return;
            client.off(event, listener);
            resolve(found);
        };
        client.on(event, listener);
    });
}

export const started = async (client) => {
    const prepared = heard(client, ClientEvent.Sync, (state) => state === "PREPARED" || undefined);
    await client.startClient({ initialSyncLimit: 10, lazyLoadMembers: true });
    await prepared;
};
