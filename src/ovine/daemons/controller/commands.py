"""The control commands of the controller (ovn-controller(8), "Runtime Management Commands"), and `ovine/failures`.

Tests: tests/interop/controller/test_controller_daemon.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ovine.daemons import statistics
from ovine.daemons.unixctl import CommandError, Commands

if TYPE_CHECKING:
    from ovine.daemons.controller.controller import Controller


def register(commands: Commands, controller: Controller) -> None:
    """Adds all of them."""
    _register_engine(commands, controller)
    texts: dict[str, Callable[[Controller], str]] = {
        "connection-status": _connection_status,
        "ct-zone-list": _zones,
        "meter-table-list": _meters,
        "group-table-list": _groups,
        "debug/dump-local-bindings": _bindings,
        "debug/dump-related-ports": _related_ports,
        "debug/dump-local-datapaths": _datapaths,
        "debug/dump-mac-bindings": _mac_bindings,
        "debug/dump-peer-ports": lambda _: "",
        "debug/dump-local-template-vars": _template_vars,
        "debug/status": lambda c: "paused\n" if c.paused else "running\n",
        "ovine/failures": _failures,
        "ovine/services": _services,
        "ovine/switch": _switch,
    }
    for name, text in texts.items():
        commands.register(name, "", 0, 0, _answer(controller, text))

    async def audit(words: list[str]) -> str:
        del words
        return "".join(f"{line}\n" for line in await controller.audit())

    commands.register("ovine/audit", "", 0, 0, audit)

    async def inject(words: list[str]) -> str:
        await _inject(controller, words[0])
        return ""

    commands.register("inject-pkt", "MICROFLOW", 1, 1, inject)


def _answer(controller: Controller, text: Callable[[Controller], str]) -> Callable[[list[str]], str]:
    def handler(words: list[str]) -> str:
        del words
        return text(controller)

    return handler


def _register_engine(commands: Commands, controller: Controller) -> None:
    async def recompute(words: list[str]) -> str:
        del words
        await controller.recompute()
        return ""

    def pause(words: list[str]) -> str:
        del words
        controller.pause()
        return ""

    def resume(words: list[str]) -> str:
        del words
        controller.resume()
        return ""

    commands.register("recompute", "", 0, 0, recompute)
    commands.register("inc-engine/recompute", "", 0, 0, recompute)
    commands.register("debug/pause", "", 0, 0, pause)
    commands.register("debug/resume", "", 0, 0, resume)
    computation = controller.computation
    statistics.register(commands, computation.statistics, computation.clear_statistics)


def _connection_status(controller: Controller) -> str:
    client = controller.southbound.client
    return "connected\n" if client is not None and client.connected else "not connected\n"


def _zones(controller: Controller) -> str:
    from ovine.controller.zones import ZONES

    return "".join(f"{name} {zone}\n" for name, zone in sorted(controller.engine.rows(ZONES).items()))


def _groups(controller: Controller) -> str:
    from ovine.controller.switch_tables import GROUPS
    from ovine.openflow.text import group_text

    return "".join(f"{group_text(group)}\n" for _, group in sorted(controller.engine.rows(GROUPS).items()))


def _meters(controller: Controller) -> str:
    from ovine.controller.switch_tables import METER_NUMBERS

    limits = sorted((number, limit) for limit, number in controller.engine.rows(METER_NUMBERS).items())
    return "".join(f"{number}: {limit.owner}\n" for number, limit in limits)


def _bindings(controller: Controller) -> str:
    from ovine.controller.local import CLAIMS
    from ovine.model import vs

    lines = ["Local bindings:"]
    for claim in sorted(controller.engine.rows(CLAIMS).values()):
        if claim.interface is None:
            continue
        row = controller.local.client.replica.get(vs.Interface, claim.interface)
        interface = row.name if row is not None else "NULL"
        lines += [
            f"name: [{claim.logical_port}], OVS interface name : [{interface}], num binding lports : [1]",
            f"primary lport : [{claim.logical_port}]",
            "----------------------------------------",
        ]
    return "\n".join(lines) + "\n"


def _related_ports(controller: Controller) -> str:
    from ovine.controller.local import CLAIMS

    names = sorted(claim.logical_port for claim in controller.engine.rows(CLAIMS).values())
    return "Related lports:\n" + "".join(f"{name}\n" for name in names)


def _datapaths(controller: Controller) -> str:
    from ovine.controller.local import LOCAL_DATAPATHS
    from ovine.model import sb

    lines = ["Local datapaths:"]
    for uuid, key in sorted(controller.engine.rows(LOCAL_DATAPATHS).items(), key=lambda item: item[1]):
        row = controller.engine.rows(sb.DatapathBinding).get(uuid)
        name = row.external_ids.get("name", "") if row is not None else ""
        kind = "router" if row is not None and "logical-router" in row.external_ids else "switch"
        lines.append(f"Datapath: {name}, type: {kind}, key: {key}, uuid: {uuid}")
    return "\n".join(lines) + "\n"


def _mac_bindings(controller: Controller) -> str:
    from ovine.model import sb

    rows = sorted(controller.engine.rows(sb.MACBinding).values(), key=lambda row: (row.logical_port, row.ip))
    return "Local MAC bindings:\n" + "".join(f"{row.logical_port} {row.ip} {row.mac}\n" for row in rows)


def _template_vars(controller: Controller) -> str:
    from ovine.model import sb

    rows = controller.engine.rows(sb.ChassisTemplateVar).values()
    pairs = sorted(pair for row in rows for pair in row.variables.items())
    return "Local template vars:\n" + "".join(f"name: '{name}' value: '{value}'\n" for name, value in pairs)


def _failures(controller: Controller) -> str:
    import orjson

    rows = ({"rule": f.rule, "key": f.key, "error": f.error} for f in controller.failures())
    return "".join(orjson.dumps(row).decode() + "\n" for row in rows)


def _services(controller: Controller) -> str:
    found = controller.effects.services
    words = sorted({*found.handled, *found.failed})
    return "".join(f"{word}: {found.handled[word]} handled, {found.failed[word]} failed\n" for word in words)


def _switch(controller: Controller) -> str:
    """How many flows are there and wanted, and how many changes this process has sent."""
    from ovine.controller.flows import FLOWS

    link = controller.switch.link
    if link is None:
        return "not connected\n"
    state = link.state
    counts = {
        "connected": "yes" if link.ready else "no",
        "flows": len(state.flows.actual),
        "wanted": len(controller.engine.rows(FLOWS)),
        "pending": len(state.flows.pending),
        "rejected": len(state.flows.rejected) + len(state.groups.rejected) + len(state.meters.rejected),
        "sent": link.sent,
    }
    return "".join(f"{name}: {value}\n" for name, value in counts.items())


async def _inject(controller: Controller, microflow: str) -> None:
    """Sends a packet given as a match into the pipeline of the port that its `inport` names."""
    from ovine.controller.inject import InjectError, injected

    if not controller.switch.ready:
        raise CommandError("the switch is not connected")
    try:
        message = injected(controller.engine, microflow)
    except InjectError as error:
        raise CommandError(str(error)) from None
    await controller.switch.send([message])
