"""Which networks have a responder here, and whom an address belongs to."""

from __future__ import annotations

from ovine.metadata.rules import GUESTS, RESPONDERS, Guest, Responder, link_local, new_engine
from ovine.model import sb
from ovine.model.base import StrMap, Uuid

US, OTHER = Uuid("00000000-0000-0000-0000-000000000001"), Uuid("00000000-0000-0000-0000-000000000002")
NET1, NET2 = Uuid("10000000-0000-0000-0000-000000000001"), Uuid("10000000-0000-0000-0000-000000000002")


def metadata_port(network: Uuid) -> sb.PortBinding:
    return sb.PortBinding(
        logical_port=f"meta-of-{network}",
        type="localport",
        datapath=network,
        mac=("fa:16:3e:00:00:fe 10.0.0.2",),
        external_ids=StrMap({"neutron:device_id": f"ovnmeta-{network}", "neutron:cidrs": "10.0.0.2/24"}),
    )


def vif(name: str, network: Uuid, chassis: Uuid | None, **ids: str) -> sb.PortBinding:
    marks = {"neutron:device_id": f"instance-{name}", "neutron:project_id": "p1"} | ids
    return sb.PortBinding(
        logical_port=name,
        datapath=network,
        chassis=chassis,
        mac=("fa:16:3e:00:00:01 10.0.0.11",),
        external_ids=StrMap(marks),
    )


def engine_with(*ports: sb.PortBinding):  # type: ignore[no-untyped-def]
    engine = new_engine("h1")
    engine.feed(sb.Chassis, US, sb.Chassis(uuid=US, name="h1"))
    for number, port in enumerate(ports):
        uuid = Uuid(f"20000000-0000-0000-0000-{number:012d}")
        engine.feed(sb.PortBinding, uuid, sb.PortBinding(**{f: getattr(port, f) for f in FIELDS}, uuid=uuid))
    engine.run()
    return engine


FIELDS = ("logical_port", "type", "datapath", "chassis", "mac", "external_ids")


def test_only_networks_with_an_instance_here_have_a_responder() -> None:
    engine = engine_with(metadata_port(NET1), metadata_port(NET2), vif("a", NET1, US), vif("b", NET2, OTHER))
    assert dict(engine.rows(RESPONDERS)) == {
        f"meta-of-{NET1}": Responder(f"meta-of-{NET1}", NET1, NET1, "fa:16:3e:00:00:fe", ("10.0.0.2/24",))
    }


def test_a_responder_goes_with_the_networks_last_instance() -> None:
    engine = engine_with(metadata_port(NET1), vif("a", NET1, US))
    engine.feed(sb.PortBinding, Uuid("20000000-0000-0000-0000-000000000001"), None)
    engine.run()
    assert dict(engine.rows(RESPONDERS)) == {}


def test_the_same_address_in_two_networks_is_two_instances() -> None:
    engine = engine_with(vif("a", NET1, US), vif("b", NET2, US))
    assert engine.rows(GUESTS)[NET1, "10.0.0.11"] == Guest("instance-a", "p1")
    assert engine.rows(GUESTS)[NET2, "10.0.0.11"] == Guest("instance-b", "p1")


def test_an_instance_is_also_known_by_its_link_local_address() -> None:
    engine = engine_with(vif("a", NET1, US))
    assert engine.rows(GUESTS)[NET1, "fe80::f816:3eff:fe00:1"] == Guest("instance-a", "p1")


def test_ports_elsewhere_and_ports_of_no_instance_are_nobody() -> None:
    engine = engine_with(vif("a", NET1, OTHER), vif("b", NET1, US, **{"neutron:device_id": ""}))
    assert dict(engine.rows(GUESTS)) == {}


def test_link_local_addresses_are_as_in_rfc_4291() -> None:
    assert link_local("34:56:78:9a:bc:de") == "fe80::3656:78ff:fe9a:bcde"


def test_device_names_fit_into_an_interface_name() -> None:
    assert len(Responder("p", NET1, NET1, "", ()).device) == 15
