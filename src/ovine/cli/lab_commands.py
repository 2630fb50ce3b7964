"""`ovine lab up`, `down` and `list`. Tests: tests/unit/cli/, tests/lab/test_lab_commands.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ovine.lab import requirements
from ovine.lab.errors import LabError
from ovine.lab.interrupts import ended_by_sigterm
from ovine.lab.lab import Lab
from ovine.lab.spec import LabSpec, labs_directory, spread
from ovine.lab.store import Store, all_labs

DEMO_HOSTS = 3


def up(name: str, hosts: int, northd: str, controllers: Sequence[str], api: bool, demo: bool = False) -> None:
    """Starts a lab, showing each step, and tells how to use it. With `demo`, the demo's cloud is made in it."""
    from rich.console import Console

    if demo and (hosts < DEMO_HOSTS or not api):
        raise LabError(f"--demo needs the API and {DEMO_HOSTS} hosts")

    lab = Lab(name=name, northd=northd, controllers=spread(controllers, hosts), api=api)
    console = Console(stderr=True, highlight=False)
    started = time.monotonic()
    with ended_by_sigterm(), console.status("starting") as status:

        def progress(step: str) -> None:
            console.print(f"[dim]{time.monotonic() - started:5.1f} s[/dim]  {step}")
            status.update(step)

        lab.up(progress)
        made = make_demo(lab, progress) if demo else ""
    print(usage(lab.spec) + made)


def make_demo(lab: Lab, progress: Callable[[str], None]) -> str:
    """Makes the demo's cloud in a lab; what to try in it. A lab in which that fails is ended."""
    from ovine.lab import demo_cloud

    progress("the demo's networks and instances")
    try:
        cloud = demo_cloud.make(lab)
    except BaseException:
        lab.down()
        raise
    names = ", ".join(f"{guest.name} on {guest.host}" for guest in demo_cloud.GUESTS)
    lines = (
        f"Instances: {names}; outside: internet ({demo_cloud.OUTSIDE}). red1 has the floating IP {cloud.floating_ip}.",
        "",
        "  ovine ping red1 db1; ovine exec db1 -- ping -c 3 " + demo_cloud.OUTSIDE,
        "  openstack --os-cloud red security group rule create default --protocol icmp",
        f"  ovine exec internet -- ping -c 3 {cloud.floating_ip}",
        "  ovine exec red1 -- getent hosts red2.openstacklocal",
    )
    return "\n\n" + "\n".join(lines)


def usage(spec: LabSpec) -> str:
    """What to type to use a lab."""
    lines = [
        f"Lab {spec.name} is up: hosts {', '.join(host.name for host in spec.hosts)}.",
        "",
        f"  export OVN_NB_DB={spec.nb_db} OVN_SB_DB={spec.sb_db}",
        "  ovn-nbctl show; ovn-sbctl lflow-list; ovn-trace …",
    ]
    if spec.api:
        lines += [
            "",
            f"  export OS_CLIENT_CONFIG_FILE={spec.clouds_file}",
            "  openstack --os-cloud ovine network create net1",
            "  openstack --os-cloud ovine subnet create --network net1 --subnet-range 10.0.0.0/24 subnet1",
            "  ovine boot a --network net1 --host h1; ovine boot b --network net1 --host h2; ovine ping a b",
        ]
    return "\n".join([*lines, "", f"  ovine lab down --name {spec.name}"])


def down(name: str, every: bool) -> None:
    """Ends one lab, or all; also what is left of a lab whose start was killed."""
    reason = requirements.why_not()
    if reason is not None and "root" in reason:
        raise LabError(reason)
    labs = all_labs()
    if every:
        chosen = labs
    elif name:
        chosen = [path for path in labs if path.name == name]
        if not chosen:
            raise LabError(f"no lab {name} on this machine; up are: {_names(labs)}")
    else:
        if len(labs) > 1:
            raise LabError(f"several labs are up ({_names(labs)}): choose one with --name, or use --all")
        chosen = labs
    if not chosen:
        raise LabError("no lab is up")
    for path in chosen:
        end(path)
        print(f"Lab {path.name} is down.")


def end(directory: Path) -> None:
    """Ends the lab in a directory; it may have been killed before it had even written down what it is."""
    Lab(name=directory.name, directory=directory, api=False).down()


def show_all() -> None:
    """One line for each lab: its name, hosts, instances, and whether all its processes run."""
    for path in all_labs():
        try:
            lab = Lab.open(path)
        except LabError:
            print(f"{path.name}  not started fully; `ovine lab down --name {path.name}` removes it")
            continue
        dead = [p.name for p in lab.processes.recorded() if not p.alive and lab.processes.find(p.name) is None]
        instances = Store(path).instances()
        state = f"ended: {', '.join(sorted(set(dead)))}" if dead else "running"
        print(f"{path.name}  hosts {len(lab.spec.hosts)}  instances {len(instances)}  {state}")
    if not all_labs():
        print(f"no labs in {labs_directory()}")


def _names(labs: Sequence[Path]) -> str:
    return ", ".join(path.name for path in labs) or "none"
