"""The addresses of sets: those side by side are one flow.

An address by itself, in an address set that some logical flow here uses, is a *leaf*. Sixteen possible neighbours, that
agree in all but their last four bits, are a *block*. A block that is not full has flows for what it has, as few
prefixes as can be; a full one is a child of a block of the next size, and so on up to 4096 addresses. So a subnet with
many instances costs a few flows instead of one each, and one address more or less is the work of its own blocks.
Addresses that are prefixes already have a flow each.

Tests: tests/cases/controller/sets.txt, tests/unit/controller/test_controller_sets.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final, NamedTuple

from ovine.controller.flows import FLOWS
from ovine.controller.members import ADDRESSES, USERS, USERS_OF_SET, entries_of, first_of_each, with_member
from ovine.controller.sums import CLAUSES
from ovine.engine import Emit, Index, Reader, Relation, Rule, query, rule
from ovine.language import masked_address

STEP: Final = 4
"""Bits from one size of block to the next."""
CHILDREN: Final = 1 << STEP
FULL: Final = (1 << CHILDREN) - 1
LEVELS: Final = 3
"""Sizes of blocks: 16, 256 and 4096 addresses."""


class Block(NamedTuple):
    """Addresses of a set that begin with the same bits: all but the last STEP * `level` ones, which `prefix` lacks."""

    name: str
    width: int
    """32 or 128."""
    level: int
    prefix: int

    @property
    def parent(self) -> Block:
        return self._replace(level=self.level + 1, prefix=self.prefix >> STEP)


Blocks = Relation[Block, Block]
LEAVES: Final[Blocks] = Relation("addresses of used sets")
FILLED: Final[tuple[Blocks, ...]] = tuple(Relation(f"full blocks of {CHILDREN**n} addresses") for n in range(1, LEVELS))


@query
def is_used(q: Reader, name: str) -> bool:
    """Whether a logical flow here uses an address set."""
    return bool(q.find(USERS_OF_SET, ("addresses", name)))


@lru_cache(maxsize=65536)
def single(text: str) -> tuple[int, int] | None:
    """(width, value) of an address by itself; None for a prefix, and for what is no IP address."""
    family, width = (AF_INET6, 128) if ":" in text else (AF_INET, 32)
    try:
        return width, int.from_bytes(inet_pton(family, text))
    except OSError:
        return None


@rule(over=ADDRESSES, writes=(LEAVES, FLOWS, CLAUSES))
def address_flows(q: Reader, entry: tuple[str, str]) -> Iterator[Emit]:
    """An address of a set: a leaf, or the flows of what cannot be one."""
    name, text = entry
    found = single(text)
    if found is None:
        yield from first_of_each(_flows(q, name, text))
    elif is_used(q, name):
        leaf = Block(name, found[0], 0, found[1])
        yield LEAVES(leaf, leaf)


def _flows(q: Reader, name: str, prefix: str) -> Iterator[Emit]:
    """What a prefix of a set adds, for each user of the set."""
    for key in q.find(USERS_OF_SET, ("addresses", name)):
        user = q.value(USERS, key)
        if user is not None and user.field is not None:
            found = masked_address(prefix, user.field)
            if found is not None:
                yield with_member(user, *entries_of(user.field, *found))


@lru_cache(maxsize=FULL + 1)
def cover(present: int) -> tuple[tuple[int, int], ...]:
    """The fewest prefixes over those children whose bits are set: (first child, how many of its STEP bits count)."""
    return tuple(_cover(present, 0, CHILDREN))


def _cover(present: int, first: int, size: int) -> Iterator[tuple[int, int]]:
    wanted = ((1 << size) - 1) << first
    if present & wanted == wanted:
        yield first, STEP - size.bit_length() + 1
    elif present & wanted:
        yield from _cover(present, first, size // 2)
        yield from _cover(present, first + size // 2, size // 2)


def _block_rule(below: Blocks, above: Blocks | None) -> Rule:
    """The rule of blocks whose children are in `below`; full ones are in `above`, if there is a greater size."""
    children: Index[Block] = Index(below, lambda child: (child.parent,), f"{below.name} by block")

    def block(q: Reader, key: Block) -> Iterator[Emit]:
        present = sum(1 << (child.prefix & CHILDREN - 1) for child in q.find(children, key))
        if present == FULL and above is not None:
            yield above(key, key)
            return
        for first, bits in cover(present):
            value = (key.prefix << STEP | first) << STEP * (key.level - 1)
            text = inet_ntop(AF_INET if key.width == 32 else AF_INET6, value.to_bytes(key.width // 8))
            length = key.width - STEP * key.level + bits
            yield from first_of_each(_flows(q, key.name, f"{text}/{length}"))

    block.__qualname__ = f"blocks of {below.name}"
    return rule(over=children, writes=(FLOWS, CLAUSES) if above is None else (above, FLOWS, CLAUSES))(block)


_RELATIONS: Final = (LEAVES, *FILLED, None)
RULES: Final = (address_flows, *(_block_rule(b, a) for b, a in pairwise(_RELATIONS) if b))
