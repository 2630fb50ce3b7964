"""Numbers that stay with their keys: the state behind a `Sticky` relation. Internal to the package.

A request names a pool and perhaps a wanted number. A key that holds what it may keep keeps it. The others are served in
rounds, each in key order: seeded numbers that are wanted too, wanted numbers (from which a holder that did not want it
is turned out, to ask again), seeded numbers, the lowest free number.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

from ovine.engine.relation import Sticky
from ovine.engine.store import TableStore, stable_order


class Pool:
    """Free numbers from low to high."""

    __slots__ = ("high", "next", "returned", "taken")

    def __init__(self, low: int, high: int) -> None:
        self.high = high
        self.next = low
        self.returned: list[int] = []
        self.taken: dict[int, Hashable] = {}

    def take(self, number: int, key: Hashable) -> bool:
        if number in self.taken:
            return False
        self.taken[number] = key
        return True

    def take_any(self, key: Hashable) -> int | None:
        while self.returned:
            number = heapq.heappop(self.returned)
            if self.take(number, key):
                return number
        while self.next <= self.high:
            number, self.next = self.next, self.next + 1
            if self.take(number, key):
                return number
        return None

    def release(self, number: int) -> None:
        del self.taken[number]
        if number < self.next:
            heapq.heappush(self.returned, number)


class Numbers:
    """The grants of one Sticky relation. `refused` says, by key, why a request has no number."""

    def __init__(self, sticky: Sticky[Any], requests: TableStore) -> None:
        self.sticky = sticky
        self.requests = requests
        requests.before = dict.fromkeys(requests.rows)
        self.granted: dict[Hashable, int] = {}
        self.refused: dict[Hashable, str] = {}
        self._holding: dict[Hashable, Hashable] = {}
        self._pools: dict[Hashable, Pool] = {}
        self._seeds: dict[Hashable, int] = {}
        self._unhappy: dict[Hashable, None] = {}
        """Keys that hold another number than they want."""

    def seed(self, numbers: Mapping[Any, int]) -> None:
        self._seeds.update(numbers)

    def settle(self) -> Iterator[tuple[Hashable, int | None]]:
        """Answers the requests that changed; yields (key, number or None) for each whose number changed."""
        changed, self.requests.before = self.requests.before, {}
        if not changed:
            return
        # A refused request may fit now that others have gone, and a wish that was not granted may be.
        keys = stable_order(changed.keys() | self.refused.keys() | self._unhappy.keys())
        before = {key: self.granted.get(key) for key in keys}
        asking = [key for key in keys if not self._keeps(key)]
        self.refused.clear()
        asking = [key for key in asking if not self._seeded_and_wanted(key)]
        for key in list(asking):
            turned_out = self._wanted_holder(key)
            if turned_out is not None:
                before.setdefault(turned_out, self.granted[turned_out])
                self._release(turned_out)
                asking.append(turned_out)
        for choose in (self._wanted, self._seeded, self._any):
            asking = [key for key in asking if not choose(key)]
        self._note_wishes([*keys, *before])
        for key in asking:
            self.refused[key] = f"no number left from {self.sticky.low} to {self.sticky.high}"
        for key, number in before.items():
            if number != self.granted.get(key):
                yield key, self.granted.get(key)

    def _keeps(self, key: Hashable) -> bool:
        """True if the key needs nothing more; else what it holds is given back."""
        request, number = self.requests.rows.get(key), self.granted.get(key)
        if number is None:
            return request is None
        pool = self._holding[key]
        if request is not None and request[0] == pool and request[1] in (None, number):
            return True
        if request is not None and request[0] == pool:
            self._seeds[key] = number  # what it has until it gets what it wants
        self._release(key)
        return request is None

    def _note_wishes(self, keys: Iterable[Hashable]) -> None:
        """Keeps account of who holds a number other than the wanted one."""
        for key in keys:
            request = self.requests.rows.get(key)
            if request is not None and request[1] not in (None, self.granted.get(key)):
                self._unhappy[key] = None
            else:
                self._unhappy.pop(key, None)

    def _release(self, key: Hashable) -> None:
        name = self._holding.pop(key)
        self._pools[name].release(self.granted.pop(key))
        if not self._pools[name].taken:
            del self._pools[name]

    def _seeded_and_wanted(self, key: Hashable) -> bool:
        wanted = self.requests.rows[key][1]
        return wanted is not None and self._seeds.get(key) == wanted and self._grant(key, wanted)

    def _wanted_holder(self, key: Hashable) -> Hashable | None:
        """Who holds the number that `key` wants without having asked for that very number."""
        name, wanted = self.requests.rows[key]
        pool = self._pools.get(name)
        if wanted is None or pool is None or wanted not in pool.taken:
            return None
        holder = pool.taken[wanted]
        return holder if self.requests.rows[holder][1] != wanted else None

    def _wanted(self, key: Hashable) -> bool:
        return self._grant(key, self.requests.rows[key][1])

    def _seeded(self, key: Hashable) -> bool:
        return self._grant(key, self._seeds.pop(key, None))

    def _grant(self, key: Hashable, number: int | None) -> bool:
        if number is None or not self.sticky.low <= number <= self.sticky.high:
            return False
        pool = self.requests.rows[key][0]
        if not self._pool(pool).take(number, key):
            return False
        self.granted[key], self._holding[key] = number, pool
        return True

    def _any(self, key: Hashable) -> bool:
        pool = self.requests.rows[key][0]
        number = self._pool(pool).take_any(key)
        if number is None:
            return False
        self.granted[key], self._holding[key] = number, pool
        return True

    def _pool(self, name: Hashable) -> Pool:
        if name not in self._pools:
            self._pools[name] = Pool(self.sticky.low, self.sticky.high)
        return self._pools[name]
