"""The central part of a lab: databases, northd, plugin, API. Tests: tests/lab/."""

from __future__ import annotations

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor

from ovine.lab import commands
from ovine.lab.fabric import make_database, wait_for_socket
from ovine.lab.processes import Processes
from ovine.lab.spec import DEFAULT_NAME, PHYSICAL_NETWORK, LabSpec
from ovine.lab.tools import database_tool

Clouds = dict[str, dict[str, str]]
ADMIN_CLOUD = "ovine"
ADMINISTRATOR = "admin"
TENANTS = ("red", "blue")
PASSWORD = "secret"
API_CONFIG = f"""\
tenant_network_types = ["geneve"]

[vlan_ranges]
{PHYSICAL_NETWORK} = ["100:199"]

[quota]
network = -1
subnet = -1
port = -1
router = -1
floatingip = -1
security_group = -1
security_group_rule = -1
"""


def start_databases(spec: LabSpec, processes: Processes) -> None:
    """One ovsdb-server for each central database, all at once; NB and SB get their one global row."""
    from ovine.model import cloud, nb, sb

    declared = {"cloud": cloud.DATABASE, "nb": nb.DATABASE, "sb": sb.DATABASE}

    def start(name: str) -> None:
        make_database(declared[name], spec.central / f"{name}.db")
        start_database(spec, processes, name)

    names = [name for name in commands.DATABASES if spec.api or name != "cloud"]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(start, names))
    database_tool("ovn-nbctl", spec.nb_db, ["init"])
    database_tool("ovn-sbctl", spec.sb_db, ["init"])


def start_database(spec: LabSpec, processes: Processes, name: str) -> None:
    """The server of a central database whose file is there."""
    server = processes.start(
        f"{name}-db",
        commands.database_server(spec, name),
        netns=spec.fabric_netns,
        env=commands.central_environment(spec),
    )
    wait_for_socket(processes, server, spec.central / f"{name}.sock")


def start_northd(spec: LabSpec, processes: Processes) -> None:
    process = processes.start("northd", commands.northd(spec), env=commands.northd_environment(spec))
    wait_for_socket(processes, process, spec.northd_socket(process.pid))


def write_settings(spec: LabSpec) -> None:
    """The file that plugin and API read."""
    (spec.central / "ovine.toml").write_text(f"agent_down_time = {spec.agent_down_time}\n{API_CONFIG}")


def start_plugin(spec: LabSpec, processes: Processes) -> None:
    process = processes.start("plugin", commands.plugin(spec), env=commands.central_environment(spec))
    wait_for_socket(processes, process, spec.central / "plugin.ctl")


def start_api(spec: LabSpec, processes: Processes) -> Clouds:
    """The API with users and projects of its own; gives the credentials by the name of the cloud in clouds.yaml."""
    from ovine.api.identity.users import NewUser, create_identity_file

    members = [NewUser(name, PASSWORD, {name: ["member"]}) for name in TENANTS]
    administrator = NewUser(ADMINISTRATOR, PASSWORD, {ADMINISTRATOR: ["admin"]})
    create_identity_file(spec.central / "identity.toml", [ADMINISTRATOR, *TENANTS], [administrator, *members])
    network_port, identity_port = choose_ports(spec)
    argv = commands.api(spec, network_port, identity_port)
    process = processes.start("api", argv, env=commands.central_environment(spec))
    wait_for_socket(processes, process, spec.central / "api.ctl")
    clouds = credentials(identity_port)
    spec.clouds_file.write_text(clouds_yaml(clouds))
    return clouds


def choose_ports(spec: LabSpec) -> tuple[int, int]:
    """Two free TCP ports for the network API and the identity: the usual ones for the usual lab, if they are free."""
    wanted = (9696, 5000) if spec.name == DEFAULT_NAME else (0, 0)
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(_bound(port)).getsockname()[1] for port in wanted)
    return first, second


def _bound(port: int) -> socket.socket:
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind(("127.0.0.1", port))
    except OSError:
        opened.bind(("127.0.0.1", 0))
    return opened


def credentials(identity_port: int) -> Clouds:
    """What clouds.yaml calls `auth`, for the administrator's cloud `ovine` and one cloud per tenant."""
    users = {ADMIN_CLOUD: ADMINISTRATOR, **{name: name for name in TENANTS}}
    return {
        cloud: {
            "auth_url": f"http://127.0.0.1:{identity_port}/v3",
            "username": user,
            "password": PASSWORD,
            "project_name": user,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }
        for cloud, user in users.items()
    }


def clouds_yaml(clouds: Clouds) -> str:
    """The file that $OS_CLIENT_CONFIG_FILE names. All its values are plain words, so no quoting is needed."""
    lines = ["clouds:"]
    for cloud, auth in clouds.items():
        lines += [f"  {cloud}:", "    identity_api_version: 3", "    auth:"]
        lines += [f"      {key}: {value}" for key, value in auth.items()]
    return "\n".join(lines) + "\n"
