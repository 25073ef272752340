"""The start of a server that has many users and rooms."""

from dataclasses import dataclass

from bench.http import connect
from bench.measuring import Measurement
from bench.shapes import Shape
from bench.stage import Stage

__all__ = ["Starts"]

_REQUEST = b"GET /_matrix/client/versions HTTP/1.1\r\nHost: bench.example\r\n\r\n"


@dataclass(frozen=True)
class Starts:
    """The server has started with everything of *shape*, and answers its first request."""

    shape: Shape

    async def run(self, stage: Stage) -> list[Measurement]:
        line = await connect(stage.address)
        try:
            await line.ask(_REQUEST)
        finally:
            line.abort()
        return [Measurement("", "start", 1, stage.meter.usage_since_start)]
