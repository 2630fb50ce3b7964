"""The daemon: refusals before it starts, workers, databases that come and go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.api_server import Cloud, running_cloud
from support.ovsdb import free_port, wait_until


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("workers"), daemons=(2,)) as running:
        yield running


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_two_workers_serve_one_socket_and_a_lost_one_is_replaced(cloud: Cloud) -> None:
    daemon = cloud.daemons[0]
    (worker,) = children(daemon.process.pid)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: children(daemon.process.pid) not in ([], [worker]), "another worker")
    alice = cloud.user("alice")
    for number in range(20):
        network = alice.make("network", name=f"w{number}")
        assert cloud.http.get(
            f"{daemon.network}/v2.0/networks/{network['id']}",
            headers={"X-Auth-Token": alice.token, "Connection": "close"},
        ).json()["network"]["name"] == f"w{number}"  # fmt: skip


def test_workers_end_with_the_daemon(cloud: Cloud) -> None:
    daemon = cloud.start_daemon(workers=2)
    (worker,) = children(daemon.process.pid)
    daemon.process.kill()
    daemon.process.wait()
    wait_until(lambda: not Path(f"/proc/{worker}/cmdline").exists(), "the worker ends too")


def test_without_its_database_the_api_says_so_and_recovers(cloud: Cloud) -> None:
    alice = cloud.user("alice")
    network = alice.make("network", name="kept")
    cloud.cloud_db.kill()
    try:
        status, body = alice.get("/v2.0/networks")
        assert (status, body["NeutronError"]["type"]) == (503, "ServiceUnavailable")
    finally:
        cloud.cloud_db.start()
    wait_until(lambda: alice.get(f"/v2.0/networks/{network['id']}")[0] == 200, "the API serves again")


def test_what_was_acknowledged_outlives_kill_9_of_the_database(cloud: Cloud) -> None:
    admin = cloud.user("admin")
    network = admin.make("network", name="survivor")["id"]
    admin.make("subnet", network_id=network, ip_version=4, cidr="10.66.0.0/20")
    stop = threading.Event()

    def create() -> tuple[list[str], set[int]]:
        made, seen = [], set()
        while not stop.is_set():
            status, body = admin.post("/v2.0/ports", {"port": {"network_id": network}})
            seen.add(status)
            if status == 201:
                made.append(body["port"]["id"])
        return made, seen

    with ThreadPoolExecutor(4) as pool:
        parts = [pool.submit(create) for _ in range(4)]
        try:
            for expected in (40, 80):
                wait_until(lambda expected=expected: ports_of(cloud) > expected, f"{expected} ports")  # type: ignore[misc]
                cloud.cloud_db.restart()
        finally:
            stop.set()
    made = {uuid for part in parts for uuid in part.result()[0]}
    assert set().union(*(part.result()[1] for part in parts)) <= {201, 503}
    wait_until(lambda: admin.get("/v2.0/networks")[0] == 200, "the API serves again")
    stored = admin.list("port", f"network_id={network}")
    assert made <= {port["id"] for port in stored}
    addresses = [address["ip_address"] for port in stored for address in port["fixed_ips"]]
    assert len(addresses) == len(set(addresses)) == len(stored)


def ports_of(cloud: Cloud) -> int:
    status, body = cloud.user("admin").get("/v2.0/ports?fields=id")
    return len(body["ports"]) if status == 200 else 0


def test_it_detaches_tells_its_connections_and_exits_on_command(cloud: Cloud, tmp_path: Path) -> None:
    port, pidfile, control = free_port(), tmp_path / "api.pid", tmp_path / "api.ctl"
    words = [
        *(sys.executable, "-m", "ovine.daemons.api", "--detach", f"--pidfile={pidfile}", f"--unixctl={control}"),
        *(f"--cloud-db={cloud.cloud_db.remote}", f"--sb-db={cloud.sb_db.remote}", "-vconsole:off"),
        *(f"--identity-file={cloud.directory / 'identity.toml'}", f"--bind=127.0.0.1:{port}"),
        *(f"--identity-bind=127.0.0.1:{free_port()}", f"--log-file={tmp_path / 'log'}", "--workers=2"),
    ]
    subprocess.run(words, check=True, timeout=60)

    def ask(*command: str) -> str:
        done = subprocess.run(["ovs-appctl", "-t", str(control), *command], capture_output=True, text=True, timeout=30)
        return done.stdout.strip()

    pid = int(pidfile.read_text())
    try:
        wait_until(lambda: ask("cloud-connection-status") == "connected", "the Cloud database")
        wait_until(lambda: ask("sb-connection-status") == "connected", "the southbound database")
        assert cloud.http.get(f"http://127.0.0.1:{port}/").status_code == 200
    finally:
        ask("exit")
        wait_until(lambda: not Path(f"/proc/{pid}").exists() and not pidfile.exists(), "the end")


def refused(*words: str) -> str:
    command = [sys.executable, "-m", "ovine.daemons.api", "--unixctl=none", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_what_cannot_work_is_refused_in_one_line_before_the_start(cloud: Cloud, tmp_path: Path) -> None:
    identity = f"--identity-file={cloud.directory / 'identity.toml'}"
    bad = tmp_path / "bad.toml"
    bad.write_text("colour = 'red'\n")
    assert "unknown key 'colour'" in refused(identity, f"--config={bad}")
    assert "cannot read" in refused(f"--identity-file={tmp_path / 'none'}")
    bad.write_text("[[users]]\nid = 5\n")
    assert "bad.toml" in refused(f"--identity-file={bad}")
    taken = cloud.daemons[0].network.removeprefix("http://")
    assert f"cannot listen on {taken}" in refused(identity, f"--bind={taken}")
    assert "is not HOST:PORT" in refused(identity, "--bind=here")
    assert "--workers" in refused(identity, "--workers=0", f"--bind=127.0.0.1:{free_port()}")
