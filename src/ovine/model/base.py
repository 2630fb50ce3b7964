"""Tables of an OVSDB database as typed, frozen rows, declared once.

A table is a class; its annotations are the columns. Everything else is derived from the declaration: the
`.ovsschema` file (`ovine.model.schema`), the wire codec and the replica (`ovine.ovsdb`), and the column views of the
engine (`ovine.engine`).

How OVSDB types (RFC 7047, section 3.2) appear in Python:

| OVSDB                       | Python                        | a missing column reads as |
|-----------------------------|-------------------------------|---------------------------|
| integer, real, boolean      | int, float, bool              | 0, 0.0, False             |
| string                      | str                           | ""                        |
| uuid                        | Uuid (lower-case text)        | NO_UUID                   |
| min 0, max 1                | T | None                      | None                      |
| any other set               | tuple[T, ...], sorted, unique | ()                        |
|                             | (a large one: `Members`)      |                           |
| map                         | Map[K, V], immutable          | Map()                     |

Constraints are written with `typing.Annotated`: `Annotated[int, Range(0, 4095)]`,
`Annotated[str, OneOf("up", "down")]`, `Annotated[Uuid, Strong("Chassis")]`. For a map they are given to the key and
value types.

Invariants: rows are values (equality and hash by content, the uuid included); a set column is always sorted and
without duplicates; a row never holds a mutable object. Every column has a default, so that a row read from a server
with an older schema is still a whole row.

Tests: tests/unit/model/.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, NewType, NoReturn, TypeVar, dataclass_transform

import msgspec

Uuid = NewType("Uuid", str)
"""A row's identity: 36 characters, lower case, as on the wire."""

NO_UUID = Uuid("00000000-0000-0000-0000-000000000000")
UNLIMITED = -1

K = TypeVar("K")
V = TypeVar("V")


class Map(dict[K, V]):
    """An immutable, hashable dict: the value of a map column."""

    __slots__ = ("_hash",)
    _hash: int

    def __hash__(self) -> int:  # type: ignore[override]
        try:
            return self._hash
        except AttributeError:
            self._hash = hash(frozenset(self.items()))
            return self._hash

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError("a Map is immutable; make a new one with Map({**old, key: value})")

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = __ior__ = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return (Map, (dict(self),))


StrMap = Map[str, str]
EMPTY: Map[Any, Any] = Map()


# --- constraints, used inside Annotated -------------------------------------------------------------------------


@dataclass(frozen=True)
class Range:
    """Bounds of an integer (or real) atom, both inclusive; None leaves a side open."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, init=False)
class OneOf:
    """The allowed values of a string atom."""

    values: tuple[str, ...]

    def __init__(self, *values: str) -> None:
        object.__setattr__(self, "values", values)


@dataclass(frozen=True)
class MaxLength:
    """The greatest length of a string atom, in characters."""

    length: int


@dataclass(frozen=True)
class Strong:
    """A reference that keeps its target alive and that the server refuses to dangle."""

    table: str


@dataclass(frozen=True)
class Weak:
    """A reference that disappears from the column when its target is deleted."""

    table: str


@dataclass(frozen=True)
class Size:
    """How many members a set or map column may have, when that is not 0 to unlimited."""

    low: int = 0
    high: int = UNLIMITED


@dataclass(frozen=True)
class ColumnFlags:
    ephemeral: bool = False
    mutable: bool = True


EPHEMERAL = ColumnFlags(ephemeral=True)
IMMUTABLE = ColumnFlags(mutable=False)


# --- what a declaration becomes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Atom:
    """The base type of a column's keys or values: `kind` is integer, real, boolean, string or uuid."""

    kind: str
    low: int | None = None
    high: int | None = None
    enum: tuple[str, ...] = ()
    max_length: int | None = None
    ref_table: str | None = None
    ref_strong: bool = True


@dataclass(frozen=True)
class Column:
    """One column: atoms, cardinality and flags. `max` is UNLIMITED (-1) where there is no bound."""

    name: str
    """The column's name in the database."""
    attribute: str
    """Its name in Python; differs from `name` only where that is a keyword or a name of Row."""
    key: Atom
    value: Atom | None
    min: int
    max: int
    default: Any
    ephemeral: bool = False
    mutable: bool = True

    @property
    def is_map(self) -> bool:
        return self.value is not None

    @property
    def is_scalar(self) -> bool:
        return self.value is None and self.min == 1 and self.max == 1

    @property
    def is_optional(self) -> bool:
        return self.value is None and self.min == 0 and self.max == 1


