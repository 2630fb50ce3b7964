"""Parts of a lab that end and come back while traffic flows: daemons, databases, switches, and whole hosts.

A daemon may also be *replaced*: by the other project's, ours by Debian's or the other way round.

A daemon is called by the name of its process: `northd`, `plugin`, `nb-db`, `sb-db`, `h1-controller`, `h1-vswitchd`.
Tests: tests/lab/test_lab_routing.py; measured by bench/restart_losses.py.
"""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable

from ovine.lab import central, commands, control, fabric
from ovine.lab.errors import LabError, LabTimeout
from ovine.lab.lab import Lab
from ovine.lab.processes import Process, wait_until_gone
from ovine.lab.spec import Flavour, Host

PATIENCE = 15.0


def restart(lab: Lab, name: str, *, kill: bool = False) -> None:
    """Ends a daemon, by SIGTERM or SIGKILL, and returns when its successor takes connections."""
    begin = _starter(lab, name)
    end(lab, name, kill=kill)
    begin()


def end(lab: Lab, name: str, *, kill: bool = False) -> None:
    """Ends a daemon, by SIGTERM or SIGKILL, and returns when it is gone."""
    process = _running(lab, name)
    lab.processes.signal(process, signal.SIGKILL if kill else signal.SIGTERM)
    wait_until_gone([process], PATIENCE)
    if process.alive:
        raise LabTimeout(f"{name} did not end", lab.processes.tail(name))


def kill_host(lab: Lab, host: Host) -> None:
    """What a power cut does to a host: its controller, switch and database are gone at once, and its links are down.

    Nothing brings it back but a new lab.
    """
    processes = [_running(lab, f"{host.name}-{part}") for part in ("vswitchd", "controller", "ovsdb")]
    for process in processes:
        lab.processes.signal(process, signal.SIGKILL)
    wait_until_gone(processes, PATIENCE)


def replace_northd(lab: Lab, flavour: Flavour) -> None:
    """Ends northd as an operator does, and starts this project's or Debian's in its place."""
    control.call(lab.control_socket("northd"), "exit", timeout=PATIENCE)
    wait_until_gone([process for process in [lab.processes.find("northd")] if process], PATIENCE)
    lab.respecify(dataclasses.replace(lab.spec, northd=flavour))
    central.start_northd(lab.spec, lab.processes)


def replace_controller(lab: Lab, name: str, flavour: Flavour) -> None:
    """The same with the controller of a host, which is told that another one follows (`exit --restart`)."""
    lab.stop_controller(lab.spec.host(name))
    chosen = [flavour if host.name == name else host.controller for host in lab.spec.hosts]
    lab.respecify(dataclasses.replace(lab.spec, controllers=tuple(chosen)))
    lab.start_controller(lab.spec.host(name))


def _running(lab: Lab, name: str) -> Process:
    process = lab.processes.find(name)
    if process is None:
        raise LabError(f"{name} does not run", lab.processes.tail(name))
    return process


def _starter(lab: Lab, name: str) -> Callable[[], object]:
    """How a daemon of this name is started again."""
    spec, processes = lab.spec, lab.processes
    if name == "northd":
        return lambda: central.start_northd(spec, processes)
    if name == "plugin":
        return lambda: central.start_plugin(spec, processes)
    database, _, kind = name.rpartition("-")
    if kind == "db" and database in commands.DATABASES:
        return lambda: central.start_database(spec, processes, database)
    host, _, part = name.partition("-")
    of_host: dict[str, Callable[[Host], object]] = {
        "controller": lab.start_controller,
        "vswitchd": lambda host: fabric.start_vswitchd(spec, processes, host),
        "ovsdb": lambda host: fabric.start_switch_database(spec, processes, host),
    }
    if part not in of_host:
        raise LabError(f"no daemon of a lab is called {name}")
    found = spec.host(host)
    return lambda: of_host[part](found)
