"""What the controller is told to be and to connect to: by the local database, the command line and files.

`Settings.now` is what the database says at this time, None while that makes no sense; what was there before stays as it
is meanwhile. Only `follow` changes it.

Tests: tests/unit/controller/test_controller_config.py, tests/interop/controller/test_controller_daemon.py.
"""

from __future__ import annotations

from typing import NamedTuple

from ovine.controller.config import Config, Startup, parse
from ovine.model import vs
from ovine.ovsdb import Replica, Tls


class Followed(NamedTuple):
    """Settings that make sense, and the last ones before them that did."""

    now: Config
    before: Config | None


class Settings:
    """Read from a replica of the local database."""

    def __init__(self, local: Replica, startup: Startup, given: Tls | None) -> None:
        """`given` are the command line's keys."""
        self.now: Config | None = None
        self.stale = True
        """What is said is not taken over yet."""
        self._local = local
        self._startup = startup
        self._given = given
        self._before: Config | None = None

    def changed(self) -> None:
        """Rows that they are read from have changed."""
        self.stale = True

    def said(self) -> list[Config | None]:
        """What each of the rows (there should be one) says."""
        return [parse(root.external_ids, self._startup) for root in self._local.rows(vs.OpenVSwitch).values()]

    def follow(self) -> Followed | None:
        """Takes over what is said; None if that makes no sense."""
        self.stale = False
        self.now = next(iter(self.said()), None)
        if self.now is None:
            return None
        followed = Followed(self.now, self._before)
        self._before = self.now
        return followed

    def tls(self) -> Tls | None:
        """The command line's keys, else those of the SSL table of the local database."""
        for row in self._local.rows(vs.SSL).values():
            if self._given is None and row.private_key and row.certificate and row.ca_cert:
                return Tls(row.private_key, row.certificate, row.ca_cert)
        return self._given
