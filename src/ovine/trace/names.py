"""What DNS rows say to a question: whether the switch answers it, and what.

A packet's fields do not tell which name it asks for; so a `Question` goes along with a trace (`ovine trace --dns`).
Source: ovn-sb(5), table DNS; docs/services.md. Tests: tests/unit/trace/test_trace_names.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from ovine.model import sb
from ovine.model.base import Uuid

REVERSE: Final = (".in-addr.arpa", ".ip6.arpa")
"""Names below these stand for addresses."""


class Question(NamedTuple):
    """A type of record and a name, in lower case. The types a, aaaa, ptr and any can have answers."""

    type: str
    name: str

    @classmethod
    def read(cls, text: str) -> Question:
        """Reads "NAME" or "TYPE NAME". Raises ValueError."""
        words = text.lower().split()
        if not 1 <= len(words) <= 2:
            raise ValueError(f'{text!r} is not a question such as "www.example.org" or "aaaa www.example.org"')
        return cls(words[0] if len(words) == 2 else "a", words[-1].rstrip("."))


class Known(NamedTuple):
    """What rows say of a name; `owned`: nobody else is to be asked about it."""

    values: tuple[str, ...] = ()
    owned: bool = False

    def answers(self, question: Question) -> tuple[str, ...]:
        """The values that answer a question."""
        if question.name.endswith(REVERSE):
            return self.values if question.type in ("ptr", "any") else ()
        return tuple(one for one in self.values if question.type in ("any", "aaaa" if ":" in one else "a"))


Names = Mapping[Uuid, Mapping[str, Known]]
"""By datapath and name."""


def names_of(rows: Iterable[sb.DNS]) -> Names:
    """What is known in each datapath: what several rows say about a name is put together."""
    found: defaultdict[Uuid, dict[str, Known]] = defaultdict(dict)
    for row in sorted(rows, key=lambda row: row.uuid):
        owned = row.external_ids.get("ovn-owned", "").lower() == "true"
        for datapath in row.datapaths:
            for name, text in row.records.items():
                before = found[datapath].get(name.lower(), Known())
                values = dict.fromkeys((*before.values, *text.replace(",", " ").split()))
                found[datapath][name.lower()] = Known(tuple(values), owned or before.owned)
    return found
