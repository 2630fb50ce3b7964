"""`ovine trace`: reads the databases, asks the interpreter, prints. Tests: tests/unit/cli/test_cli_trace.py,
tests/interop/test_trace_*.py.

The Cloud database and the northbound only explain; without them the trace says less, and no less true.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import orjson

from ovine.lab.errors import LabError
from ovine.language import SyntaxProblem
from ovine.model import cloud, nb, sb
from ovine.model.base import Database, Row
from ovine.ovsdb import Client, NotConnected, RemoteError, Tls, parse_remotes
from ovine.trace import Options, Origins, Trace, TraceError, render, run, world_of
from ovine.trace.names import Question
from ovine.trace.world import TABLES

READ_TIMEOUT = 120.0
"""Seconds in which a database must have told everything."""
SEVERAL_TIMEOUT = 30.0
"""The same, if there are several remotes, of which none may be there."""
CLOUD_TABLES: tuple[type[Row], ...] = (
    *(cloud.Network, cloud.Subnet, cloud.Port),
    *(cloud.SecurityGroup, cloud.SecurityGroupRule, cloud.AddressGroup),
)
FORMS = ("detailed", "summary", "minimal")


@dataclass(frozen=True)
class Sources:
    """Where the databases are; "" for one that is not to be asked."""

    southbound: str
    northbound: str = ""
    cloud: str = ""
    keys: tuple[str, str, str] = ("", "", "")
    """Files for `ssl:` remotes: private key, certificate, and the authority's certificate."""

    @property
    def tls(self) -> Tls | None:
        """The files, if they are given. LabError if some are and some are not."""
        if not any(self.keys):
            return None
        if not all(self.keys):
            raise LabError("--private-key, --certificate and --ca-cert belong together")
        return Tls(*self.keys)


def show(
    sources: Sources,
    lab: str,
    datapath: str,
    microflow: str,
    ct: Sequence[str],
    dns: str,
    forms: Sequence[str],
    as_json: bool,
) -> None:
    """Prints what becomes of a microflow. LabError, in one line, if that cannot be told."""
    logging.getLogger("ovine").setLevel(logging.ERROR)
    try:
        question = Question.read(dns) if dns else None
    except ValueError as error:
        raise LabError(f"--dns: {error}") from None
    rows = _read(sources_of(sources, lab))
    try:
        trace = run(world_of(rows), datapath, microflow, Options(ct=tuple(ct), question=question))
    except SyntaxProblem as problem:
        _, _, place = str(problem).partition("\n")
        raise LabError(f"the microflow: {problem.message}", place) from None
    except TraceError as error:
        raise LabError(str(error)) from None
    print(text_of(trace, Origins.of(rows), forms, as_json))


def text_of(trace: Trace, origins: Origins, forms: Sequence[str], as_json: bool) -> str:
    """The trace as it is printed."""
    if as_json:
        return orjson.dumps(render.as_json(trace, origins), option=orjson.OPT_INDENT_2).decode()
    chosen = [form for form in FORMS if form in forms] or FORMS[:1]
    parts = [render.heading(trace)]
    for form in chosen:
        text = {
            "detailed": lambda: render.detailed(trace, origins),
            "summary": lambda: render.summary(trace),
            "minimal": lambda: render.minimal(trace, origins),
        }[form]()
        parts.append(f"# {form}\n{text}" if len(chosen) > 1 else text)
    return "\n\n".join(parts) if chosen != ["minimal"] else "\n".join(parts)


def sources_of(given: Sources, lab: str) -> Sources:
    """What was given goes first, then a lab that was named, then the environment, then the only lab that is up."""
    north = given.northbound or os.environ.get("OVN_NB_DB", "")
    if given.southbound:
        return replace(given, northbound=north)
    if not lab and (south := os.environ.get("OVN_SB_DB")):
        return replace(given, southbound=south, northbound=north)
    from ovine.cli.choose import choose

    spec = choose(lab).spec
    has_cloud = spec.cloud_db if spec.api else ""
    north = given.northbound or spec.nb_db
    return replace(given, southbound=spec.sb_db, northbound=north, cloud=given.cloud or has_cloud)


def _read(sources: Sources) -> list[Row]:
    try:
        return asyncio.run(_rows(sources))
    except (NotConnected, RemoteError) as error:
        raise LabError(str(error)) from None


async def _rows(sources: Sources) -> list[Row]:
    reads = [_dump(sb.DATABASE, sources.southbound, TABLES, sources.tls)]
    if sources.northbound:
        reads.append(_dump(nb.DATABASE, sources.northbound, None, sources.tls))
    if sources.cloud:
        reads.append(_dump(cloud.DATABASE, sources.cloud, CLOUD_TABLES, sources.tls))
    return [row for rows in await asyncio.gather(*reads) for row in rows]


async def _dump(database: Database, remote: str, tables: Iterable[type[Row]] | None, tls: Tls | None) -> list[Row]:
    wanted = tuple(table.row for table in database.tables.values()) if tables is None else tuple(tables)
    client = Client(database, remote, monitors=wanted, tls=tls)
    await client.start()
    try:
        await _connected(client, len(parse_remotes(remote)) > 1)
        return [row for table in wanted for row in client.replica.rows(table).values()]
    finally:
        await client.close()


async def _connected(client: Client, several: bool) -> None:
    """Waits for the rows. A single remote that refuses is given up at once; of several another may answer."""
    ready = asyncio.create_task(client.ready(SEVERAL_TIMEOUT if several else READ_TIMEOUT))
    while not ready.done():
        await asyncio.wait([ready], timeout=0.05)
        if not several and client.last_error is not None and not ready.done():
            ready.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ready
            raise NotConnected(f"{client.name}: no database at {client.remote}: {client.last_error}")
    ready.result()
