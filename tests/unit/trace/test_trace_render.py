"""A trace in its three lengths and as JSON: the same events in each."""

from __future__ import annotations

import json

import msgspec

from ovine.model import nb
from ovine.model.base import Map
from ovine.trace import Options, Origins, Trace, render, run
from support.trace_cases import Text, uuid

TEXT = Text().read(
    """
    switch s1
    port s1 p1 name=web security="02:00:00:00:00:01"
    port s1 p2
    port s1 p3
    group s1 all p1 p2 p3
    flow s1 in 0 0 1 => reg0[0] = check_in_port_sec(); next;
    flow s1 in 1 50 reg0[0] => drop;
    flow s1 in 1 0 1 => next;
    flow s1 in 2 90 ip4 => ct_next;
    flow s1 in 2 80 nd_ns => nd_na { outport = inport; flags.loopback = 1; output; }; outport = "p2"; output;
    flow s1 in 2 0 eth.mcast => outport = "all"; output;
    flow s1 in 3 0 1 => outport = "p2"; ip.ttl--; output;
    flow s1 out 0 0 1 => output;
    """
)
FROM_P1 = 'inport == "p1" && eth.src == 02:00:00:00:00:01'


def traced(rest: str, *ct: str) -> Trace:
    return run(TEXT.world, "s1", f"{FROM_P1} && {rest}", Options(ct=ct))


def test_detailed_shows_stages_that_decide_with_reason_and_effect() -> None:
    switch = nb.LogicalSwitch(uuid=uuid(0xABCD), name="s1")
    flow = next(row for row in TEXT.world.flows[(uuid(1), "ingress", 3)])
    ids = Map({"stage-name": "in_3", "stage-hint": switch.uuid[:8], "source": "switching"})
    row = msgspec.structs.replace(flow, external_ids=ids)
    world = Text({**TEXT.rows, flow.uuid: row}).world
    trace = run(world, "s1", f"{FROM_P1} && ip4 && ip.ttl == 9", Options(ct=["new"]))
    text = render.detailed(trace, Origins.of([switch, *TEXT.rows.values()]))
    assert text == "\n".join(
        [
            'ingress of s1, in at "web" (p1)',
            "-------------------------------",
            " 0. in_0: 1, priority 0, uuid 00000006",
            "    reg0[0] = check_in_port_sec();  # reg0[0] = 0",
            "    next;",
            " 2. in_2: ip4, priority 90, uuid 00000009",
            "    ct_next;  # ct_state=new|trk",
            "",
            "ct_next",
            "-------",
            " 3. in_3 (switching): 1, priority 0, uuid 0000000c",
            "    # because of Logical_Switch s1",
            '    outport = "p2";',
            "    ip.ttl--;  # ip.ttl = 8",
            "    output;",
            "",
            'egress of s1, in at "web" (p1), out at p2',
            "-----------------------------------------",
            " 0. out_0: 1, priority 0, uuid 0000000d",
            "    output;",
            "    # delivered to p2",
            "",
            "delivered to p2",
        ]
    )


def test_detailed_says_who_dropped_it_and_why() -> None:
    trace = run(TEXT.world, "s1", 'inport == "p1" && eth.src == 02:00:00:00:00:09')
    assert render.detailed(trace, Origins()).splitlines()[-1] == (
        "dropped by in_1, flow 00000007 (reg0[0]): port security refuses it: "
        "the sender 02:00:00:00:00:09 is none of the port's (02:00:00:00:00:01)"
    )


def test_what_is_not_the_end_of_a_flow_stands_further_in() -> None:
    lines = render.detailed(traced("nd_ns"), Origins()).splitlines()
    assert "    nd_na" in lines
    assert "egress of s1, in at p1, out at p2" in lines


def test_copies_stand_below_their_group() -> None:
    lines = render.detailed(traced("eth.dst == ff:ff:ff:ff:ff:ff"), Origins()).splitlines()
    assert "multicast of s1, in at p1, out to each of all" in lines
    assert "    egress of s1, in at p1, out at p2" in lines
    assert lines[-2:] == ["delivered to p2", "delivered to p3"]
    assert any("omitted: it would go back" in line for line in lines)


def test_summary_shows_pipelines_and_actions() -> None:
    assert render.summary(traced("eth.dst == ff:ff:ff:ff:ff:ff")) == "\n".join(
        [
            'ingress(dp="s1", inport="p1") {',
            "    reg0[0] = check_in_port_sec();  # reg0[0] = 0",
            "    next;",
            '    outport = "all";',
            "    output;",
            '    multicast(dp="s1", mcgroup="all") {',
            '        egress(dp="s1", inport="p1", outport="p1") {',
            "            # omitted: it would go back to where it came from, and flags.loopback is not set",
            "        };",
            '        egress(dp="s1", inport="p1", outport="p2") {',
            "            output;",
            "            # delivered to p2",
            "        };",
            '        egress(dp="s1", inport="p1", outport="p3") {',
            "            output;",
            "            # delivered to p3",
            "        };",
            "    };",
            "};",
        ]
    )


def test_json_holds_the_outcome_and_the_tree() -> None:
    answer = json.loads(json.dumps(render.as_json(traced("ip4 && ip.ttl == 9", "new"), Origins.of(TEXT.rows.values()))))
    (delivered,) = answer["outcome"]["delivered"]
    assert (delivered["port"], delivered["packet"]["ip.ttl"]) == ("p2", "8")
    steps = answer["trace"]["nodes"]
    assert [(step["kind"], step["stage"]) for step in steps] == [("step", "in_0"), ("step", "in_1"), ("step", "in_2")]
    assert steps[0]["nodes"][0] == {
        "kind": "action",
        "action": "reg0[0] = check_in_port_sec()",
        "changes": [{"field": "reg0[0]", "value": "0"}],
        "note": "",
    }
    assert [node["kind"] for node in steps[2]["nodes"]] == ["action", "fork"]


def test_json_names_the_flow_that_dropped() -> None:
    trace = run(TEXT.world, "s1", 'inport == "p1" && eth.src == 02:00:00:00:00:09')
    (dropped,) = render.as_json(trace, Origins())["outcome"]["dropped"]
    assert (dropped["stage"], dropped["flow"]) == ("in_1", uuid(7))
    assert dropped["reason"].startswith("port security refuses it")


def test_a_network_without_a_name_is_called_by_its_id() -> None:
    world = Text().read(f"switch neutron-{uuid(5)}\nport neutron-{uuid(5)} p1").world
    first = render.detailed(run(world, "", 'inport == "p1"'), Origins()).splitlines()[0]
    assert first == "ingress of network 00000005, in at p1"
