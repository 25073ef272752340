// Two people at matrix-js-sdk: what each hears of the other is printed, a line of JSON each.
// Usage: node two_people.mjs <homeserver's address>
import { RoomEvent, RoomMemberEvent, UserEvent } from "matrix-js-sdk";
import { heard, person, started } from "./people.mjs";

const [baseUrl] = process.argv.slice(2);
const tell = (what, value) => console.log(JSON.stringify([what, value]));

const alice = await person(baseUrl, "alice"), bob = await person(baseUrl, "bob");
const { room_id: room } = await alice.createRoom({ preset: "public_chat", name: "Tea party" });
await bob.joinRoom(room);
for (let number = 0; number < 25; number++) await bob.sendTextMessage(room, `cup ${number}`);
await started(alice);
await started(bob);
tell("members", alice.getRoom(room).getJoinedMembers().map((it) => it.userId).sort());

const status = heard(alice, UserEvent.Presence, (_event, user) =>
    user.userId === bob.getUserId() && user.presenceStatusMsg ? [user.presence, user.presenceStatusMsg] : undefined);
await bob.setPresence({ presence: "unavailable", status_msg: "Making tea" });
tell("presence", await status);

const typing = heard(alice, RoomMemberEvent.Typing, (_event, member) => member.typing ? member.userId : undefined);
await bob.sendTyping(room, true, 20000);
tell("typing", await typing);

const message = heard(bob, RoomEvent.Timeline, (event, _room, toStart) =>
    !toStart && event.getSender() === alice.getUserId() ? event : undefined);
await alice.sendTextMessage(room, "More tea?");
const said = await message;
tell("message", said.getContent().body);

const receipt = heard(alice, RoomEvent.Receipt, (_event, where) =>
    where.getEventReadUpTo(bob.getUserId()) === said.getId() ? true : undefined);
await bob.sendReadReceipt(said);
tell("receipt", await receipt);

const timeline = alice.getRoom(room).getLiveTimeline();
while (await alice.paginateEventTimeline(timeline, { backwards: true, limit: 10 }));
const bodies = timeline.getEvents().map((it) => it.getContent().body).filter((it) => it);
tell("history", [bodies[0], bodies.length]);

tell("rooms", (await bob.publicRooms({})).chunk.length);
tell("people", (await bob.searchUserDirectory({ term: "ali" })).results.map((it) => it.user_id));
const left = heard(alice, RoomMemberEvent.Membership, (_event, member) =>
    member.userId === bob.getUserId() && member.membership === "leave" ? true : undefined);
await bob.leave(room);
tell("left", await left);
await alice.logout(true);
await bob.logout(true);
process.exit(0);