@dataclass(frozen=True)
class Table:
    """A table's declaration. `columns` is keyed by database name and leaves `_uuid` out."""

    name: str
    columns: Mapping[str, Column]
    root: bool
    max_rows: int | None
    indexes: tuple[tuple[str, ...], ...]
    row: type[Row] = field(repr=False)


@dataclass(frozen=True)
class Database:
    """A database: its schema's name and version, and its tables by database name."""

    name: str
    version: str
    tables: Mapping[str, Table]

    def table(self, name: str) -> Table:
        return self.tables[name]


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every table; see `table` for how one is declared."""

    uuid: Uuid = NO_UUID

    spec: ClassVar[Table]


R = TypeVar("R", bound=Row)
_DECLARED: dict[type[Row], tuple[str, bool, int | None, tuple[tuple[str, ...], ...]]] = {}


def table(
    name: str, *, root: bool = True, max_rows: int | None = None, indexes: tuple[tuple[str, ...], ...] = ()
) -> Callable[[type[R]], type[R]]:
    """Declares the decorated Row class to be the table `name`, with the schema's isRoot, maxRows and indexes."""

    def declare(cls: type[R]) -> type[R]:
        _DECLARED[cls] = (name, root, max_rows, indexes)
        return cls

    return declare


def database(name: str, version: str, namespace: Mapping[str, Any]) -> Database:
    """Collects the Row classes that a module defines. Call it last: `DATABASE = database("X", "1.0.0", globals())`."""
    tables = {}
    module = namespace["__name__"]
    for value in list(namespace.values()):
        # A class that is only imported belongs to the database of the module that defines it.
        if isinstance(value, type) and issubclass(value, Row) and value in _DECLARED and value.__module__ == module:
            spec = _table_of(value, namespace)
            value.spec = spec
            tables[spec.name] = spec
    return Database(name, version, tables)


def _table_of(cls: type[Row], namespace: Mapping[str, Any]) -> Table:
    table_name, root, max_rows, indexes = _DECLARED[cls]
    hints = typing.get_type_hints(cls, {**globals(), **namespace}, include_extras=True)
    columns = {}
    for attribute in cls.__struct_fields__:
        if attribute == "uuid":
            continue
        column = _column_of(attribute, hints[attribute])
        columns[column.name] = column
    return Table(table_name, columns, root, max_rows, indexes, cls)


def _column_of(attribute: str, hint: Any) -> Column:
    hint, notes = _unwrap(hint)
    flags = next((n for n in notes if isinstance(n, ColumnFlags)), ColumnFlags())
    size = next((n for n in notes if isinstance(n, Size)), None)
    value: Atom | None = None
    default: Any
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Map:
        key, value = _atom_of(args[0], ()), _atom_of(args[1], ())
        low, high, default = 0, UNLIMITED, EMPTY
    elif origin is tuple:
        key = _atom_of(args[0], notes)
        low, high, default = 0, UNLIMITED, ()
    elif origin in (types.UnionType, typing.Union) and type(None) in args:
        inner = next(a for a in args if a is not type(None))
        key = _atom_of(inner, notes)
        low, high, default = 0, 1, None
    else:
        key = _atom_of(hint, notes)
        low, high, default = 1, 1, _ZERO[key.kind]
    if size is not None:
        low, high = size.low, size.high
    return Column(
        attribute.removesuffix("_"), attribute, key, value, low, high, default, flags.ephemeral, flags.mutable
    )


def _unwrap(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    if typing.get_origin(hint) is Annotated:
        inner, *notes = typing.get_args(hint)
        return inner, tuple(notes)
    return hint, ()


_KINDS: dict[Any, str] = {int: "integer", float: "real", bool: "boolean", str: "string", Uuid: "uuid"}
_ZERO: dict[str, Any] = {"integer": 0, "real": 0.0, "boolean": False, "string": "", "uuid": NO_UUID}


def _atom_of(hint: Any, outer: Iterable[Any]) -> Atom:
    base, inner = _unwrap(hint)
    atom: dict[str, Any] = {"kind": _KINDS[base]}
    for note in (*outer, *inner):
        match note:
            case Range(low, high):
                atom |= {"low": low, "high": high}
            case OneOf():
                atom["enum"] = note.values
            case MaxLength(length):
                atom["max_length"] = length
            case Strong(table):
                atom |= {"ref_table": table, "ref_strong": True}
            case Weak(table):
                atom |= {"ref_table": table, "ref_strong": False}
    return Atom(**atom)
