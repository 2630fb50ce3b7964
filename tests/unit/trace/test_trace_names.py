"""A trace that is told which name a packet asks for finds the answer that hosts would give."""

from __future__ import annotations

import pytest

from ovine.model import sb
from ovine.model.base import Map
from ovine.trace import Options, Origins, render, run
from ovine.trace.names import Question
from support.trace_cases import Text, uuid

TEXT = """
switch s1
port s1 p1
port s1 p2
flow s1 in 0 90 udp.dst == 53 => reg0[4] = dns_lookup(); next;
flow s1 in 1 90 reg0[4] => outport = "p1"; flags.loopback = 1; output;
flow s1 in 1 0 1 => outport = "p2"; output;
"""
RECORDS = {
    "www.red": "10.0.0.4, fd00::4",
    "ours.red": "10.0.0.5",
    "4.0.0.10.in-addr.arpa": "www.red",
}


def traced(question: str) -> str:
    text = Text().read(TEXT)
    datapath = text.names["s1"]
    for number, name in enumerate(RECORDS, 0x100):
        ids = Map({"ovn-owned": "true"} if name == "ours.red" else {})
        row = sb.DNS(uuid=uuid(number), records=Map({name: RECORDS[name]}), datapaths=(datapath,), external_ids=ids)
        text.rows[row.uuid] = row
    options = Options(question=Question.read(question) if question else None)
    return render.detailed(run(text.world, "", 'inport == "p1" && ip4 && udp.dst == 53', options), Origins())


@pytest.mark.parametrize(
    ("question", "answered", "said"),
    [
        ("", False, "taken as a question for another name than the 3 that are known here"),
        ("www.red", True, "a www.red: 10.0.0.4"),
        ("AAAA WWW.red.", True, "aaaa www.red: fd00::4"),
        ("any www.red", True, "any www.red: 10.0.0.4, fd00::4"),
        ("ptr 4.0.0.10.in-addr.arpa", True, "ptr 4.0.0.10.in-addr.arpa: www.red"),
        ("a 4.0.0.10.in-addr.arpa", False, "nothing is known here of type a for 4.0.0.10.in-addr.arpa"),
        ("mx www.red", False, "nothing is known here of type mx for www.red"),
        ("aaaa ours.red", True, "ours.red is known here, and has no record of type aaaa"),
        ("blue", False, "blue is not known here"),
    ],
)
def test_a_question_is_answered_as_hosts_do(question: str, answered: bool, said: str) -> None:
    shown = traced(question)
    assert said in shown
    assert ("out at p1" in shown, "out at p2" in shown) == (answered, not answered)


def test_what_is_no_question_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a question such as"):
        Question.read("a b c")
