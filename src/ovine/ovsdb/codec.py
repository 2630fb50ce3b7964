"""Between the values of rows and the JSON of RFC 7047 (section 5.1), one pair of functions per column.

`table_codec` compiles a declared table against the columns that the server has. Decoding is where a large replica
spends its time, so each column gets a function made for its kind, and no decision is taken twice.

Terms: a *diff* is what an update2/update3 "modify" holds (ovsdb-server(7), 4.1.14): for a column of at most one
member the new value; for a set the members that only one side has; for a map the pairs that differ, with the new
value where both sides have the key.

Invariants: `decode(encode(v)) == v` for each value of a column's type; `patch(a, diff(a, b)) == b`. What a column's
declaration does not allow raises ProtocolError with table and column; a range or an enumeration is the server's
business and is not checked.

Tests: tests/unit/ovsdb/test_codec.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from ovine.model.base import EMPTY, UNLIMITED, Column, Map, Row, Table, Uuid
from ovine.model.members import MANY, Members, as_column
from ovine.ovsdb.errors import ProtocolError

Decode = Callable[[Any], Any]
Encode = Callable[[Any], Any]
Patch = Callable[[Any, Any], Any]


class _Bad(ValueError):
    """A value is not of its column's type; the table's codec says which column."""


def _refuse(value: Any, expected: str) -> NoReturn:
    text = repr(value)
    raise _Bad(f"expected {expected}, got {text[:60]}{'…' if len(text) > 60 else ''}")


# --- atoms ----------------------------------------------------------------------------------------------------------


def _integer(value: Any) -> int:
    if value.__class__ is int and -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        return value
    _refuse(value, "an integer of 64 bits")


def _real(value: Any) -> float:
    if value.__class__ is float:
        return value
    if value.__class__ is int:
        return float(value)
    _refuse(value, "a number")


def _boolean(value: Any) -> bool:
    if value is True or value is False:
        return value
    _refuse(value, "true or false")


def _string(value: Any) -> str:
    if value.__class__ is str:
        return value
    _refuse(value, "a string")


def _uuid(value: Any) -> Uuid:
    if value.__class__ is list and len(value) == 2 and value[0] == "uuid":
        text = value[1]
        if text.__class__ is str and len(text) == 36:
            return Uuid(text)
    _refuse(value, '["uuid", "…"]')


_ATOMS: dict[str, Decode] = {
    "integer": _integer,
    "real": _real,
    "boolean": _boolean,
    "string": _string,
    "uuid": _uuid,
}


def _encode_uuid(value: Any) -> list[str]:
    if value.__class__ is not str or len(value) != 36:
        _refuse(value, "a uuid")
    return ["uuid", value]


_ENCODE_ATOMS: dict[str, Encode] = {**_ATOMS, "uuid": _encode_uuid}


def encode_atom(kind: str, value: Any) -> Any:
    """One atom to JSON. Raises ValueError if `value` is not of that kind."""
    return _ENCODE_ATOMS[kind](value)


# --- decoding ---------------------------------------------------------------------------------------------------------


def _members(value: Any) -> list[Any] | None:
    """The members of `["set", [...]]`, or None if the value is a bare atom."""
    if value.__class__ is list and len(value) == 2 and value[0] == "set":
        if value[1].__class__ is not list:
            _refuse(value, "a set")
        return value[1]
    return None


def decoder(column: Column) -> Decode:
    """From the JSON of a whole value to the row's value."""
    atom = _ATOMS[column.key.kind]
    if column.value is not None:
        kinds = column.key.kind, column.value.kind
        return _string_map if kinds == ("string", "string") else _map_decoder(atom, _ATOMS[column.value.kind])
    if column.is_scalar:
        return _scalar_decoder(atom)
    if column.is_optional:
        return _optional_decoder(atom)
    return _set_decoder(atom)


def _scalar_decoder(atom: Decode) -> Decode:
    def decode(value: Any) -> Any:
        if value.__class__ is list and value and value[0] == "set":
            members = _members(value)
            if members is None or len(members) != 1:
                _refuse(value, "exactly one value")
            return atom(members[0])
        return atom(value)

    return decode


