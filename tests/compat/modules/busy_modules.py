# mypy: ignore-errors
"""Modules that do more than answer questions.

`FromThread`: calls back from a thread of its own while it is being built: `users: [user, ...]` get
the online users' presence. With `endless: true` it leaves a thread behind that never ends.
`WebPage`: serves at `path:` the requester's user ID and presence.
`Ticker`: sets the status of `user:` again and again, every `every_ms:`; once more `after_ms:`.
`Watcher`: adds each announced state to `seen`, and counts the states of each user in the database.
"""

import threading

from starlette.responses import JSONResponse
from synapse.module_api import ModuleApi, cached, run_in_background


class FromThread:
    def __init__(self, config: dict, api: ModuleApi):
        self.api = api
        self.users = config["users"]
        thread = threading.Thread(target=self._call_back)
        thread.start()
        thread.join()
        if config.get("endless"):
            threading.Thread(target=threading.Event().wait, daemon=True, name="endless").start()

    def _call_back(self) -> None:
        run_in_background(self.api.send_local_online_presence_to, self.users)


class WebPage:
    def __init__(self, config: dict, api: ModuleApi):
        self.api = api
        api.register_web_resource(config["path"], self.page)

    async def page(self, request):
        requester = await self.api.get_user_by_req(request)
        user_id = requester.user.to_string()
        presence = await self.api.get_presence_for_users([user_id])
        return JSONResponse({"user_id": user_id, "presence": presence[user_id].state})


class Ticker:
    def __init__(self, config: dict, api: ModuleApi):
        self.api = api
        self.user = config["user"]
        self.ticks = 0
        api.looping_background_call(self.tick, config["every_ms"], desc="tick")
        if "after_ms" in config:
            api.delayed_background_call(config["after_ms"], self.set_status, "once")

    async def tick(self) -> None:
        self.ticks += 1
        await self.set_status(f"tick {self.ticks}")

    async def set_status(self, status_msg: str) -> None:
        await self.api.set_presence_for_users({self.user: ("online", status_msg)})


class Watcher:
    def __init__(self, config: dict, api: ModuleApi):
        self.api = api
        self.seen = []
        self.unsubscribe = api.subscribe_to_presence(self.on_presence)
        api.run_db_interaction("make table", self._make_table)

    @staticmethod
    def _make_table(txn) -> None:
        txn.execute("CREATE TABLE IF NOT EXISTS seen (user_id TEXT PRIMARY KEY, times INTEGER)")

    async def on_presence(self, states) -> None:
        self.seen += states
        await self.api.run_db_interaction("count", self._count, [s.user_id for s in states])
        for state in states:
            self.times.invalidate((state.user_id,))

    @staticmethod
    def _count(txn, user_ids: list[str]) -> None:
        txn.executemany(
            "INSERT INTO seen VALUES (?, 1)"
            " ON CONFLICT (user_id) DO UPDATE SET times = seen.times + 1",
            [(user_id,) for user_id in user_ids],
        )

    @cached()
    async def times(self, user_id: str) -> int:
        """Return how often the user's presence was announced."""

        def read(txn) -> int:
            txn.execute("SELECT times FROM seen WHERE user_id = ?", (user_id,))
            row = txn.fetchone()
            return row[0] if row else 0

        return await self.api.run_db_interaction("read", read)
