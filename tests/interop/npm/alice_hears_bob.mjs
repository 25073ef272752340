// Two people at matrix-js-sdk. Bob says each line of the standard input, and sets it as his status;
// what alice hears of it is printed, a line of JSON each. An empty line ends the program.
// Usage: node alice_hears_bob.mjs <homeserver's address>
import { createInterface } from "node:readline";
import { ClientEvent, RoomEvent } from "matrix-js-sdk";
import { person, started } from "./people.mjs";

const [baseUrl] = process.argv.slice(2);
const tell = (what, value) => console.log(JSON.stringify([what, value]));

const alice = await person(baseUrl, "alice"), bob = await person(baseUrl, "bob");
const { room_id: room } = await alice.createRoom({ preset: "public_chat" });
await bob.joinRoom(room);
await started(alice);
await started(bob);
alice.on(ClientEvent.Event, (event) => {
    const status = event.getContent().status_msg;
    if (event.getType() === "m.presence" && event.getSender() === bob.getUserId() && status) tell("presence", status);
});
alice.on(RoomEvent.Timeline, (event, _room, toStart) => {
    if (!toStart && event.getType() === "m.room.message") tell("message", event.getContent().body);
});
tell("ready", "");
for await (const line of createInterface({ input: process.stdin })) {
    if (line === "") break;
    await Promise.all([
        bob.sendTextMessage(room, line),
        bob.setPresence({ presence: "online", status_msg: line }),
    ]);
}
process.exit(0);