def _optional_decoder(atom: Decode) -> Decode:
    def decode(value: Any) -> Any:
        if value.__class__ is list and value and value[0] == "set":
            members = _members(value)
            if members is None or len(members) > 1:
                _refuse(value, "at most one value")
            return atom(members[0]) if members else None
        return atom(value)

    return decode


def _set_decoder(atom: Decode) -> Decode:
    def decode(value: Any) -> Any:
        members = _members(value)
        if members is None:
            return (atom(value),)
        if len(members) >= MANY:
            return Members(map(atom, members))
        if len(members) > 1:
            return tuple(sorted({atom(member) for member in members}))
        return (atom(members[0]),) if members else ()

    return decode


def _is_map(pairs: Any) -> bool:
    return pairs.__class__ is list and len(pairs) == 2 and pairs[0] == "map" and pairs[1].__class__ is list


def _string_map(pairs: Any) -> Map[str, str]:
    """What nearly all maps are: it is made in one step, and looked at afterwards."""
    if not _is_map(pairs):
        _refuse(pairs, "a map")
    if not pairs[1]:
        return EMPTY
    try:
        made: Map[str, str] = Map(pairs[1])
    except TypeError:
        _refuse(pairs, "a map of such keys and values")
    except ValueError:
        _refuse(pairs, "pairs of key and value")
    for key, value in made.items():
        if key.__class__ is not str or value.__class__ is not str:
            _refuse(pairs, "a map of such keys and values")
    return made


def _map_decoder(key: Decode, value: Decode) -> Decode:
    def decode(pairs: Any) -> Any:
        if not _is_map(pairs):
            _refuse(pairs, "a map")
        if not pairs[1]:
            return EMPTY
        try:
            return Map({key(k): value(v) for k, v in pairs[1]})
        except (TypeError, _Bad):
            _refuse(pairs, "a map of such keys and values")
        except ValueError:
            _refuse(pairs, "pairs of key and value")

    return decode


_PLAIN = {"string": str, "boolean": bool, "real": float}


def _plain(column: Column) -> type[Any] | None:
    """The class of which a JSON value is the row's value already, without being looked at."""
    return _PLAIN.get(column.key.kind) if column.is_scalar or column.is_optional else None


# --- differences ----------------------------------------------------------------------------------------------------


def patcher(column: Column, server_max: int) -> Patch:
    """From a row's value and a diff to the new value. Whether the diff is whole depends on the server's maximum."""
    decode = decoder(column)
    if server_max == 1:
        return lambda _old, value: decode(value)
    if column.value is not None:
        return lambda old, value: patch_map(old, decode(value))
    if column.is_scalar or column.is_optional:
        raise ValueError(f"column {column.name} is declared with one value, the server has a set")
    return lambda old, value: patch_set(old, decode(value))


def patch_set(old: tuple[Any, ...], diff: Iterable[Any]) -> tuple[Any, ...]:
    """`old`, in order, without the members of `diff` that it has and with those that it has not."""
    if isinstance(old, Members):
        return as_column(old.changed(come=[m for m in diff if m not in old], gone=[m for m in diff if m in old]))
    members, changed = set(old), set(diff)
    kept = [member for member in old if member not in changed] if members & changed else list(old)
    new = tuple(sorted([*kept, *(changed - members)]))
    return new if len(new) < MANY else as_column(Members(new))


def patch_map(old: Mapping[Any, Any], diff: Mapping[Any, Any]) -> Map[Any, Any]:
    """`old` with the pairs of `diff` removed where they are equal, and added or replaced where they are not."""
    new = dict(old)
    for key, value in diff.items():
        if key in new and new[key] == value:
            del new[key]
        else:
            new[key] = value
    return Map(new)


