"""`ovine boot`, `delete`, `exec`, `ssh` and `ping`. Tests: tests/unit/cli/, tests/lab/."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from ipaddress import ip_address

from ovine.cli.choose import choose
from ovine.lab import requirements
from ovine.lab.endpoint import Endpoint
from ovine.lab.errors import LabError
from ovine.lab.instance import Instance


def boot(lab_name: str, name: str, network: str, host: str, project: str, address: str) -> None:
    lab = choose(lab_name)
    requirements.check()
    instance = lab.boot(name, network=network, host=host, project=project or None, address=address or None)
    print(f"{name} is up on {host}: {', '.join(instance.addresses) or 'without an address'}")


def delete(lab_name: str, name: str) -> None:
    lab = choose(lab_name)
    requirements.check()
    lab.delete(name)
    print(f"{name} is gone")


def execute(lab_name: str, name: str, command: Sequence[str]) -> None:
    """Becomes the command, inside the instance, so that its terminal, signals and status are its own."""
    words = list(command)
    _become(_endpoint(lab_name, name), words[1:] if words[0] == "--" else words)


def shell(lab_name: str, name: str) -> None:
    instance = _endpoint(lab_name, name)
    os.environ["PS1"] = f"{name}# "
    program = os.environ.get("SHELL", "/bin/sh")
    # A user's start-up files would set another prompt, and the prompt is what tells where one is.
    _become(instance, [program, "--norc"] if program.endswith("bash") else [program])


def ping(lab_name: str, name: str, target: str, count: int) -> int:
    """Shows what ping said; 0 if any answer came, like ping's own status."""
    lab = choose(lab_name)
    requirements.check()
    source = lab.endpoint(name)
    address = target if _is_address(target) else _address(lab.instance(target))
    outcome = source.ping(address, count=count, interval=1.0)
    print(outcome.output.rstrip())
    return 0 if outcome.received else 1


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _address(instance: Instance) -> str:
    """An instance's first address that is not link-local; IPv4 before IPv6."""
    found = [address.split("/")[0] for address in instance.addresses if not address.startswith("fe80:")]
    if not found:
        raise LabError(f"{instance.name} has no address yet")
    return sorted(found, key=lambda address: ":" in address)[0]


def _endpoint(lab_name: str, name: str) -> Endpoint:
    lab = choose(lab_name)
    requirements.check()
    return lab.endpoint(name)


def _become(instance: Endpoint, command: Sequence[str]) -> None:
    if shutil.which(command[0]) is None:
        raise LabError(f"no command {command[0]}")
    argv = instance.command(command)
    os.execvp(argv[0], argv)
