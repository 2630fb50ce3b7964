"""The tree of commands: names, options and help. What a command does is imported when it runs.

Each command's help ends with an example; tests walk the tree and insist on it. An error of a command is one line on
stderr and status 1. Tests: tests/unit/cli/.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

# Rich makes the help prettier and three times slower; plain text it is.
PLAIN: dict[str, Any] = {"rich_markup_mode": None, "add_completion": False, "pretty_exceptions_enable": False}
HANDED_OVER: dict[str, Any] = {
    "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    "add_help_option": False,
}

INTERRUPTED = 130

app = typer.Typer(name="ovine", no_args_is_help=True, help="Virtual networks for clouds.", **PLAIN)
lab_app = typer.Typer(no_args_is_help=True, help="Several hosts of a cloud on this machine.", **PLAIN)
app.add_typer(lab_app, name="lab")


class Flavour(StrEnum):
    """Whose daemon plays a part."""

    ovine = "ovine"
    c = "c"


Lab = Annotated[str, typer.Option("--lab", envvar="OVINE_LAB", metavar="NAME", help="Which lab, if several are up.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The instance.")]


def example(*lines: str) -> str:
    """The end of a help text; \\b keeps the lines as they are."""
    return "\n\n\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def run(arguments: Sequence[str]) -> int:
    """Runs the command tree on a command line; errors become one line and a status."""
    command = typer.main.get_command(app)
    try:
        status = command.main(list(arguments), prog_name="ovine", standalone_mode=False)
    except SystemExit as finished:
        return finished.code if isinstance(finished.code, int) else 1
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED  # Some versions of typer end so, others by the status.
    except Exception as error:
        return _report(error)
    if status == INTERRUPTED:
        print("ovine: interrupted", file=sys.stderr)
    return status if isinstance(status, int) else 0


def _report(error: Exception) -> int:
    """One line for an error that is the user's to mend; anything else is a defect and keeps its traceback."""
    from ovine.lab.errors import LabError

    # The parser's errors are known by this method: where their classes live differs from one typer to the next.
    if hasattr(error, "format_message"):
        return _wrong_command_line(error)
    if not isinstance(error, LabError):
        raise error
    if error.details:
        print(error.details.rstrip(), file=sys.stderr)
    print(f"ovine: {error}", file=sys.stderr)
    return 1


def _wrong_command_line(error: Any) -> int:
    said = error.format_message().replace("Value error, ", "").rstrip(".")
    if "\n" in said:  # No command at all: what is said is the help.
        print(said, file=sys.stderr)
    else:
        context = getattr(error, "ctx", None)
        print(f"ovine: {said}: see `{context.command_path if context else 'ovine'} --help`", file=sys.stderr)
    return int(error.exit_code)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    if version:
        import ovine

        print(f"ovine {ovine.__version__}")
        raise typer.Exit()


# --- the lab


@lab_app.command("up", help="Start a lab and leave it running." + example("ovine lab up --hosts 3"))
def lab_up(
    hosts: Annotated[int, typer.Option("--hosts", min=1, max=100, help="How many hosts.")] = 3,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What to call it.")] = "ovine",
    northd: Annotated[Flavour, typer.Option("--northd", metavar="ovine|c", help="Whose northd.")] = Flavour.ovine,
    controller: Annotated[
        list[Flavour] | None,
        typer.Option("--controller", metavar="ovine|c", help="Whose controller; repeat it for a choice per host."),
    ] = None,
    api: Annotated[bool, typer.Option("--api/--no-api", help="With API and plugin, or a bare OVN.")] = True,
    demo: Annotated[bool, typer.Option("--demo", help="With the networks and instances of `ovine demo`.")] = False,
) -> None:
    from ovine.cli import lab_commands

    flavours = [flavour.value for flavour in controller or [Flavour.ovine]]
    lab_commands.up(name, hosts, northd.value, flavours, api, demo)


@lab_app.command("down", help="End a lab and remove all that it made." + example("ovine lab down"))
def lab_down(
    name: Annotated[str, typer.Option("--name", "--lab", envvar="OVINE_LAB", metavar="NAME", help="Which lab.")] = "",
    every: Annotated[bool, typer.Option("--all", help="All labs of this machine.")] = False,
) -> None:
    from ovine.cli import lab_commands

    lab_commands.down(name, every)


