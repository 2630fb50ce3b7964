"""The page docs/without-openstack.md: its commands, as they stand there, work one after the other."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "without-openstack.md"
NEEDED = ("ovs-vswitchd", "ovn-nbctl", "unshare", "wget", "ethtool")

# The machine's own Open vSwitch and OVN are out of sight: their directories are others here.
PRIVATE = """
set -eE
trap 'echo "failed: $BASH_COMMAND" >&2' ERR
mount --make-rprivate /
for place in /run /etc/openvswitch /var/lib/openvswitch /var/lib/ovn /var/log/ovn /var/log/openvswitch; do
    if [ -d $place ]; then mount -t tmpfs none $place; fi
done
cd /
ip link set lo up
"""


def commands() -> str:
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason=f"needs {', '.join(NEEDED)}")
def test_the_commands_of_the_page_work_one_after_the_other(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "src"
    wrapper = (
        f'#!/bin/sh\nPYTHONPATH={source} exec {sys.executable} -c "from ovine.cli.main import main; main()" "$@"\n'
    )
    output = tmp_path / "output"
    # The process namespace ends all that is left when its first process does.
    words = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c"]
    binary = 'mkdir -p /run/bin && echo "$OVINE" > /run/bin/ovine && chmod +x /run/bin/ovine && PATH=/run/bin:$PATH\n'
    environment = os.environ | {"OVINE": wrapper}
    environment = {name: value for name, value in environment.items() if not name.startswith(("OVN_", "OVS_"))}
    with output.open("w+") as text:
        process = subprocess.Popen(
            [*words, PRIVATE + binary + commands()], stdout=text, stderr=text, env=environment, start_new_session=True
        )
        try:
            status = process.wait(240)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    printed = output.read_text()
    assert status == 0, printed[-3000:]
    assert len(re.findall(r"^this is w[12]$", printed, re.MULTILINE)) == 6
    assert "Chassis h1" in printed
    assert "dropped in to d1 by ACL closed" in printed
