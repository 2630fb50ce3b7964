"""Actions: text to trees.

    actions   := "" | { statement ";" }
    statement := word | word "{" actions "}" | word "(" … ")" | field "=" … | field "<->" field | ip.ttl "--"

Regular actions are read by the tables of `ovine.language.action_forms`; those with syntax of their own have a function
here, found in `_STATEMENTS` and `_RESULTS`. Types are checked while reading. Source: ovn-sb(5), "actions".

Tests: tests/unit/language/test_action_cases.py; tests/cases/language/actions.txt.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar, cast, get_args

from ovine.language import action_forms as forms
from ovine.language import actions as act
from ovine.language.action_arguments import endpoint, endpoint_text, field_list, options, word_or_string
from ovine.language.actions import Action, Pipeline
from ovine.language.lexer import Token
from ovine.language.parser import value_problem
from ovine.language.stream import Stream
from ovine.language.symbols import OVN_FIELDS, Subfield
from ovine.language.values import Constant

MAX_TABLE: Final = 34
"""The highest table of a logical pipeline (Logical_Flow.table_id)."""

_T = TypeVar("_T")


@lru_cache(maxsize=8192)
def parse_actions(text: str, pipeline: Pipeline | None = None) -> tuple[Action, ...]:
    """Read the actions of a logical flow; nothing and `drop;` both drop.

    With `pipeline`, actions that are not valid in that pipeline are refused too. Raises SyntaxProblem, and nothing
    else, for text that is not actions. Template variables must have been expanded.
    """
    stream = Stream(text)
    parser = _Parser(stream, pipeline)
    result = parser.sequence("end")
    return tuple(result)


class _Parser:
    """One run over a stream. `in_commit` is true inside ct_commit {}."""

    def __init__(self, stream: Stream, pipeline: Pipeline | None) -> None:
        self.stream = stream
        self.pipeline = pipeline
        self.in_commit = False

    def sequence(self, closing: str) -> list[Action]:
        """Statements up to the end or the closing brace, which is not read."""
        stream = self.stream
        result: list[Action] = []
        while stream.token.kind != closing:
            start = stream.token
            action = self.statement()
            stream.expect(";", '";"')
            if (isinstance(action, act.Drop) and result) or (result and isinstance(result[0], act.Drop)):
                stream.fail("drop; must be the only action", start)
            result.append(action)
        return result

    def statement(self) -> Action:
        """One action, without its semicolon."""
        stream = self.stream
        token = stream.token
        if token.kind != "id":
            stream.fail("expected an action" if token.kind != "tv" else _unexpanded(token))
        word = token.value
        if stream.peek().kind in ("=", "<->", "[", "--"):
            return self.assignment()
        if word in forms.WORDS:
            stream.take()
            return forms.WORDS[word]()
        if word == "handle_bfd_msg" and stream.peek().kind == ";":
            stream.take()
            return act.HandleBfdMsg()
        if word in forms.BLOCKS:
            stream.take()
            bare = word == "tcp_reset" and stream.token.kind == ";"  # ovn-sb(5) writes it both ways
            return cast(Action, forms.BLOCKS[word](() if bare else self.block()))
        if word in forms.CALLS:
            signature = forms.CALLS[word]
            if signature.result:
                stream.fail(f"{word} has a result: field = {word}(…)")
            return self.call(signature)
        if word in _STATEMENTS:
            stream.take()
            return _STATEMENTS[word](self, word)
        if word in forms.PUT_OPTIONS or word == "select":
            stream.fail(f"{word} has a result: field = {word}(…)")
        return stream.fail(f"there is no action {word}")

    def block(self) -> tuple[Action, ...]:
        """Actions in braces."""
        stream = self.stream
        stream.expect("{", '"{"')
        stream.descend()
        result = self.sequence("}") if stream.token.kind != "end" else []
        stream.expect("}", '"}"')
        stream.ascend()
        return tuple(result)

    def assignment(self) -> Action:
        """Anything that starts with a field."""
        stream = self.stream
        start = stream.token
        if start.value in OVN_FIELDS:
            return self.ovn_field()
        if start.value == "ip.ttl" and stream.peek().kind == "--":
            stream.take()
            stream.take()
            return act.DecTtl()
        dst = stream.subfield()
        if stream.accept("<->"):
            return self.exchange(dst, start)
        self.writable(dst, start)
        stream.expect("=", '"=" or "<->"')
        token = stream.token
        if token.kind == "id":
            return self.result(dst, token, start)
        value: Constant | str
        if token.kind == "string":
            value = token.value
        elif token.constant is not None:
            value = token.constant
        else:
            stream.fail(_unexpanded(token) if token.kind == "tv" else "expected a constant, a field or an action")
        problem = value_problem(dst, value)
        if problem:
            stream.fail(problem)
        stream.take()
        return act.Set(dst, value)

    def ovn_field(self) -> Action:
        """`icmp4.frag_mtu = constant`."""
        stream = self.stream
        entry = OVN_FIELDS[stream.take().value]
        stream.expect("=", '"="')
        token = stream.token
        value = stream.constant()
        if value.mask is not None or value.value >> entry.width:
            stream.fail(f"{entry.name} takes a plain constant of {entry.width} bits", token)
        return act.SetOvnField(entry.name, value)

    def exchange(self, left: Subfield, start: Token) -> Action:
        """`left <-> right`, the left read already."""
        stream = self.stream
        at = stream.token
        right = stream.subfield()
        self.writable(left, start)
        self.writable(right, at)
        self.same_type(left, right, at)
        return act.Exchange(left, right)

    def result(self, dst: Subfield, token: Token, start: Token) -> Action:
        """`dst =` followed by a name: a call with a result, or another field."""
        stream = self.stream
        word = token.value
        if word in forms.CALLS:
            signature = forms.CALLS[word]
            if not signature.result:
                stream.fail(f"{word} has no result")
            self.result_type(dst, signature.result, start)
            return self.call(signature, dst)
        if word in forms.PUT_OPTIONS:
            self.result_type(dst, 1, start)
            if self.pipeline == "egress":
                stream.fail(f"{word} is only valid in the ingress pipeline")
            stream.take()
            return cast(Action, forms.PUT_OPTIONS[word](dst, self.checked_options(word, token)))
        if word == "select":
            stream.take()
            return self.select(dst, start)
        src = stream.subfield()
        self.same_type(dst, src, token)
        return act.Move(dst, src)

    def checked_options(self, word: str, token: Token) -> tuple[act.Option, ...]:
        """Options in parentheses; those that must be there are."""
        found = options(self.stream)
        names = {option.name for option in found}
        for name in _MANDATORY[word]:
            if name not in names:
                self.stream.fail(f"{word} needs the option {name}", token)
        return found

    def call(self, signature: forms.Signature, dst: Subfield | None = None) -> Action:
        """A regular call, by its signature."""
        stream = self.stream
        word = stream.take().value
        if word == "dns_lookup" and self.pipeline == "egress":
            stream.fail("dns_lookup is only valid in the ingress pipeline", stream.peek(-1))
        arguments: dict[str, Any] = {} if dst is None else {"dst": dst}
        stream.expect("(", '"("')
        for number, (name, kind) in enumerate(signature.parameters):
            if number:
                stream.expect(",", '","')
            arguments[name] = self.argument(name, kind)
        stream.expect(")", '")"')
        return cast(Action, signature.action(**arguments))

    def argument(self, name: str, kind: str | tuple[int, int]) -> object:
        """One argument of a regular call."""
        stream = self.stream
        token = stream.token
        if isinstance(kind, tuple):
            return stream.integer(*kind, f"the {name}")
        if kind == "string":
            return stream.expect("string", "the name of a port in quotes").value
        if kind == "ip4-constant":
            value = stream.constant("an IPv4 address")
            if value.style != "ip4" or value.mask is not None:
                stream.fail("expected an IPv4 address", token)
            return value
        field = stream.subfield()
        if kind == "writable":
            self.writable(field, token)
        elif kind == "port" and field.field.kind != "string":
            stream.fail("expected a port field, such as inport", token)
        elif kind in _WIDTHS and (field.field.kind == "string" or field.width != _WIDTHS[kind]):
            stream.fail(f"expected a field of {_WIDTHS[kind]} bits", token)
        return field

    def select(self, dst: Subfield, at: Token) -> Action:
        """`(1=20, 2=30)` or `(values=(1=20, 2=30); hash_fields="…")`."""
        stream = self.stream
        if dst.width < 16:
            stream.fail("the result of select has 16 bits", at)
        stream.expect("(", '"("')
        hash_fields: tuple[str, ...] = ()
        if stream.accept_word("values"):
            stream.expect("=", '"="')
            stream.expect("(", '"("')
            members = self.members()
            stream.expect(")", '")"')
            stream.expect(";", '";"')
            stream.expect_word("hash_fields")
            stream.expect("=", '"="')
            hash_fields = field_list(stream)
        else:
            members = self.members()
        stream.expect(")", '")"')
        return act.Select(dst, members, hash_fields)

    def members(self) -> tuple[act.Member, ...]:
        """At least two numbers, each with a weight or without."""
        stream = self.stream
        result = []
        while True:
            value = stream.integer(0, 65535, "the number to select")
            weight = stream.integer(1, 65535, "the weight") if stream.accept("=") else 100
            result.append(act.Member(value, weight))
            if not stream.accept(","):
                break
        if len(result) < 2:
            stream.fail("select needs two numbers or more")
        return tuple(result)

    def next(self, _word: str) -> Action:
        """`next`, `next(3)`, `next(pipeline=egress, table=3)`."""
        stream = self.stream
        if not stream.accept("("):
            return act.Next()
        pipeline: Pipeline | None = None
        table: int | None = None
        if stream.token.kind == "int":
            table = stream.integer(0, MAX_TABLE, "the table")
        else:
            while True:
                if stream.accept_word("pipeline"):
                    stream.expect("=", '"="')
                    pipeline = choice(stream, Pipeline)
                elif stream.accept_word("table"):
                    stream.expect("=", '"="')
                    table = stream.integer(0, MAX_TABLE, "the table")
                else:
                    stream.fail('expected "pipeline" or "table"')
                if not stream.accept(","):
                    break
        stream.expect(")", '")"')
        return act.Next(pipeline, table)

    def ct_next(self, _word: str) -> Action:
        """`ct_next`, `ct_next(dnat)`."""
        return act.CtNext(self.zone()) if self.stream.token.kind == "(" else act.CtNext()

    def ct_commit_to_zone(self, _word: str) -> Action:
        """`ct_commit_to_zone(dnat)`."""
        return act.CtCommitToZone(self.zone())

    def zone(self) -> act.Zone:
        """`(dnat)` or `(snat)`."""
        stream = self.stream
        stream.expect("(", '"("')
        zone: act.Zone = choice(stream, act.Zone)
        stream.expect(")", '")"')
        return zone

    def ct_commit(self, _word: str) -> Action:
        """All three forms of ct_commit."""
        stream = self.stream
        if stream.token.kind == "{":
            return self.ct_commit_block()
        if not stream.accept("("):
            return act.CtCommit()
        values: dict[str, Constant] = {}
        while not stream.accept(")"):
            token = stream.expect("id", "ct_mark or ct_label")
            width = {"ct_mark": 32, "ct_label": 128}.get(token.value)
            if width is None or token.value in values:
                stream.fail("expected ct_mark or ct_label, each once", token)
            stream.expect("=", '"="')
            at = stream.token
            value = stream.constant()
            if max(value.value, value.mask or 0) >> width:
                stream.fail(f"{token.value} has {width} bits", at)
            values[token.value] = value
            if stream.token.kind != ")":
                stream.expect(",", '"," or ")"')
        return act.CtCommit(values.get("ct_mark"), values.get("ct_label"))

    def ct_commit_block(self) -> Action:
        """`{ ct_mark.blocked = 1; ct_label = …; }`"""
        stream = self.stream
        start = stream.token
        self.in_commit = True
        block = self.block()
        self.in_commit = False
        for action in block:
            # Anything else can't be part of the one OpenFlow action that commits.
            fits = isinstance(action, act.Set | act.Move) and action.dst.field.writable == "ct_commit"
            if not fits:
                stream.fail("ct_commit { } can only assign to ct_mark and ct_label", start)
        return act.CtCommitBlock(block)

    def ct_nat(self, word: str) -> Action:
        """`ct_dnat`, `ct_snat(10.0.0.1, 1-1000)` and so on."""
        stream = self.stream
        direction: act.Zone = "dnat" if "dnat" in word else "snat"
        common = word.endswith("czone")
        if not stream.accept("("):
            return act.CtNat(direction, common)
        token = stream.token
        address = stream.constant("an IP address")
        if address.style not in ("ip4", "ip6") or address.mask is not None:
            stream.fail("expected an IP address", token)
        ports: tuple[int, int] | None = None
        if stream.accept(","):
            low = stream.integer(1, 65535, "the port")
            high = stream.integer(low, 65535, "the last port") if stream.accept("-") else low
            ports = (low, high)
        stream.expect(")", '")"')
        return act.CtNat(direction, common, address, ports)

    def ct_lb(self, word: str) -> Action:
        """`ct_lb_mark(backends=10.0.0.1:80,10.0.0.2:80; hash_fields="ip_src"; skip_snat)`"""
        stream = self.stream
        word_ = cast(act.LbWord, word)
        if not stream.accept("(") or stream.accept(")"):
            return act.CtLb(word_)
        stream.expect_word("backends")
        stream.expect("=", '"="')
        backends = [endpoint(stream, named=word == "ct_lb_mark_local")]
        while stream.accept(","):
            backends.append(endpoint(stream, named=word == "ct_lb_mark_local"))
        hash_fields: tuple[str, ...] = ()
        flag: Literal["skip_snat", "force_snat"] | None = None
        while stream.accept(";"):
            if stream.accept_word("hash_fields"):
                stream.expect("=", '"="')
                hash_fields = field_list(stream)
            elif stream.accept_word("skip_snat"):
                flag = "skip_snat"
            elif stream.accept_word("force_snat"):
                flag = "force_snat"
            else:
                stream.fail("expected hash_fields, skip_snat or force_snat")
        stream.expect(")", '")"')
        return act.CtLb(word_, tuple(backends), hash_fields, flag)

    def commit_lb_aff(self, _word: str) -> Action:
        """`(vip = "…", backend = "…", proto = tcp, timeout = 30)`; proto where there are ports."""
        stream = self.stream
        start = stream.peek(-1)
        found = self.keywords(
            {
                "vip": lambda: endpoint_text(stream),
                "backend": lambda: endpoint_text(stream),
                "proto": lambda: choice(stream, act.Protocol),
                "timeout": lambda: stream.integer(1, 65535, "the timeout"),
            }
        )
        for name in ("vip", "backend", "timeout"):
            if name not in found:
                stream.fail(f"commit_lb_aff needs {name}", start)
        if found["vip"].port is not None and "proto" not in found:
            stream.fail("commit_lb_aff needs proto, for there is a port", start)
        return act.CommitLbAff(found["vip"], found["backend"], found.get("proto"), found["timeout"])

    def trigger_event(self, _word: str) -> Action:
        """`(event = "empty_lb_backends", vip = "…", …)`"""
        stream = self.stream
        start = stream.peek(-1)
        found = options(stream)
        if not found or found[0].name != "event" or found[0].values != ("empty_lb_backends",):
            stream.fail('trigger_event starts with event = "empty_lb_backends"', start)
        return act.TriggerEvent("empty_lb_backends", found[1:])

    def fwd_group(self, _word: str) -> Action:
        """`(liveness=true, childports="p1", "p2")`"""
        stream = self.stream
        stream.expect("(", '"("')
        liveness = False
        if stream.accept_word("liveness"):
            stream.expect("=", '"="')
            liveness = word_or_string(stream, ("true", "false")) == "true"
            stream.expect(",", '","')
        stream.expect_word("childports")
        stream.expect("=", '"="')
        ports = [stream.expect("string", "the name of a port in quotes").value]
        while stream.accept(","):
            ports.append(stream.expect("string", "the name of a port in quotes").value)
        stream.expect(")", '")"')
        return act.FwdGroup(liveness, tuple(ports))

    def commit_ecmp_nh(self, _word: str) -> Action:
        """`(ipv6 = false, proto = tcp)`"""
        stream = self.stream
        start = stream.peek(-1)
        found = self.keywords(
            {
                "ipv6": lambda: word_or_string(stream, ("true", "false")) == "true",
                "proto": lambda: word_or_string(stream, get_args(act.Protocol)),
            }
        )
        if "ipv6" not in found:
            stream.fail("commit_ecmp_nh needs ipv6", start)
        return act.CommitEcmpNh(found["ipv6"], found.get("proto"))

    def set_meter(self, _word: str) -> Action:
        """`(rate)` or `(rate, burst)`"""
        stream = self.stream
        stream.expect("(", '"("')
        rate = stream.integer(1, 0xFFFFFFFF, "the rate")
        burst = stream.integer(0, 0xFFFFFFFF, "the burst") if stream.accept(",") else None
        stream.expect(")", '")"')
        return act.SetMeter(rate, burst)

    def log(self, _word: str) -> Action:
        """`(name="…", verdict=allow, severity=info, meter="…")`"""
        stream = self.stream
        found = self.keywords(
            {
                "name": lambda: stream.expect("string", "a name in quotes").value,
                "verdict": lambda: choice(stream, act.Verdict),
                "severity": lambda: choice(stream, act.Severity),
                "meter": lambda: stream.expect("string", "a name in quotes").value,
            }
        )
        return act.Log(**found)

    def sample(self, _word: str) -> Action:
        """`(probability=…, collector_set=…, obs_domain=…, obs_point=…)`"""
        stream = self.stream
        start = stream.peek(-1)
        found = self.keywords(
            {
                "probability": lambda: stream.integer(1, 65535, "the probability"),
                "collector_set": lambda: stream.integer(0, 0xFFFFFFFF, "the collector set"),
                "obs_domain": lambda: stream.integer(0, 255, "the observation domain"),
                "obs_point": self.observation_point,
            }
        )
        if "probability" not in found:
            stream.fail("sample needs probability", start)
        domain = found.get("obs_domain", 0)
        return act.Sample(found["probability"], found.get("collector_set", 0), domain, found.get("obs_point", 0))

    def observation_point(self) -> int | Subfield | None:
        """A number, a field of at most 32 bits, or `$cookie`."""
        stream = self.stream
        token = stream.token
        if token.kind in ("as", "pg") and token.value == "cookie":
            stream.take()
            return None
        if token.kind != "id":
            return stream.integer(0, 0xFFFFFFFF, "the observation point")
        field = stream.subfield()
        if field.width > 32:
            stream.fail("the observation point has 32 bits", token)
        return field

    def keywords(self, readers: dict[str, Callable[[], _T]]) -> dict[str, Any]:
        """`(name = value, …)` in any order, each at most once."""
        stream = self.stream
        stream.expect("(", '"("')
        found: dict[str, Any] = {}
        while not stream.accept(")"):
            token = stream.token
            if token.kind != "id" or token.value not in readers:
                stream.fail(f"expected one of {', '.join(readers)}")
            if token.value in found:
                stream.fail(f"{token.value} is given twice")
            stream.take()
            stream.expect("=", '"="')
            found[token.value] = readers[token.value]()
            if stream.token.kind != ")":
                stream.expect(",", '"," or ")"')
        return found

    def writable(self, field: Subfield, at: Token) -> None:
        """Fail unless an action may assign to a field here."""
        rule = field.field.writable
        if rule == "no":
            self.stream.fail(f"{field.name} can't be changed", at)
        if rule == "ct_commit" and not self.in_commit:
            self.stream.fail(f"{field.name} can only be changed inside ct_commit {{ }}", at)
        # Blocks may go back to the ingress pipeline, as those of ovn-northd do for rejected connections.
        if rule == "ingress" and self.pipeline == "egress" and self.stream.depth == 0:
            self.stream.fail(f"{field.name} can't be changed in the egress pipeline", at)

    def same_type(self, left: Subfield, right: Subfield, at: Token) -> None:
        """Fail unless one field can be copied to the other."""
        left_string, right_string = (field.field.kind == "string" for field in (left, right))
        if left_string != right_string:
            self.stream.fail("a port field can only be exchanged with another port field", at)
        if not left_string and left.width != right.width:
            self.stream.fail(f"{left} has {left.width} bits, {right} has {right.width}", at)

    def result_type(self, dst: Subfield, result: int, at: Token) -> None:
        """Fail unless a field can take the result of a call."""
        is_port = dst.field.kind == "string"
        if result == forms.PORT_RESULT and not is_port:
            self.stream.fail("the result is a port; it goes to a port field, such as outport", at)
        if result != forms.PORT_RESULT and (is_port or dst.width != result):
            self.stream.fail(f"the result has {result} bit{'s' * (result != 1)}; {dst} does not fit", at)


def choice(stream: Stream, of: Any) -> Any:
    """Read one of the words of a Literal type."""
    words = get_args(of)
    token = stream.token
    if token.kind != "id" or token.value not in words:
        stream.fail(f"expected one of {', '.join(words)}")
    stream.take()
    return token.value


def _unexpanded(token: Token) -> str:
    return f"the template variable ^{token.value} has no value here"


_WIDTHS: Final = {"ip4": 32, "ip6": 128, "mac": 48}
_MANDATORY: Final[dict[str, tuple[str, ...]]] = {
    "put_dhcp_opts": ("offerip",),
    "put_dhcpv6_opts": (),
    "put_nd_ra_opts": ("addr_mode", "slla"),
}
_STATEMENTS: Final[dict[str, Callable[[_Parser, str], Action]]] = {
    "next": _Parser.next,
    "ct_next": _Parser.ct_next,
    "ct_commit": _Parser.ct_commit,
    "ct_commit_to_zone": _Parser.ct_commit_to_zone,
    "ct_dnat": _Parser.ct_nat,
    "ct_snat": _Parser.ct_nat,
    "ct_dnat_in_czone": _Parser.ct_nat,
    "ct_snat_in_czone": _Parser.ct_nat,
    "ct_lb": _Parser.ct_lb,
    "ct_lb_mark": _Parser.ct_lb,
    "ct_lb_mark_local": _Parser.ct_lb,
    "commit_lb_aff": _Parser.commit_lb_aff,
    "trigger_event": _Parser.trigger_event,
    "fwd_group": _Parser.fwd_group,
    "commit_ecmp_nh": _Parser.commit_ecmp_nh,
    "set_meter": _Parser.set_meter,
    "log": _Parser.log,
    "sample": _Parser.sample,
}
