"""Debian's ovn-ctl drives our controller in the place of ovn-controller."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ovine.model import sb
from support.hosts import Host, host

OVN_CTL = Path("/usr/share/ovn/scripts/ovn-ctl")


def ovn_ctl(bench: Host, programs: Path, command: str) -> str:
    here = str(bench.directory)
    names = ("OVN_RUNDIR", "OVN_LOGDIR", "OVN_SYSCONFDIR", "OVN_DBDIR", "OVS_RUNDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR")
    environment = os.environ | dict.fromkeys(names, here) | {"PATH": f"{programs}:{os.environ['PATH']}"}
    words = [str(OVN_CTL), f"--db-sock={bench.local_server.socket}", command]
    done = subprocess.run(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.skipif(not OVN_CTL.exists(), reason="needs Debian's ovn-common")
async def test_it_is_started_found_restarted_and_stopped(tmp_path: Path) -> None:
    program = tmp_path / "ovn-controller"
    program.write_text(
        f'#!/bin/sh\nOVN_PROGRAM=ovn-controller exec {sys.executable} -m ovine.daemons.controller "$@"\n'
    )
    program.chmod(0o755)
    async with host(start=False) as bench:
        pidfile = bench.directory / "ovn-controller.pid"
        try:
            ovn_ctl(bench, tmp_path, "start_controller")
            pid = pidfile.read_text().strip()
            await bench.until(lambda: bench.chassis, "registered")
            assert f"ovn-controller is running with pid {pid}" in ovn_ctl(bench, tmp_path, "status_controller")
            await bench.network("sw0", 1, "a", "b")
            await bench.set_up("a")
            before, flows = (bench.chassis.uuid, bench.binding("a")), bench.flows()
            said = ovn_ctl(bench, tmp_path, "restart_controller")
            assert "Exiting ovn-controller" in said and "Killing" not in said
            assert pidfile.read_text().strip() != pid
            assert (bench.chassis.uuid, bench.binding("a")) == before and bench.flows() == flows
            said = ovn_ctl(bench, tmp_path, "stop_controller")
            assert "Killing" not in said and not pidfile.exists()
            await bench.until(lambda: not bench.southbound.replica.rows(sb.Chassis), "the chassis is gone")
            assert {flow for flow in flows if "output" not in flow} <= set(bench.flows())
        finally:
            if pidfile.exists():
                ovn_ctl(bench, tmp_path, "stop_controller")