@lab_app.command("list", help="List the labs of this machine." + example("ovine lab list"))
def lab_list() -> None:
    from ovine.cli import lab_commands

    lab_commands.show_all()


# --- instances


@app.command(
    "boot",
    help="Start an instance on a host.\n\nMakes its port through the API, plugs it in, waits until it is ACTIVE, and "
    "lets its DHCP client ask for its address."
    + example("ovine boot web1 --network red --host h1", "ovine boot web2 --network red --host h2 --project red"),
)
def boot(
    name: Name,
    network: Annotated[str, typer.Option("--network", metavar="NAME|ID", help="The network of its port.")],
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="The host: h1, h2 …")],
    project: Annotated[str, typer.Option("--project", metavar="NAME|ID", help="The port's project.")] = "",
    address: Annotated[str, typer.Option("--address", metavar="IP", help="Its address; else one is chosen.")] = "",
    lab: Lab = "",
) -> None:
    from ovine.cli import instance_commands

    instance_commands.boot(lab, name, network, host, project, address)


@app.command("delete", help="End an instance and delete its port." + example("ovine delete web1"))
def delete(name: Name, lab: Lab = "") -> None:
    from ovine.cli import instance_commands

    instance_commands.delete(lab, name)


@app.command(
    "exec",
    help="Run a command inside an instance.\n\nIts input, output and status are the command's own."
    + example("ovine exec web1 -- ip route"),
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def execute(
    name: Name, command: Annotated[list[str], typer.Argument(metavar="COMMAND…", help="What to run.")], lab: Lab = ""
) -> None:
    from ovine.cli import instance_commands

    instance_commands.execute(lab, name, command)


@app.command("ssh", help="Open a shell inside an instance." + example("ovine ssh web1"))
def ssh(name: Name, lab: Lab = "") -> None:
    from ovine.cli import instance_commands

    instance_commands.shell(lab, name)


@app.command(
    "ping",
    help="Ping from inside an instance.\n\nThe target is an address, or the name of another instance."
    + example("ovine ping web1 web2", "ovine ping web1 10.0.0.1 --count 1"),
)
def ping(
    name: Name,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="An address or an instance.")],
    count: Annotated[int, typer.Option("--count", "-c", min=1, help="How many packets.")] = 3,
    lab: Lab = "",
) -> None:
    from ovine.cli import instance_commands

    raise typer.Exit(instance_commands.ping(lab, name, target, count))


# --- looking


@app.command(
    "status",
    help="Show the state of a lab.\n\nHosts, ports, versions, how far changes have come, and failing rules; the status "
    "is 1 if something is amiss." + example("ovine status"),
)
def status(lab: Lab = "") -> None:
    from ovine.cli import status_command

    raise typer.Exit(status_command.show(lab))


