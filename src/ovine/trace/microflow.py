"""The question: a microflow's expression becomes a packet, names become rows.

A microflow is a match of the flow language that leaves no choice: what it says, prerequisites included, is one packet;
bits that it says nothing of are 0. Names of ports and datapaths may be those that people use.

Source: ovn-trace(8), "DESCRIPTION". Tests: tests/unit/trace/test_trace_microflow.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from ovine.language import (
    And,
    Comparison,
    Environment,
    Expr,
    Not,
    Or,
    Packet,
    all_of,
    compile_match,
    format_match,
    parse_match,
)
from ovine.language.layout import FIELDS as PLACES
from ovine.language.values import Value
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.trace.world import World

PORT_FIELDS = ("inport", "outport")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class TraceError(ValueError):
    """A question that cannot be asked; the text is one line for its author."""


def find_datapath(world: World, name: str) -> sb.DatapathBinding:
    """A datapath by its name, its name for people, or a uuid: its own, or that of its northbound row.

    Raises TraceError if there is none, or several.
    """
    for accepts in (_is_exactly, _is_for_people):
        found = [row for row in world.datapaths.values() if accepts(row, name)]
        if len(found) > 1:
            those = ", ".join(sorted(row.uuid for row in found))
            raise TraceError(f"several datapaths are named {name!r}: choose one of {those}")
        if found:
            return found[0]
    known = (_spoken(row) for row in world.datapaths.values())
    raise TraceError(f"no datapath {name!r}: {_those(known)}")


def datapath_name(row: sb.DatapathBinding) -> str:
    """The name of a datapath; its uuid if it has none."""
    return row.external_ids.get("name") or row.uuid


def _spoken(row: sb.DatapathBinding) -> str:
    """A datapath's name; of a cloud's network or router, which is named by its id, the one that it has in the cloud."""
    name = datapath_name(row)
    return row.external_ids.get("name2", name) if name.startswith("neutron-") else name


def _is_exactly(row: sb.DatapathBinding, name: str) -> bool:
    ids = row.external_ids
    mine = (row.uuid, ids.get("logical-switch"), ids.get("logical-router"), ids.get("name"))
    return name in mine or f"neutron-{name}" == ids.get("name")


def _is_for_people(row: sb.DatapathBinding, name: str) -> bool:
    return row.external_ids.get("name2") == name


def _those(names: Iterable[str]) -> str:
    """What there is instead, for people: names before uuids, which say little to them."""
    known = sorted(set(names), key=lambda name: (_UUID.search(name) is not None, name))
    return f"there are {_shortened(', '.join(known))}" if known else "there is none"


def _shortened(text: str, width: int = 200) -> str:
    return text if len(text) <= width else text[:width].rpartition(",")[0] + " …"


def find_port(world: World, name: str, datapath: Uuid | None) -> sb.PortBinding:
    """A port by its logical name or its name for people, in one datapath or in any.

    Raises TraceError if there is none, or several.
    """
    exact = world.ports.get(name)
    if exact is not None and datapath in (None, exact.datapath):
        return exact
    inside = [port for port in world.ports.values() if datapath in (None, port.datapath)]
    found = [port for port in inside if name in names_for_people(port)]
    if len(found) > 1:
        those = ", ".join(sorted(port.logical_port for port in found))
        raise TraceError(f"several ports are named {name!r}: choose one of {_shortened(those)}")
    if found:
        return found[0]
    where = "" if datapath is None else f" in {_spoken(world.datapaths[datapath])}"
    if exact is not None:
        raise TraceError(f"no port {name!r}{where}: it is in {_spoken(world.datapaths[exact.datapath])}")
    people = Counter(chosen for port in inside for chosen in names_for_people(port)[:1])
    known = (next((n for n in names_for_people(port)[:1] if people[n] == 1), port.logical_port) for port in inside)
    raise TraceError(f"no port {name!r}{where}: {_those(known)}")


def names_for_people(port: sb.PortBinding) -> tuple[str, ...]:
    """What the cloud calls a port."""
    return tuple(port.external_ids[key] for key in ("neutron:port_name", "name") if port.external_ids.get(key))


def microflow(world: World, datapath: str, text: str) -> tuple[sb.PortBinding, Packet]:
    """The port where a packet comes in, and the packet. Without a datapath ("") the port's own is meant.

    Raises SyntaxProblem for text that is no match, TraceError for one that is not one packet.
    """
    expr = parse_match(text)
    row = find_datapath(world, datapath) if datapath else None
    inports = set(_compared(expr, "inport"))
    if len(inports) != 1:
        raise TraceError('the microflow must say where the packet comes in, as in inport == "PORT"')
    port = find_port(world, inports.pop(), row.uuid if row is not None else None)
    env = world.environment(port.datapath)
    return port, _packet(_with_logical_names(expr, world, port.datapath), env)


def _compared(expr: Expr, name: str) -> list[str]:
    """The ports that a port field is said to be equal to, everywhere in the expression."""
    if isinstance(expr, And | Or):
        return [port for term in expr.terms for port in _compared(term, name)]
    if isinstance(expr, Comparison) and expr.field.name == name and expr.operator == "==":
        return [value for value in expr.values if isinstance(value, str)]
    return []


def _with_logical_names(expr: Expr, world: World, datapath: Uuid) -> Expr:
    if isinstance(expr, And | Or):
        return replace(expr, terms=tuple(_with_logical_names(term, world, datapath) for term in expr.terms))
    if isinstance(expr, Not):
        return replace(expr, term=_with_logical_names(expr.term, world, datapath))
    if isinstance(expr, Comparison) and expr.field.name in PORT_FIELDS:
        return replace(expr, values=tuple(_logical(value, world, datapath) for value in expr.values))
    return expr


def _logical(value: Value, world: World, datapath: Uuid) -> Value:
    if not isinstance(value, str) or (datapath, value) in world.names:
        return value
    return find_port(world, value, datapath).logical_port


def _packet(expr: Expr, env: Environment) -> Packet:
    flows = compile_match(expr, env)
    if not flows:
        raise TraceError("the microflow contradicts itself: no packet is like that")
    if len(flows) > 1:
        raise TraceError(f"the microflow does not say which packet is meant: {_open_part(expr, env, len(flows))}")
    return Packet(sum(value << PLACES[name].offset for name, value, _ in flows[0].fields))


def _open_part(expr: Expr, env: Environment, choices: int) -> str:
    """The term of the microflow that leaves a choice, or what choice is left."""
    if len(compile_match(all_of((expr, parse_match("ip4"))), env)) == 1:
        return "it can be IPv4 or IPv6"
    terms = expr.terms if isinstance(expr, And) else (expr,)
    for term in terms:
        rest = compile_match(all_of(other for other in terms if other is not term), env)
        if len(rest) < choices and len(compile_match(term, env)) > 1:
            return f"{format_match(term)} leaves a choice"
    return f"{format_match(expr)} leaves a choice"
