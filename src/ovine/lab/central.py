"""The central part of a lab: databases, northd, plugin, API. Tests: tests/lab/."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ovine.lab import commands
from ovine.lab.fabric import make_database, wait_for_socket
from ovine.lab.processes import Processes
from ovine.lab.spec import LabSpec
from ovine.lab.tools import database_tool


def start_databases(spec: LabSpec, processes: Processes) -> None:
    """One ovsdb-server for each central database, all at once; NB and SB get their one global row."""
    from ovine.model import cloud, nb, sb

    declared = {"cloud": cloud.DATABASE, "nb": nb.DATABASE, "sb": sb.DATABASE}

    def start(name: str) -> None:
        make_database(declared[name], spec.central / f"{name}.db")
        server = processes.start(
            f"{name}-db",
            commands.database_server(spec, name),
            netns=spec.fabric_netns,
            env=commands.central_environment(spec),
        )
        wait_for_socket(processes, server, spec.central / f"{name}.sock")

    names = [name for name in commands.DATABASES if spec.api or name != "cloud"]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(start, names))
    database_tool("ovn-nbctl", spec.nb_db, ["init"])
    database_tool("ovn-sbctl", spec.sb_db, ["init"])


def start_northd(spec: LabSpec, processes: Processes) -> None:
    process = processes.start("northd", commands.northd(spec), env=commands.northd_environment(spec))
    wait_for_socket(processes, process, spec.northd_socket(process.pid))
