"""Words of the language: tests of the lexer and of constants."""

from __future__ import annotations

import pytest

from ovine.language import Constant, SyntaxProblem
from ovine.language.lexer import tokenize
from ovine.language.values import parse_address, parse_constant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ip4.src", ["id:ip4.src"]),
        ("a.b.c_1", ["id:a.b.c_1"]),
        ("reg0[0..31]", ["id:reg0", "[", "int:0", "..", "int:31", "]"]),
        ("ip.ttl--;", ["id:ip.ttl", "--", ";"]),
        ("a <-> b", ["id:a", "<->", "id:b"]),
        ("a<b <=c!=d", ["id:a", "<", "id:b", "<=", "id:c", "!=", "id:d"]),
        ("10.0.0.1:80-90", ["int:10.0.0.1", ":", "int:80", "-", "int:90"]),
        ("[fd00::1]:80", ["[", "int:fd00::1", "]", ":", "int:80"]),
        ('"lsp":fd00::1', ["string:lsp", ":", "int:fd00::1"]),
        ("::1/128,::/0", ["int:::1/128", ",", "int:::/0"]),
        ("aa:bb:cc:dd:ee:ff", ["int:aa:bb:cc:dd:ee:ff"]),
        ("10.0.0.0/8 // a /* b", ["int:10.0.0.0/8"]),
        ("10.0.0.0//8", ["int:10.0.0.0"]),
        ("1/*2*/3", ["int:1", "int:3"]),
        ("$a.b_ip4 @grp ^var", ["as:a.b_ip4", "pg:grp", "tv:var"]),
        (r'"a\n\"\u0041"', ['string:a\n"A']),
        ("", []),
        (" \t\r\n", []),
    ],
)
def test_text_splits_into_tokens(text: str, expected: list[str]) -> None:
    found = tokenize(text)
    assert [
        token.kind if token.kind == token.value else f"{token.kind}:{token.value}" for token in found[:-1]
    ] == expected
    assert (found[-1].kind, found[-1].start) == ("end", len(text))


@pytest.mark.parametrize(
    ("text", "value", "mask", "printed"),
    [
        ("0", 0, None, "0"),
        ("0x0A", 10, None, "0xa"),
        ("0x" + "f" * 32, 2**128 - 1, None, "0x" + "f" * 32),
        ("255.0.0.1", 0xFF000001, None, "255.0.0.1"),
        ("10.0.0.0/8", 0x0A000000, 0xFF000000, "10.0.0.0/8"),
        ("0.0.0.0/0", 0, 0, "0.0.0.0/0"),
        ("10.0.0.1/32", 0x0A000001, None, "10.0.0.1"),
        ("10.0.0.1/255.0.0.255", 0x0A000001, 0xFF0000FF, "10.0.0.1/255.0.0.255"),
        ("1:2:3:4:5:6", 0x010203040506, None, "01:02:03:04:05:06"),
        ("::", 0, None, "::"),
        ("fe80::/10", 0xFE80 << 112, 0x3FF << 118, "fe80::/10"),
        ("ff02::1/ffff::ffff", 0xFF02 << 112 | 1, 0xFFFF << 112 | 0xFFFF, "ff02::1/ffff::ffff"),
        ("4/0xc", 4, 12, "4/12"),
    ],
)
def test_constants_have_value_mask_and_spelling(text: str, value: int, mask: int | None, printed: str) -> None:
    constant = parse_constant(text)
    assert (constant.value, constant.mask, str(constant)) == (value, mask, printed)
    assert parse_constant(printed) == constant


@pytest.mark.parametrize(
    "text", ["", "x", "1.2.3", "1.2.3.4.5", "0x", "1/", "/1", "1/2/3", "::1/129", "-1", "1 2", "²"]
)
def test_other_words_are_no_constants(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_constant(text)


def test_a_long_constant_is_refused_in_a_short_time_and_message() -> None:
    for text in ("9" * 100_000, "0x" + "f" * 100_000):
        with pytest.raises(SyntaxProblem) as caught:
            tokenize(text)
        assert len(caught.value.message) < 120


def test_half_a_character_in_a_string_is_refused() -> None:
    with pytest.raises(SyntaxProblem, match="not a JSON string"):
        tokenize(r'"\ud800"')


def test_addresses_of_sets_may_have_host_bits_below_their_prefix() -> None:
    assert parse_address("10.0.0.1/24") == (0x0A000000, 0xFFFFFF00, "ip4")
    assert parse_address(" fd00::1 ") == ((0xFD << 120) + 1, None, "ip6")
    assert parse_address("10.0.0.1/32") == (0x0A000001, None, "ip4")
    assert parse_address("a host") is None
    assert parse_address("10.0.0.1/99") is None


def test_constants_know_when_they_are_equal() -> None:
    assert parse_constant("10.0.0.0/255.0.0.0") == Constant(0x0A000000, 0xFF000000, "ip4")
