"""Rates of ports on a real host: the kernel's queues on the interface by which packets leave."""

from __future__ import annotations

import re

from ovine.lab import Lab
from ovine.lab.tools import run
from ovine.lab.waiting import wait_for


def test_rates_become_classes_of_the_interface_and_go_with_the_ports(lab_machine: None) -> None:
    with Lab(northd="ovine", controllers=["ovine"], api=False) as lab:
        (host,) = lab.spec.hosts

        def classes() -> list[tuple[str, str]]:
            """(minimum, maximum) of the queues, without the class of them all, and that of what is in no queue."""
            shown = run(["ip", "netns", "exec", lab.spec.host_netns(host), "tc", "class", "show", "dev", "prov0"])
            return sorted(re.findall(r"class htb 1:(?!1 )\w+ parent .* rate (\S+) ceil (\S+)", shown))

        lab.nbctl("ls-add", "sw")
        for name in "ab":
            lab.nbctl("lsp-add", "sw", name, "--", "lsp-set-addresses", name, f"02:00:00:00:00:0{name}")
        lab.nbctl("lsp-set-options", "a", "qos_max_rate=50000000", "qos_min_rate=10000000")
        lab.nbctl("lsp-add", "sw", "net", "--", "lsp-set-type", "net", "localnet")
        lab.nbctl("lsp-set-addresses", "net", "unknown")
        lab.nbctl("lsp-set-options", "net", "network_name=physnet1", "qos_min_rate=7000000")
        instances = [lab.plug(name, host=host.name, port_id=name, mac=f"02:00:00:00:00:0{name}") for name in "ab"]
        for instance in instances:
            instance.wait_installed()
        lab.sync()
        wait_for(lambda: [minimum for minimum, _ in classes()] == ["10Mbit", "7Mbit"], "the queues of a and net", 15)
        assert ("10Mbit", "50Mbit") in classes()
        lab.nbctl("lsp-set-options", "b", "qos_max_rate=3000000")
        wait_for(lambda: "3Mbit" in [most for _, most in classes()], "the queue of b", 15)
        assert len(classes()) == 3
        instances[0].delete()
        lab.nbctl("lsp-set-options", "net", "network_name=physnet1")
        wait_for(lambda: [most for _, most in classes()] == ["3Mbit"], "only the queue of b to stay", 15)
        lab.nbctl("lsp-set-options", "b")
        wait_for(lambda: not classes(), "no queue to stay", 15)
        assert lab.vsctl(host.name, "list", "QoS") == lab.vsctl(host.name, "list", "Queue") == ""
