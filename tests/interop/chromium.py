"""A real browser: Debian's Chromium without a screen, told what to do over its DevTools protocol.

Implements the few parts of <https://chromedevtools.github.io/devtools-protocol/> that are wanted.
"""

import asyncio
import base64
import itertools
import json
import re
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

__all__ = ["CHROMIUM", "Tab", "chromium", "new_tab"]

#: Where the browser is, if it is installed.
CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")

_OPTIONS: Final = (
    "--headless=new",
    "--no-sandbox",  # it will not run as root otherwise
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # it is small in a container
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
_ADDRESS: Final = re.compile(rb"DevTools listening on (ws://\S+)")


class Tab:
    """One page of the browser, and all that went wrong in it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: str | None = None
        self._reading = asyncio.ensure_future(self._read())
        #: Exceptions, errors on the console, and what the content security policy has forbidden.
        self.problems: list[str] = []

    async def begin(self) -> None:
        """Open an empty page, beside which no other page has the same storage."""
        context = await self.call("Target.createBrowserContext", disposeOnDetach=True)
        target = await self.call("Target.createTarget", url="about:blank", **context)
        attached = await self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")

    async def end(self) -> None:
        """Close the connection to the browser."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command of the protocol; raise `RuntimeError` if the browser refuses it."""
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        await self._socket.send_json(message)
        said = await answer
        if "error" in said:
            raise RuntimeError(f"{method}: {said['error']}")
        result: dict[str, Any] = said["result"]
        return result

    async def open(self, url: str) -> None:
        """Go to a page, and return once it is there with its scripts."""
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, awaited if it is a promise."""
        said = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in said:
            raise RuntimeError(f"{expression}: {said['exceptionDetails']}")
        return said["result"].get("value")

    async def until(self, expression: str) -> None:
        """Return once a JavaScript expression is true."""
        look = f"const look = () => ({expression}) ? done() : setTimeout(look, 20)"
        while True:
            try:
                await self.value(f"new Promise((done) => {{ {look}; look(); }})")
            except RuntimeError as error:
                if not re.search("destroyed|navigated|Cannot find", str(error)):
                    raise
            else:
                return

    async def text(self, selector: str) -> str:
        """Return the text that an element shows."""
        return str(await self.value(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def types(self, text: str) -> None:
        """Write into what has the focus."""
        await self.call("Input.insertText", text=text)

    async def presses(self, *keys: str) -> None:
        """Press keys, one after the other, named as in the events of the browser."""
        for key in keys:
            code = {"Enter": 13, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39}
            known = {"key": key, "code": key, "windowsVirtualKeyCode": code.get(key, 40)}
            text = {"text": "\r"} if key == "Enter" else {}
            await self.call("Input.dispatchKeyEvent", type="keyDown", **known, **text)
            await self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    async def looks(self, *, width: int, height: int, scheme: str = "light") -> None:
        """Set the size of the window, and light or dark colours."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        await self.call("Emulation.setDeviceMetricsOverride", **metrics, mobile=width < 600)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def photograph(self) -> bytes:
        """Return a picture of the whole page, as PNG."""
        taken = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(taken["data"])

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            elif said["method"] == "Runtime.exceptionThrown":
                self.problems.append(json.dumps(said["params"]["exceptionDetails"]))
            elif said["method"] == "Log.entryAdded":
                entry = said["params"]["entry"]
                if entry["level"] in ("error", "warning"):
                    self.problems.append(f"{entry['text']} {entry.get('url', '')}")


@contextmanager
def chromium(profile: Path) -> Iterator[str]:
    """Run the browser until the block ends; give the address of its protocol.

    *profile* is a folder for the browser's files.
    """
    assert CHROMIUM is not None
    with subprocess.Popen(
        [CHROMIUM, *_OPTIONS, f"--user-data-dir={profile}"], stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        try:
            found = None
            while found is None:
                line = process.stderr.readline()
                assert line, "the browser has ended"
                found = _ADDRESS.search(line)
            draining = threading.Thread(target=process.stderr.read)
            draining.start()
            yield found[1].decode()
        finally:
            process.kill()
        draining.join()


@asynccontextmanager
async def new_tab(browser: str) -> AsyncIterator[Tab]:
    """Open a tab that shares no storage with others, in the browser at that address."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(browser, max_msg_size=0) as socket,
    ):
        tab = Tab(socket)
        await tab.begin()
        yield tab
        await tab.end()
