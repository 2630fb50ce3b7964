"""Where the files of a daemon live, taken from the environment variables that OVS and OVN share.

The defaults are those of Debian's packages. A variable that is set but empty counts as unset, as it does in OVN's
scripts.
Tests: tests/unit/daemons/test_daemon_paths.py.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """Directories of the daemons (the variables are described in ovn-ctl(8))."""

    ovn_run: Path
    ovs_run: Path
    ovn_log: Path
    ovs_log: Path
    ovn_db: Path
    ovn_sysconf: Path
    ovn_pkgdata: Path

    def pidfile(self, program: str, given: str | None = None) -> Path:
        """The pidfile: PROG.pid, or the file given; a relative name is taken in the run directory."""
        return self.ovn_run / (given or f"{program}.pid")

    def log_file(self, program: str, given: str | None = None) -> Path:
        """The log: PROG.log in the log directory, or exactly the file given."""
        return Path(given) if given else self.ovn_log / f"{program}.log"

    def control_socket(self, program: str, pid: int, given: str | None = None) -> Path:
        """The control socket: PROG.PID.ctl, or the file given; a relative name is taken in the run directory."""
        return self.ovn_run / (given or f"{program}.{pid}.ctl")

    @property
    def system_id_override(self) -> Path:
        """The file whose content wins over external_ids:system-id."""
        return self.ovn_sysconf / "system-id-override"

    @property
    def ovs_database(self) -> str:
        """The default remote of the local Open_vSwitch database."""
        return f"unix:{self.ovs_run}/db.sock"


def from_environment(environment: Mapping[str, str] | None = None) -> Paths:
    """The directories that the environment (default: this process's) names."""
    variables = os.environ if environment is None else environment

    def directory(variable: str, default: str) -> Path:
        return Path(variables.get(variable) or default)

    sysconf = variables.get("OVN_SYSCONFDIR")
    return Paths(
        ovn_run=directory("OVN_RUNDIR", "/var/run/ovn"),
        ovs_run=directory("OVS_RUNDIR", "/var/run/openvswitch"),
        ovn_log=directory("OVN_LOGDIR", "/var/log/ovn"),
        ovs_log=directory("OVS_LOGDIR", "/var/log/openvswitch"),
        ovn_db=directory("OVN_DBDIR", f"{sysconf}/ovn" if sysconf else "/var/lib/ovn"),
        ovn_sysconf=Path(sysconf or "/etc"),
        ovn_pkgdata=directory("OVN_PKGDATADIR", "/usr/share/ovn"),
    )