@app.command(
    "trace",
    help="Tell what becomes of a packet.\n\nRuns a microflow, written as for ovn-trace(8), through the logical flows "
    "of the southbound database and prints each stage that decided, why its flow exists, and where the packet comes "
    "out. Nothing is sent and nothing is changed."
    + example(
        "ovine trace red 'inport == \"web1\" && eth.src == 0a:00:00:00:00:01 && eth.dst == ff:ff:ff:ff:ff:ff'",
        "ovine trace --db unix:/run/ovn/ovnsb_db.sock --minimal "
        "'inport == \"p1\" && eth.dst == 0a:00:00:00:00:02 && ip4.dst == 10.0.0.2 && ip.ttl == 64'",
    ),
)
def trace(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[DATAPATH] MICROFLOW", help="A switch or router, by name or uuid; and the packet."),
    ],
    db: Annotated[
        str, typer.Option("--db", metavar="REMOTE", help="The southbound; else the lab's, or that of $OVN_SB_DB.")
    ] = "",
    nb: Annotated[
        str, typer.Option("--nb", metavar="REMOTE", help="The northbound; it tells why flows exist. Else $OVN_NB_DB.")
    ] = "",
    cloud: Annotated[str, typer.Option("--cloud", metavar="REMOTE", help="The Cloud database; it has names.")] = "",
    ct: Annotated[
        list[str] | None,
        typer.Option("--ct", metavar="FLAGS", help="What connection tracking says: new, est …; repeat it in order."),
    ] = None,
    dns: Annotated[
        str,
        typer.Option("--dns", metavar="[TYPE] NAME", help="What the packet asks the DNS for; a is the usual type."),
    ] = "",
    detailed: Annotated[
        bool, typer.Option("--detailed", help="Every stage that decides (this is the default).")
    ] = False,
    summary: Annotated[bool, typer.Option("--summary", help="Pipelines and actions only.")] = False,
    minimal: Annotated[bool, typer.Option("--minimal", help="Changes of the packet and where it comes out.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All three forms.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    lab: Lab = "",
    key: Annotated[str, typer.Option("--private-key", "-p", metavar="FILE", help="Our key, for ssl: remotes.")] = "",
    certificate: Annotated[str, typer.Option("--certificate", "-c", metavar="FILE", help="Our certificate.")] = "",
    authority: Annotated[
        str, typer.Option("--ca-cert", "-C", metavar="FILE", help="Who signed the servers' certificates.")
    ] = "",
) -> None:
    if len(words) > 2:
        raise typer.BadParameter("expected [DATAPATH] MICROFLOW; put the microflow into quotes")
    from ovine.cli import trace_command

    given = {"detailed": detailed, "summary": summary, "minimal": minimal}
    forms = [name for name, chosen in given.items() if chosen or every]
    datapath = words[0] if len(words) == 2 else ""
    sources = trace_command.Sources(db, nb, cloud, (key, certificate, authority))
    trace_command.show(sources, lab, datapath, words[-1], ct or [], dns, forms, as_json)


@app.command(
    "schema",
    help="Print the schema of a database, as ovsdb-tool(1) takes it." + example("ovine schema nb > ovn-nb.ovsschema"),
)
def schema(name: Annotated[str, typer.Argument(metavar="NAME", help="cloud, nb, sb or vs.")]) -> None:
    from ovine.cli import schema_command

    schema_command.show(name)


@app.command(
    "demo",
    help="Show what works.\n\nBrings up three hosts, makes two tenants' networks with the same addresses, tries what "
    "must work and what must not, prints a table, and cleans up. The status is 1 if anything is not as expected."
    + example("ovine demo"),
)
def demo(
    northd: Annotated[Flavour, typer.Option("--northd", metavar="ovine|c", help="Whose northd.")] = Flavour.ovine,
    controller: Annotated[
        list[Flavour] | None,
        typer.Option("--controller", metavar="ovine|c", help="Whose controller; repeat it for a choice per host."),
    ] = None,
) -> None:
    from ovine.lab.demo import main as run_demo

    raise typer.Exit(run_demo(northd.value, [flavour.value for flavour in controller or [Flavour.ovine]]))


# --- the daemons; `ovine.cli.main` hands these over before the tree is even built, so that they start fast


def _daemon(name: str, text: str, line: str) -> None:
    @app.command(name, help=text + f"\n\nIts options: ovine {name} --help" + example(line), **HANDED_OVER)
    def handed_over(context: typer.Context) -> None:
        from ovine.cli.main import run_daemon

        raise typer.Exit(run_daemon(name, context.args))


_daemon(
    "northd",
    "Compile the northbound database to logical flows.",
    "ovine northd --ovnnb-db=unix:/run/ovn/ovnnb_db.sock --ovnsb-db=unix:/run/ovn/ovnsb_db.sock",
)
_daemon("controller", "Make a host's Open vSwitch do what the southbound database says.", "ovine controller --pidfile")
_daemon("plugin", "Compile the cloud database to the northbound database.", "ovine plugin --detach --pidfile")
_daemon("api", "Serve the Neutron v2.0 API.", "ovine api --bind=0.0.0.0:9696 --identity-bind=0.0.0.0:5000")
_daemon(
    "metadata",
    "Answer a host's instances on 169.254.169.254.",
    "ovine metadata --nova=http://controller:8775 --secret-file=/etc/ovine/metadata.secret",
)
