"""The string: event, changes, plan, deliver, persist.

`presence.py` is the front door, `publisher.py` what happens to announced changes, `views.py` what
a viewer sees who asks afresh.
"""

from lamplighter.service.presence import PresenceService
from lamplighter.service.views import Reading
from lamplighter.service.witness import Published

__all__ = ["PresenceService", "Published", "Reading"]
