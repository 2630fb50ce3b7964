"""Which datapaths have a load balancer: by themselves, by groups, lent by routers; and what hosts are told of it."""

from __future__ import annotations

from ovine.engine import Engine
from ovine.model import nb
from ovine.northd.balancers import BALANCED
from ovine.northd.flows import DATAPATHS, DP_GROUPS, MEMBERS
from ovine.northd.lb_switch import LOAD_BALANCERS
from ovine.projection import ref
from support.northd import Northbound, compiled

NETWORK = """
    switch s1
    switch s2
    switch s3
    port s1 s1-r type=router addresses=router options:router-port=r-s1
    port s2 s2-r type=router addresses=router options:router-port=r-s2
    router r
    rport r r-s1 0a:00:00:00:ff:01 10.0.1.254/24
    rport r r-s2 0a:00:00:00:ff:02 10.0.2.254/24
    router g chassis=h1
    lb web 10.9.9.9:80=10.0.1.1:80
"""
LENDING = "global install_ls_lb_from_router=true"
ENDING = "lb web 10.9.9.9:80=10.0.1.1:80 options:ct_flush=true"


def network(*more: str) -> tuple[Northbound, Engine]:
    made = Northbound()
    made.apply("\n".join((NETWORK, *more)))
    return made, compiled(made)


def apply(northbound: Northbound, engine: Engine, command: str) -> set[str]:
    """Applies a command; returns the names of the rules and queries that ran."""
    northbound.apply(command)
    engine.log = []
    northbound.feed(engine)
    engine.run()
    return {name for name, _ in engine.log}


def _names(engine: Engine) -> dict[str, str]:
    rows = {**engine.rows(nb.LogicalSwitch), **engine.rows(nb.LogicalRouter)}
    return {key: row.name for key, row in rows.items()}


def told(engine: Engine) -> str:
    """The datapaths that hosts are told to have the only load balancer."""
    names = {ref(DATAPATHS, key): name for key, name in _names(engine).items()}
    groups = {ref(DP_GROUPS, scope): group.datapaths for scope, group in engine.rows(DP_GROUPS).items()}
    rows = engine.rows(LOAD_BALANCERS).values()
    found = [one for row in rows for one in (*row.datapaths, *groups.get(row.datapath_group, ()))]  # type: ignore[arg-type]
    return " ".join(sorted(names[one] for one in found))


def balanced(engine: Engine) -> str:
    """The switches that send their packets through load balancing."""
    names = _names(engine)
    return " ".join(sorted(names[one.datapath] for one in engine.rows(MEMBERS) if one.scope == BALANCED))


def test_hosts_are_told_of_switches_and_of_routers_only_where_connections_are_to_end() -> None:
    northbound, engine = network("balance s1 web", "balance g web")
    assert told(engine) == "s1"
    apply(northbound, engine, ENDING)
    assert told(engine) == "g s1"
    apply(northbound, engine, "balance s1")
    assert told(engine) == "g"
    apply(northbound, engine, "lb web 10.9.9.9:80=10.0.1.1:80 options:ct_flush=false")
    assert told(engine) == ""


def test_a_load_balancer_of_a_group_that_ends_no_connections_is_told_of_switches_only() -> None:
    northbound, engine = network(
        "lb more 10.9.9.8:80=10.0.1.1:80", "lbgroup all web more", "balance s1 @all", "balance g @all"
    )
    apply(northbound, engine, ENDING)
    assert told(engine) == "g s1 s1"


def test_routers_that_can_balance_nowhere_are_not_told_of() -> None:
    _, engine = network(ENDING, "balance r web", "balance s3 web")
    assert told(engine) == "s3"


def test_routers_lend_only_if_they_are_to() -> None:
    northbound, engine = network("balance r web")
    (failure,) = engine.failures()
    assert "its load balancers have no effect" in failure.error and balanced(engine) == told(engine) == ""
    apply(northbound, engine, LENDING)
    assert engine.failures() == [] and balanced(engine) == told(engine) == "s1 s2"
    apply(northbound, engine, "global install_ls_lb_from_router=false")
    assert len(engine.failures()) == 1 and balanced(engine) == told(engine) == ""


def test_what_is_lent_goes_with_the_port_the_router_and_the_load_balancer() -> None:
    northbound, engine = network(LENDING, "lbgroup all web", "balance r @all")
    apply(northbound, engine, "port s3 s3-r type=router addresses=router options:router-port=r-s3")
    apply(northbound, engine, "rport r r-s3 0a:00:00:00:ff:03 10.0.3.254/24")
    assert balanced(engine) == told(engine) == "s1 s2 s3"
    apply(northbound, engine, "rport r r-s3 0a:00:00:00:ff:03 10.0.3.254/24 enabled=false")
    assert balanced(engine) == told(engine) == "s1 s2"
    apply(northbound, engine, "balance r")
    assert balanced(engine) == told(engine) == ""


def test_a_router_without_load_balancers_lends_none() -> None:
    northbound, engine = network(LENDING)
    assert balanced(engine) == ""
    ran = apply(northbound, engine, "balance s3 web")
    assert balanced(engine) == told(engine) == "s3" and "northd.balancers.balancing" not in ran
