"""How the programs of a lab are called: argument lists and environments, as data.

Both northds and both controllers are called in the same way, since ours keep to the C daemons' command line.
Tests: tests/unit/lab/test_lab_spec.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ovine.lab.spec import Flavour, Host, LabSpec

DATABASES = ("cloud", "nb", "sb")
NB_PORT, SB_PORT = 6641, 6642
CENTRAL_ADDRESS = "100.64.1.254"
TCP_PORTS = {"nb": NB_PORT, "sb": SB_PORT}


def ovine(command: str) -> list[str]:
    """The start of a command line for one of our own daemons, under the interpreter that runs this lab."""
    return [sys.executable, "-m", "ovine.cli.main", command]


def program(flavour: Flavour, part: str) -> list[str]:
    return [f"ovn-{part}"] if flavour == "c" else ovine(part)


def logging(log: Path) -> list[str]:
    return [f"--log-file={log}", "-vconsole:off"]


def central_environment(spec: LabSpec) -> dict[str, str]:
    return {
        "OVN_RUNDIR": str(spec.central),
        "OVS_RUNDIR": str(spec.central),
        "OVN_LOGDIR": str(spec.directory / "log"),
        "OVS_LOGDIR": str(spec.directory / "log"),
        "OVN_DBDIR": str(spec.central),
        "OVS_DBDIR": str(spec.central),
        "OVN_SYSCONFDIR": str(spec.central),
        "OVS_SYSCONFDIR": str(spec.central),
    }


def host_environment(spec: LabSpec, host: Host) -> dict[str, str]:
    own = str(spec.host_directory(host))
    log = str(spec.directory / "log")
    return {
        "OVS_RUNDIR": own,
        "OVN_RUNDIR": own,
        "OVS_DBDIR": own,
        "OVN_DBDIR": own,
        "OVS_SYSCONFDIR": own,
        "OVN_SYSCONFDIR": own,
        "OVS_LOGDIR": log,
        "OVN_LOGDIR": log,
    }


def database_server(spec: LabSpec, name: str) -> list[str]:
    """ovsdb-server(1) for one central database; NB and SB also listen on TCP, where the hosts reach them."""
    tcp = [f"--remote=ptcp:{TCP_PORTS[name]}:{CENTRAL_ADDRESS}"] if name in TCP_PORTS else []
    return [
        "ovsdb-server",
        f"--remote=punix:{spec.central}/{name}.sock",
        *tcp,
        f"--unixctl={spec.central}/{name}.ctl",
        *logging(spec.directory / "log" / f"{name}-db.log"),
        f"{spec.central}/{name}.db",
    ]


def api(spec: LabSpec, network_port: int, identity_port: int) -> list[str]:
    return [
        *ovine("api"),
        f"--cloud-db={spec.cloud_db}",
        f"--sb-db={spec.sb_db}",
        f"--config={spec.central}/ovine.toml",
        f"--identity-file={spec.central}/identity.toml",
        f"--bind=127.0.0.1:{network_port}",
        f"--identity-bind=127.0.0.1:{identity_port}",
        f"--unixctl={spec.central}/api.ctl",
        *logging(spec.directory / "log" / "api.log"),
    ]


def northd_environment(spec: LabSpec) -> dict[str, str]:
    return central_environment(spec) | {"OVN_PROGRAM": "ovn-northd"}


def controller_environment(spec: LabSpec, host: Host) -> dict[str, str]:
    return host_environment(spec, host) | {"OVN_PROGRAM": "ovn-controller"}


def plugin(spec: LabSpec) -> list[str]:
    return [
        *ovine("plugin"),
        f"--cloud-db={spec.cloud_db}",
        f"--ovnnb-db={spec.nb_db}",
        f"--ovnsb-db={spec.sb_db}",
        f"--config={spec.central}/ovine.toml",
        f"--unixctl={spec.central}/plugin.ctl",
        *logging(spec.directory / "log" / "plugin.log"),
    ]


def northd(spec: LabSpec) -> list[str]:
    return [
        *program(spec.northd, "northd"),
        f"--ovnnb-db={spec.nb_db}",
        f"--ovnsb-db={spec.sb_db}",
        *logging(spec.directory / "log" / "northd.log"),
    ]


def switch_database(spec: LabSpec, host: Host) -> list[str]:
    own = spec.host_directory(host)
    return [
        "ovsdb-server",
        f"--remote=punix:{own}/db.sock",
        f"--unixctl={own}/ovsdb-server.ctl",
        *logging(spec.directory / "log" / f"{host.name}-ovsdb.log"),
        f"{own}/conf.db",
    ]


def switch(spec: LabSpec, host: Host) -> list[str]:
    own = spec.host_directory(host)
    return [
        "ovs-vswitchd",
        spec.ovs_db(host),
        f"--unixctl={own}/ovs-vswitchd.ctl",
        *logging(spec.directory / "log" / f"{host.name}-vswitchd.log"),
    ]


def controller(spec: LabSpec, host: Host) -> list[str]:
    return [
        *program(host.controller, "controller"),
        spec.ovs_db(host),
        *logging(spec.directory / "log" / f"{host.name}-controller.log"),
    ]
