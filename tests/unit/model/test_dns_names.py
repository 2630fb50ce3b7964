"""Names of ports' addresses."""

from __future__ import annotations

import pytest

from ovine.model.dns_names import assigned, domain_of, problem, reverse


@pytest.mark.parametrize(
    "name, domain, address, hostname, fqdn",
    [
        ("web", "example.org.", "10.0.0.1", "web", "web.example.org."),
        ("", "example.org.", "10.0.0.1", "host-10-0-0-1", "host-10-0-0-1.example.org."),
        ("", "example.org.", "fd00:1::aa", "host-fd00-1--aa", "host-fd00-1--aa.example.org."),
        ("web.example.org.", "example.org.", "10.0.0.1", "web", "web.example.org."),
        ("a.b", "", "10.0.0.1", "a.b", "a.b."),
        ("web.example.org.", "elsewhere.", "10.0.0.1", "web.example.org", "web.example.org."),
    ],
)
def test_an_address_has_the_ports_name_or_one_made_from_it(
    name: str, domain: str, address: str, hostname: str, fqdn: str
) -> None:
    assert assigned(name, domain, address) == (hostname, fqdn)


def test_the_nearest_domain_counts() -> None:
    assert domain_of("a.", "b.", "c") == "a."
    assert domain_of("", "B.", "c") == "b."
    assert domain_of("", "", "c") == "c."
    assert domain_of("", "", "") == domain_of(".") == ""


@pytest.mark.parametrize(
    "name, domain, good",
    [
        ("", "example.org.", True),
        ("web", "example.org.", True),
        ("web", "", True),
        ("web.example.org.", "example.org.", True),
        ("example.org.", "example.org.", False),
        ("web.example.com.", "example.org.", False),
        ("webexample.org.", "example.org.", False),
        ("web.", "", False),
        (".".join(["a" * 60] * 4), "a" * 10 + ".", True),
        (".".join(["a" * 60] * 4), "a" * 11 + ".", False),
    ],
)
def test_a_name_fits_into_its_domain(name: str, domain: str, good: bool) -> None:
    assert (problem(name, domain) is None) == good


def test_addresses_have_reverse_names() -> None:
    assert reverse("10.1.0.12") == "12.0.1.10.in-addr.arpa"
    assert reverse("fd00::1").startswith("1.0.0.0.") and reverse("fd00::1").endswith(".0.0.d.f.ip6.arpa")
