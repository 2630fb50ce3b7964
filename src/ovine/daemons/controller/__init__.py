"""The controller of one host as a process: two databases in, OpenFlow on the integration bridge out.

    ovine controller [-n SYSTEM-ID] [OVS-DB-REMOTE]

`controller` puts the parts together; this module is what a start pays for before it knows what it is asked for, and so
imports next to nothing. Tests: tests/interop/controller/, tests/interop/daemons/.
"""

from __future__ import annotations

from collections.abc import Sequence

from ovine.daemons.options import flag, valued
from ovine.daemons.service import Context, DaemonSpec, run_daemon

OPTIONS = (
    valued("system-id", "NAME", "the name of this chassis, whatever the database says", "n"),
    flag("enable-dummy-vif-plug", "for compatibility; interfaces are plugged by others"),
)


async def _main(context: Context) -> None:
    from ovine.controller.rules import SWITCH_MONITORS
    from ovine.daemons.controller.commands import register
    from ovine.daemons.controller.controller import Controller
    from ovine.model import vs
    from ovine.ovsdb import Client

    remote = context.options.positional[0] if context.options.positional else context.paths.ovs_database
    local = Client(vs.DATABASE, remote, monitors=SWITCH_MONITORS)
    controller = Controller(context, local)
    register(context.commands, controller)
    context.on_exit(controller.leave)
    await controller.run()


SPEC = DaemonSpec(
    name="controller",
    default_program="ovn-controller",
    description="Makes the Open vSwitch of a host do what the southbound database says.",
    example="ovine controller unix:/run/openvswitch/db.sock --detach --pidfile",
    main=_main,
    options=OPTIONS,
    arguments="[OVS-DATABASE]",
    positional=(0, 1),
)


def main(argv: Sequence[str], program: str | None = None) -> int:
    """Run the daemon with the words after its name."""
    return run_daemon(SPEC, argv, program)


__all__ = ["SPEC", "main"]
