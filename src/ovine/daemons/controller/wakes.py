"""Who has to look again: an event for each loop of the controller, shared by all its parts.

Anybody may set an event; only the loop that waits for it clears it, and then works out anew what differs from what
should be. So an event that is set once too often costs a look, and one that is set twice is one.

*Stale* says that what a loop works from has changed, and does not wake it yet: that is done when the engine is at rest,
or the switch has acknowledged. Whoever changes something sets it; it is taken back by whoever has seen to it.

Tests: tests/interop/controller/, tests/faults/test_controller_faults.py.
"""

from __future__ import annotations

import asyncio


class Due:
    """A loop that is woken later than what it works from changes."""

    def __init__(self) -> None:
        self.stale = True
        self.event = asyncio.Event()


class Wakes:
    """All loops."""

    def __init__(self) -> None:
        self.compute = asyncio.Event()
        """Input has come, or a connection has."""
        self.flows = asyncio.Event()
        """The engine has come to rest, or the switch is there."""
        self.southbound = Due()
        """What is written into the southbound."""
        self.local = Due()
        """What is written into the local database."""
        self.timed = Due()
        """What services that act by the clock look at; stale as long as they have not been woken for some of it."""

    def connection_changed(self) -> None:
        """A database came or went: everybody looks, and both databases are compared."""
        self.southbound.stale = self.local.stale = True
        for event in (self.compute, self.flows, self.southbound.event, self.local.event, self.timed.event):
            event.set()

    def link_changed(self) -> None:
        """The switch came or went."""
        self.flows.set()
        self.timed.event.set()
