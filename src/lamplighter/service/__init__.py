"""Presence as a service: events in, entries into the stream, deliveries out.

`core.py` builds it. `intake.py` takes events in, `publisher.py` has the modules asked and appends
batches to the stream, `announcing.py` does what follows on this node, and `reading.py` answers
viewers.
"""

from lamplighter.service.core import Core, CorePorts
from lamplighter.service.witness import Published

__all__ = ["Core", "CorePorts", "Published"]
