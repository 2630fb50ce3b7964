"""A small database with a column of every OVSDB type, and Hypothesis strategies for its rows."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Annotated, Any

from hypothesis import strategies as st

from ovine.model.base import (
    EMPTY,
    NO_UUID,
    UNLIMITED,
    Column,
    Map,
    OneOf,
    Range,
    Row,
    Size,
    Strong,
    Uuid,
    Weak,
    database,
    table,
)


@table("Thing")
class Thing(Row, frozen=True, kw_only=True):
    integer: int = 0
    real: float = 0.0
    boolean: bool = False
    string: str = ""
    uuid_: Uuid = NO_UUID
    choice: Annotated[str, OneOf("", "red", "green")] = ""
    maybe_integer: Annotated[int | None, Range(-5, None)] = None
    maybe_real: float | None = None
    maybe_boolean: bool | None = None
    maybe_string: str | None = None
    maybe_uuid: Uuid | None = None
    integers: tuple[int, ...] = ()
    reals: tuple[float, ...] = ()
    booleans: tuple[bool, ...] = ()
    strings: tuple[str, ...] = ()
    uuids: tuple[Uuid, ...] = ()
    three: Annotated[tuple[str, ...], Size(0, 3)] = ()
    texts: Map[str, str] = EMPTY
    counts: Map[str, int] = EMPTY
    by_number: Map[int, float] = EMPTY
    by_uuid: Map[Uuid, bool] = EMPTY
    one_pair: Annotated[Map[str, str], Size(0, 1)] = EMPTY
    from_: str = ""


@table("Parent", indexes=(("name",),))
class Parent(Row, frozen=True, kw_only=True):
    name: str = ""
    children: Annotated[tuple[Uuid, ...], Strong("Child")] = ()
    favourite: Annotated[Uuid | None, Weak("Child")] = None
    named: Map[str, Annotated[Uuid, Strong("Child")]] = EMPTY


@table("Child", root=False)
class Child(Row, frozen=True, kw_only=True):
    name: str = ""
    weight: Annotated[int, Range(0, 100)] = 0
    tags: Annotated[tuple[str, ...], Size(0, UNLIMITED)] = ()


DATABASE = database("Everything", "1.0.0", globals())

uuid_texts = st.integers(0, 2**128 - 1).map(lambda number: Uuid(str(uuid.UUID(int=number))))

_ATOMS: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    # ovsdb-server writes 15 digits of a real.
    "real": st.integers(-(10**9), 10**9).map(lambda number: number / 8),
    "boolean": st.booleans(),
    # ovsdb-server takes no NUL in a string, and JSON no lone surrogate.
    "string": st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12),
    "uuid": uuid_texts,
}


def values(column: Column) -> st.SearchStrategy[Any]:
    """All values of a column's declared type."""
    atom = st.sampled_from(column.key.enum) if column.key.enum else _ATOMS[column.key.kind]
    if column.key.low is not None:
        atom = st.integers(column.key.low, min(2**63 - 1, column.key.high or 2**63 - 1))
    most = 5 if column.max == UNLIMITED else column.max
    if column.value is not None:
        return st.dictionaries(atom, _ATOMS[column.value.kind], min_size=column.min, max_size=most).map(Map)
    if column.is_scalar:
        return atom
    if column.is_optional:
        return st.none() | atom
    return st.sets(atom, min_size=column.min, max_size=most).map(lambda members: tuple(sorted(members)))


def rows(table: type[Row]) -> Callable[..., st.SearchStrategy[Any]]:
    """Rows with any columns set, each of them often left at its default."""
    columns = table.spec.columns.values()

    def build(**fixed: Any) -> st.SearchStrategy[Any]:
        free = {c.attribute: st.just(c.default) | values(c) for c in columns if c.attribute not in fixed}
        return st.builds(table, **free, **{name: st.just(value) for name, value in fixed.items()})

    return build
