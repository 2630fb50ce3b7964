"""Parts of action syntax: options, endpoints of load balancers, lists of hash fields.

Tests: tests/unit/language/test_action_cases.py.
"""

from __future__ import annotations

from ovine.language.actions import Endpoint, Option
from ovine.language.stream import Stream
from ovine.language.values import Constant, parse_constant


def options(stream: Stream) -> tuple[Option, ...]:
    """Read `(name = value, name = {value, …}, …)`; commas may be left out, names come more than once."""
    stream.expect("(", '"("')
    result = []
    while not stream.accept(")"):
        name = stream.expect("id", "the name of an option").value
        stream.expect("=", '"="')
        result.append(Option(name, _option_values(stream)))
        stream.accept(",")
    return tuple(result)


def _option_values(stream: Stream) -> tuple[Constant | str, ...]:
    if not stream.accept("{"):
        return (_option_value(stream),)
    values = [_option_value(stream)]
    stream.accept(",")
    while not stream.accept("}"):
        values.append(_option_value(stream))
        stream.accept(",")
    return tuple(values)


def _option_value(stream: Stream) -> Constant | str:
    if stream.token.kind == "string":
        return stream.take().value
    return stream.constant("a constant or a string")


def field_list(stream: Stream) -> tuple[str, ...]:
    """Read `"ip_src,ip_dst"`: names of Open vSwitch fields, in quotes, separated by commas."""
    token = stream.expect("string", "a list of fields in quotes")
    names = tuple(name.strip() for name in token.value.split(","))
    if not all(name and name.replace("_", "a").isalnum() for name in names):
        stream.fail("expected names of fields, separated by commas", token)
    return names


def endpoint(stream: Stream, named: bool) -> Endpoint:
    """Read `10.0.0.1:80`, `10.0.0.1`, `[fd00::1]:80`, `fd00::1`; with `named`, `"port":` comes first."""
    logical_port = None
    if named:
        logical_port = stream.expect("string", "the name of a port in quotes").value
        stream.expect(":", '":"')
    if stream.accept("["):
        address = _address(stream, "ip6")
        stream.expect("]", '"]"')
        return Endpoint(address, _port(stream), logical_port)
    address = _address(stream, None)
    port = _port(stream) if address.style == "ip4" else None
    return Endpoint(address, port, logical_port)


def _address(stream: Stream, style: str | None) -> Constant:
    token = stream.token
    address = stream.constant("an IP address")
    if address.mask is not None or address.style not in ("ip4", "ip6") or (style and address.style != style):
        stream.fail("expected an IP address", token)
    return address


def _port(stream: Stream) -> int | None:
    return stream.integer(1, 65535, "the port") if stream.accept(":") else None


def endpoint_text(stream: Stream) -> Endpoint:
    """Read an endpoint in quotes: `"10.0.0.1:80"`, `"[fd00::1]:80"`, `"fd00::1"`."""
    token = stream.expect("string", "an address and port in quotes")
    text = token.value
    port: int | None = None
    if text.startswith("["):
        text, _, rest = text[1:].partition("]")
        port_text = rest.removeprefix(":")
    elif text.count(":") == 1:
        text, _, port_text = text.partition(":")
    else:
        port_text = ""
    try:
        address = parse_constant(text)
        if port_text:
            port = int(port_text) if port_text.isascii() and port_text.isdigit() and len(port_text) < 6 else 0
    except ValueError:
        stream.fail("expected an IP address, with a port or without", token)
    if address.style not in ("ip4", "ip6") or address.mask is not None or port == 0 or (port or 0) > 65535:
        stream.fail("expected an IP address, with a port or without", token)
    return Endpoint(address, port)


def word_or_string(stream: Stream, words: tuple[str, ...]) -> str:
    """Read one of some words, in quotes or not: OVN's versions differ in this."""
    token = stream.token
    if token.kind not in ("id", "string") or token.value not in words:
        stream.fail(f"expected one of {', '.join(words)}")
    stream.take()
    return token.value
