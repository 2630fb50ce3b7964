"""What the planning of a request knows beside the database: configuration, hosts, chance."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ovine.api.binding import Host
from ovine.api.config import Config


@dataclass(frozen=True)
class Env:
    """`hosts` gives the chassis registered now, and raises ServiceUnavailable if that can't be known."""

    config: Config
    hosts: Callable[[], Iterable[Host]]
    chance: random.Random = field(default_factory=random.Random)

    def random_mac(self) -> str:
        """A MAC with the configured prefix."""
        parts = self.config.base_mac.lower().split(":")[:3]
        return ":".join([*parts, *(f"{self.chance.randrange(256):02x}" for _ in range(6 - len(parts)))])
