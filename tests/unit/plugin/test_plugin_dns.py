"""Names of ports in, a network's DNS row out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ovine.engine import Engine
from ovine.model import cloud, nb
from ovine.model.base import Uuid
from ovine.plugin.dns import DNS
from ovine.plugin.networks import SWITCHES
from ovine.plugin.settings import Settings
from ovine.projection import ref
from support.plugin_engine import feed, new_engine

NET, SUBNET = Uuid("11111111-0000-4000-8000-000000000001"), Uuid("22222222-0000-4000-8000-000000000001")
REVERSE6 = "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"


def uuid(kind: int, number: int) -> Uuid:
    return Uuid(f"{kind:08d}-0000-4000-8000-{number:012d}")


def port(number: int, *ips: str, **columns: Any) -> list[Any]:
    """A port and its addresses."""
    keys = [uuid(3, 10 * number + n) for n in range(len(ips))]
    allocations = [
        cloud.IPAllocation(uuid=key, subnet=SUBNET, ip_address=ip, position=n)
        for n, (key, ip) in enumerate(zip(keys, ips, strict=True))
    ]
    given: dict[str, Any] = {"device_id": "i", "dns_name": "web", **columns}
    row = cloud.Port(uuid=uuid(4, number), network=NET, mac_address=f"m{number}", fixed_ips=tuple(keys), **given)
    return [*allocations, row]


@pytest.fixture
def engine() -> Engine:
    made = new_engine()
    made.feed(Settings, (), Settings(domain="cloud.example"))
    feed(made, cloud.Network(uuid=NET, mtu=1442), cloud.Subnet(uuid=SUBNET, network=NET, cidr="10.1.0.0/24"))
    return made


def records(engine: Engine) -> dict[str, str] | None:
    row = engine.rows(DNS).get(NET)
    assert engine.rows(SWITCHES)[NET].dns_records == (() if row is None else (ref(DNS, NET),))
    return None if row is None else dict(row.records)


def test_a_named_port_of_somebody_is_found_by_name_and_by_address(engine: Engine) -> None:
    feed(engine, *port(1, "10.1.0.9", "fd00::9"))
    assert records(engine) == {
        "web": "10.1.0.9 fd00::9",
        "web.cloud.example": "10.1.0.9 fd00::9",
        "9.0.1.10.in-addr.arpa": "web.cloud.example",
        REVERSE6: "web.cloud.example",
    }
    assert engine.rows(DNS)[NET].external_ids == {"ls_name": f"neutron-{NET}"}


@pytest.mark.parametrize("columns", [{"dns_name": ""}, {"device_id": ""}])
def test_a_port_without_a_name_or_an_owner_is_not_in_it(engine: Engine, columns: dict[str, str]) -> None:
    feed(engine, *port(1, "10.1.0.9", **columns), *port(2))
    assert records(engine) is None


def test_the_domains_of_network_and_port_count(engine: Engine) -> None:
    feed(engine, cloud.Network(uuid=NET, mtu=1442, dns_domain="net.example."), *port(1, "10.1.0.9"))
    assert records(engine) == {
        "web": "10.1.0.9",
        "web.net.example": "10.1.0.9",
        "9.0.1.10.in-addr.arpa": "web.net.example",
    }
    feed(engine, *port(1, "10.1.0.9", dns_domain="port.example."))
    assert records(engine) == {
        "web": "10.1.0.9",
        "web.net.example": "10.1.0.9",
        "web.port.example": "10.1.0.9",
        "9.0.1.10.in-addr.arpa": "web.port.example",
    }


def test_what_several_ports_are_called_stands_for_all(engine: Engine) -> None:
    feed(engine, *port(1, "10.1.0.9"), *port(2, "10.1.0.10"))
    found = records(engine)
    assert found is not None
    assert sorted(found["web"].split()) == ["10.1.0.10", "10.1.0.9"]
    engine.feed(cloud.Port, uuid(4, 1), None)
    engine.run()
    assert records(engine) == {
        "web": "10.1.0.10",
        "web.cloud.example": "10.1.0.10",
        "10.0.1.10.in-addr.arpa": "web.cloud.example",
    }


def test_another_change_of_a_port_leaves_the_row_alone(engine: Engine) -> None:
    feed(engine, *port(1, "10.1.0.9"), *port(2, "10.1.0.10"))
    before = engine.rows(DNS).get(NET)
    assert isinstance(before, nb.DNS)
    row = port(1, "10.1.0.9")[-1]
    engine.log = []
    feed(engine, msgspec.structs.replace(row, name="other", revision_number=7))
    assert engine.log == [("plugin.ports.switch_port", row.uuid)]
    assert engine.rows(DNS).get(NET) is before
