"""Load balancers' addresses, and the flows of hairpins as they come and go."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.controller.services.lb_hairpin import End, parse_end
from ovine.controller.tables import LB_HAIRPIN, LB_HAIRPIN_SNAT
from ovine.model import sb
from support.controller_world import World


@given(st.ip_addresses(), st.none() | st.integers(0, 65535))
def test_an_end_is_read_as_it_is_written(ip: object, port: int | None) -> None:
    text = f"[{ip}]:{port}" if ":" in str(ip) and port is not None else str(ip) if port is None else f"{ip}:{port}"
    assert parse_end(text) == End(ip_address(str(ip)), port)


@given(st.text(max_size=30))
def test_what_is_no_end_is_refused(text: str) -> None:
    try:
        assert isinstance(parse_end(text), End)
    except ValueError:
        return


def world() -> World:
    made = World()
    made.datapath("sw0", 1)
    made.port("a", "sw0", 1)
    made.interface("a", 10)
    return made


def hairpins(made: World) -> int:
    return len(made.flows(f"table={LB_HAIRPIN}")) + len(made.flows(f"table={LB_HAIRPIN_SNAT}"))


def test_load_balancers_of_other_hosts_have_no_flows() -> None:
    made = world()
    made.balancer("lb", "10.0.0.100:80", "10.0.0.5:80", "sw9")
    assert hairpins(made) == 0


def test_a_datapath_group_counts_as_its_datapaths() -> None:
    made = world()
    uuid = made.balancer("lb", "10.0.0.100:80", "10.0.0.5:80")
    assert hairpins(made) == 0
    made.change(sb.LoadBalancer, uuid, datapath_group=made.datapath_group("group", "sw0", "sw9"))
    assert hairpins(made) == 2
    made.remove(sb.LoadBalancer, uuid)
    assert hairpins(made) == 0


def test_load_balancers_that_share_an_address_and_a_backend_share_flows_and_do_not_clash() -> None:
    made = world()
    for name in ("one", "two"):
        made.balancer(name, "10.0.0.100:80", "10.0.0.5:80", "sw0")
    assert hairpins(made) == 2 and made.failures() == []


@pytest.mark.parametrize("backends", ["nonsense:80", "fd00::5", "10.0.0.5:http"])
def test_a_backend_that_makes_no_sense_is_told(backends: str) -> None:
    made = world()
    made.balancer("bad", "10.0.0.100:80", backends, "sw0")
    made.balancer("good", "10.0.0.101:80", "10.0.0.5:80", "sw0")
    assert len(made.failures()) == 1 and hairpins(made) == 2
