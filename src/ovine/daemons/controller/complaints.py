"""What does not work, told once in the log and as long as it lasts in `ovine/failures`.

Tests: tests/interop/controller/test_controller_daemon.py, tests/faults/test_controller_faults.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ovine.engine import Failure

TOLD = 10
"""How many failures are logged at a time, one by one."""


class Complaints:
    """What hinders the writers, by name, and which failures of rules have been logged."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._hindered: dict[str, str] = {}
        self._reported: set[Failure] = set()

    def note(self, name: str, text: str, told: str = "%s") -> None:
        """Says what hinders a writer if that is new, in the words of `told`; no text when nothing does."""
        if not text:
            self._hindered.pop(name, None)
        elif self._hindered.get(name) != text:
            self._hindered[name] = text
            self._log.error(told, text)

    def report(self, failures: Iterable[Failure]) -> None:
        """Logs those of the rules' failures that are new."""
        now = set(failures)
        news = sorted(now - self._reported, key=lambda f: (f.rule, f.key))
        for failure in news[:TOLD]:
            self._log.warning("%s at %s: %s", failure.rule, failure.key, failure.error)
        if len(news) > TOLD:
            self._log.warning("%d more failures of this kind or others: see ovine/failures", len(news) - TOLD)
        self._reported = now

    def failures(self) -> list[Failure]:
        """What hinders the writers now."""
        return [Failure(name, "transaction", error) for name, error in sorted(self._hindered.items())]
