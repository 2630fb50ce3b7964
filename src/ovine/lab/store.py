"""A lab's files: what it is (`lab.json`), the namespaces it made (`namespaces`), its instances (`instances/*.json`).

Whoever opens the directory, in whichever process, sees the same lab. Everything that `down` must undo is written here
before it is done. Tests: tests/unit/lab/test_lab_store.py.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovine.lab import netns
from ovine.lab.errors import LabError
from ovine.lab.spec import LabSpec, labs_directory


@dataclass(frozen=True)
class InstanceRecord:
    """An instance as its lab remembers it. `port_id` is the `iface-id` that binds its logical port."""

    name: str
    host: str
    netns: str
    port_id: str
    mac: str
    network: str = ""
    owned_port: bool = False
    """Whether the port was made through the API together with the instance, and goes with it."""

    @property
    def tap(self) -> str:
        """The host's end of the instance's veth, named as Neutron does; interface names have at most 15 characters."""
        return f"tap{self.port_id.replace(':', '')[:11]}"


class Store:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    # --- the lab itself

    def create(self, spec: LabSpec, extra: dict[str, Any]) -> None:
        """Makes the directory; whoever makes it owns the name, so two starts of one lab cannot both go on."""
        self.directory.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        try:
            self.directory.mkdir(mode=0o755)
        except FileExistsError:
            raise LabError(
                f"lab {spec.name} is up already, or was left behind: `ovine lab down --name {spec.name}` ends it"
            ) from None
        for part in ("log", "instances", "central", *(host.name for host in spec.hosts)):
            (self.directory / part).mkdir()
        write_json(self.directory / "lab.json", {**_as_json(spec), **extra})

    def spec(self) -> LabSpec:
        data = self.facts()
        names = {field.name for field in dataclasses.fields(LabSpec)}
        values = {key: value for key, value in data.items() if key in names}
        values["controllers"] = tuple(values["controllers"])
        values["directory"] = self.directory
        return LabSpec(**values)

    def respecify(self, spec: LabSpec) -> None:
        """Writes another description of the lab over the one that is there."""
        self.add_facts(**_as_json(spec))

    def facts(self) -> dict[str, Any]:
        try:
            facts = json.loads((self.directory / "lab.json").read_text())
        except (FileNotFoundError, ValueError):
            raise LabError(f"no lab in {self.directory}: `ovine lab up` starts one") from None
        return dict(facts)

    def add_facts(self, **values: Any) -> None:
        write_json(self.directory / "lab.json", {**self.facts(), **values})

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- namespaces

    def add_namespace(self, name: str) -> None:
        """Writes the name down, then makes the namespace. One that exists already is somebody else's: LabError."""
        if netns.exists(name):
            raise LabError(f"network namespace {name} exists already; end what made it, or `ip netns del {name}`")
        with (self.directory / "namespaces").open("a") as journal:
            journal.write(name + "\n")
        netns.create(name)

    def namespaces(self) -> list[str]:
        try:
            names = (self.directory / "namespaces").read_text().split()
        except FileNotFoundError:
            return []
        return list(dict.fromkeys(names))

    # --- instances

    def add_instance(self, record: InstanceRecord) -> None:
        path = self._instance_path(record.name)
        try:
            with path.open("x") as file:
                json.dump(dataclasses.asdict(record), file)
        except FileExistsError:
            raise LabError(f"instance {record.name} exists already: choose another name") from None

    def replace_instance(self, record: InstanceRecord) -> None:
        """Another record for an instance that is there: it has moved."""
        write_json(self._instance_path(record.name), dataclasses.asdict(record))

    def check_new_instance(self, name: str) -> None:
        """Raises LabError if there is an instance of that name."""
        if self._instance_path(name).exists():
            raise LabError(f"instance {name} exists already: choose another name")

    def instances(self) -> list[InstanceRecord]:
        found = sorted((self.directory / "instances").glob("*.json"))
        return [InstanceRecord(**json.loads(path.read_text())) for path in found]

    def instance(self, name: str) -> InstanceRecord:
        try:
            return InstanceRecord(**json.loads(self._instance_path(name).read_text()))
        except FileNotFoundError:
            have = ", ".join(record.name for record in self.instances()) or "none"
            raise LabError(f"no instance {name}: there are {have}") from None

    def remove_instance(self, name: str) -> None:
        self._instance_path(name).unlink(missing_ok=True)

    def _instance_path(self, name: str) -> Path:
        return self.directory / "instances" / f"{name}.json"


def all_labs() -> list[Path]:
    """The directories of all labs of this machine, also of such that did not come up fully."""
    return sorted(path for path in labs_directory().glob("*") if path.is_dir())


def write_json(path: Path, data: Any) -> None:
    """Replaces a file in one step, so that no reader sees half of it."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_text(json.dumps(data, indent=1))
    new.replace(path)


def _as_json(spec: LabSpec) -> dict[str, Any]:
    return {**dataclasses.asdict(spec), "directory": str(spec.directory)}
