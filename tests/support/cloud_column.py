"""From the API down as real processes: its databases, API daemons, the plugin, and northd if it is wanted.

with running_column(tmp_path, northd=True) as column:
    column.cloud.user("alice").make("network")
    async with column.northbound() as client:
        ...
    column.assert_sound()
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovine.model import nb
from ovine.ovsdb import Client
from support.api_server import CONFIG, Cloud, running_cloud
from support.daemons import Daemon, run_daemon
from support.ovsdb import Server, connected, start_server, wait_until


@dataclass
class Column:
    """An API, its northbound, and the daemons that derive one from the other."""

    cloud: Cloud
    nb_db: Server
    daemons: list[Daemon]
    """The plugin, then northd if it runs."""

    def northbound(self) -> AbstractAsyncContextManager[Client]:
        """A client with everything of the northbound."""
        return connected(nb.DATABASE, self.nb_db.remote)

    def assert_sound(self) -> None:
        """The daemons took everything, and what they derived step by step is what they compute from nothing."""
        for daemon in self.daemons:
            wait_until(lambda daemon=daemon: daemon.failures() == [], f"{daemon.program} takes it all")
            assert daemon.command("ovine/audit") == ""


@contextmanager
def running_column(
    home: Path, *, workers: Sequence[int] = (1,), northd: bool = False, config: str = CONFIG, plugin: Sequence[str] = ()
) -> Iterator[Column]:
    """A column with one API daemon for each number of workers; `plugin` are more options of the plugin."""
    with ExitStack() as stack:
        enter = stack.enter_context
        cloud = enter(running_cloud(home, daemons=workers, config=config))
        below = enter(start_server(nb.DATABASE, home / "nb", name="nb"))
        upper, middle, lower = (
            f"--cloud-db={cloud.cloud_db.remote}",
            f"--ovnnb-db={below.remote}",
            f"--ovnsb-db={cloud.sb_db.remote}",
        )
        daemons = [enter(run_daemon("plugin", home / "plugin", upper, middle, lower, *plugin))]
        if northd:
            daemons.append(enter(run_daemon("northd", home / "northd", middle, lower)))
        yield Column(cloud, below, daemons)


def nth(found: list[Any], index: int) -> Any:
    """One of what there is, whatever the number; None of nothing. So walks choose."""
    return found[index % len(found)] if found else None