def diff_map(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> Map[Any, Any]:
    """The diff that `patch_map` undoes: `patch_map(old, diff_map(old, new)) == new`."""
    gone = {key: value for key, value in old.items() if key not in new}
    return Map(gone | {key: value for key, value in new.items() if key not in old or old[key] != value})


# --- encoding ---------------------------------------------------------------------------------------------------------


def encoder(column: Column) -> Encode:
    """From a row's value to JSON; an iterable serves for a set and a mapping for a map. Raises ValueError."""
    atom = _ENCODE_ATOMS[column.key.kind]
    if column.value is not None:
        return _map_encoder(atom, _ENCODE_ATOMS[column.value.kind])
    if column.is_scalar:
        return atom
    if column.is_optional:
        return lambda value: ["set", []] if value is None else atom(value)
    return _set_encoder(atom)


def _set_encoder(atom: Encode) -> Encode:
    def encode(value: Any) -> Any:
        if isinstance(value, str) or not isinstance(value, Iterable):
            _refuse(value, "a tuple")
        return ["set", [atom(member) for member in value]]

    return encode


def _map_encoder(key: Encode, value: Encode) -> Encode:
    def encode(pairs: Any) -> Any:
        if not isinstance(pairs, Mapping):
            _refuse(pairs, "a map")
        return ["map", [[key(k), value(v)] for k, v in pairs.items()]]

    return encode


# --- tables ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TableCodec:
    """A declared table as one server speaks it: only the columns that both have and that are monitored."""

    table: Table
    columns: tuple[str, ...]
    decode: Callable[[Uuid, Any], Row]
    patch: Callable[[Row, Any], Row]


def table_codec(table: Table, columns: Mapping[str, int]) -> TableCodec:
    """Compiles `table` for the given columns; each comes with the maximum size it has in the server's schema."""
    chosen = [(name, table.columns[name]) for name in columns]
    decoders = {name: (column.attribute, _plain(column), decoder(column)) for name, column in chosen}
    patchers = {name: (column.attribute, patcher(column, columns[name])) for name, column in chosen}
    make = table.row
    # An insert leaves out the columns that hold the type's default, which a row class may override with its own.
    defaults = make()
    presets = {
        table.columns[name].attribute: table.columns[name].default
        for name in columns
        if getattr(defaults, table.columns[name].attribute) != table.columns[name].default
    }

    def decode(uuid: Uuid, row: Any) -> Row:
        values: dict[str, Any] = dict(presets)
        values["uuid"] = uuid
        name = ""
        try:
            for name, value in row.items():
                attribute, plain, decode_value = decoders[name]
                values[attribute] = value if value.__class__ is plain else decode_value(value)
        except (_Bad, KeyError, AttributeError) as error:
            raise _explain(table, uuid, name, row, error) from None
        return make(**values)

    def patch(old: Row, row: Any) -> Row:
        values: dict[str, Any] = {}
        name = ""
        try:
            for name, value in row.items():
                attribute, patch_value = patchers[name]
                values[attribute] = patch_value(getattr(old, attribute), value)
        except (_Bad, KeyError, AttributeError) as error:
            raise _explain(table, old.uuid, name, row, error) from None
        return msgspec.structs.replace(old, **values)

    return TableCodec(table, tuple(columns), decode, patch)


def _explain(table: Table, uuid: str, column: str, row: Any, error: Exception) -> ProtocolError:
    where = f"table {table.name}, row {uuid}"
    if not isinstance(row, dict):
        return ProtocolError(f"{where}: expected an object, got {repr(row)[:60]}")
    if isinstance(error, KeyError):
        return ProtocolError(f"{where}: unexpected column {column!r}")
    return ProtocolError(f"{where}, column {column}: {error}")


def server_max(spec: Any) -> int:
    """The greatest number of members in a schema's `<type>` (RFC 7047, section 3.2)."""
    if isinstance(spec, str):
        return 1
    most = spec.get("max", 1)
    return UNLIMITED if most == "unlimited" else int(most)


def same_kinds(column: Column, spec: Any) -> bool:
    """Whether values of a server's `<type>` can be read into the declared column."""
    if isinstance(spec, str):
        spec = {"key": spec}
    kinds = [_kind(spec.get("key")), _kind(spec.get("value"))]
    declared = [column.key.kind, column.value.kind if column.value else None]
    one_only = column.value is None and column.max == 1
    return kinds == declared and not (one_only and server_max(spec) != 1)


def _kind(base: Any) -> str | None:
    return str(base["type"]) if isinstance(base, dict) else base
