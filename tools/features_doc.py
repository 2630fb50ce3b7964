"""Writes docs/features.md: what the packet cases found, by feature and combination of daemons.

    pytest tests/interop/test_packet_cases.py --junitxml=results.xml
    python tools/features_doc.py [results.xml …]

A feature is the opening sentence of a case in tests/cases/packets; a combination is one of that test's. Results that no
file has are those of the page as it is, and later files count for what several have; without a file, the cases are
listed anew. With --check: says whether the page lists exactly the cases that there are (exit status 1 if not).

Tests: tests/unit/tools/test_features_doc.py.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

TOP = Path(__file__).resolve().parent.parent
CASES = TOP / "tests/cases/packets"
PAGE = TOP / "docs/features.md"
AREAS = {
    "Routing": ("route", "router", "neighbour"),
    "IPv6 router advertisements": ("ra",),
    "NAT": ("nat",),
    "Gateways": ("gateway",),
    "Access control": ("acl", "port_security"),
    "Switching": ("l2", "arp", "nd", "port", "localnet", "localport", "virtual", "external", "trunk", "vlan"),
    "Multicast": ("igmp", "mld", "mcast", "relay"),
    "Services": ("copp", "dhcp4", "dhcp6", "dhcp_relay", "dns", "ipam", "qos", "metadata", "lb"),
    "Other": ("",),
}
"""Where features are told, by how their cases' names begin: the longest beginning counts."""
COMBINATIONS = {
    "theirs": "C / C",
    "our-northd": "Ovine / C",
    "our-controllers": "C / Ovine",
    "ours": "Ovine / Ovine",
    "mixed": "Ovine / both",
    "mixed-under-c": "C / both",
}
SIGNS = {"passed": "✓", "failed": "**fails**", "skipped": "—", "": "?"}
HEAD = """# Features, as packets show them

Generated from the results of `tests/interop/test_packet_cases.py` by `python tools/features_doc.py`; do not edit.

Each line is a case in `tests/cases/packets/`: a text that says which frames go in where, and which frames come out.
Each is run on three hosts in six combinations: northd / controllers, where C stands for the daemons of OVN 23.03, and
*both* for a cloud in which some hosts run one controller and some the other. ✓: each frame came out as the case says,
and no other; —: not run, because OVN 23.03 does not know the feature; ?: not run as yet."""


class Feature(NamedTuple):
    area: str
    name: str
    sentence: str


class Unreadable(Exception):
    """A case or a result that is not as it must be; says which."""


def area_of(name: str) -> str:
    """The area that a case belongs to."""
    fitting = [(len(start), area) for area, starts in AREAS.items() for start in starts if _begins(name, start)]
    return max(fitting)[1]


def _begins(name: str, start: str) -> bool:
    return not start or name == start or name.startswith(f"{start}_")


def features(directory: Path) -> list[Feature]:
    """The cases of a directory, in order of areas and names. Raises Unreadable for one without an opening sentence."""
    found = []
    for path in directory.glob("*.txt"):
        first = path.read_text().partition("\n")[0]
        if not first.startswith("# ") or not first.endswith("."):
            raise Unreadable(f"{path.name} does not begin with a sentence behind a #")
        found.append(Feature(area_of(path.stem), path.stem, first[2:]))
    order = list(AREAS)
    return sorted(found, key=lambda feature: (order.index(feature.area), feature.name))


def results(files: Iterable[Path]) -> dict[tuple[str, str], str]:
    """What became of (case, combination), from JUnit's XML. Raises Unreadable for a file that is none."""
    found: dict[tuple[str, str], str] = {}
    for file in files:
        try:
            cases = ElementTree.parse(file).iter("testcase")
        except (OSError, ElementTree.ParseError) as error:
            raise Unreadable(f"{file}: {error}") from None
        for case in cases:
            matched = re.fullmatch(r"test_packets\[(.+)\]", case.get("name", ""))
            if matched:
                found[_split(matched[1])] = _outcome(case)
    return found


def _split(text: str) -> tuple[str, str]:
    """Case and combination of CASE-COMBINATION; names of cases have no dashes."""
    name, _, combination = text.partition("-")
    return name, combination


def _outcome(case: ElementTree.Element) -> str:
    kinds = {child.tag for child in case}
    return "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"


def markdown(listed: Iterable[Feature], found: Mapping[tuple[str, str], str]) -> str:
    """The page."""
    return "\n".join([HEAD, *_sections(list(listed), found), ""])


def _sections(listed: list[Feature], found: Mapping[tuple[str, str], str]) -> Iterator[str]:
    for area in AREAS:
        rows = [feature for feature in listed if feature.area == area]
        if rows:
            yield from ("", f"## {area}", "")
            yield f"| feature | {' | '.join(COMBINATIONS.values())} | case |"
            yield f"|---|{':-:|' * len(COMBINATIONS)}---|"
            for feature in rows:
                signs = [SIGNS[found.get((feature.name, combination), "")] for combination in COMBINATIONS]
                yield f"| {feature.sentence.replace('|', '/')} | {' | '.join(signs)} | `{feature.name}` |"


def told(page: str) -> list[tuple[str, str]]:
    """The cases that a page lists, as (name, sentence)."""
    return [(found[2], found[1]) for found in re.finditer(r"^\| (.+?) \| .* \| `(\w+)` \|$", page, re.MULTILINE)]


def remembered(page: str) -> dict[tuple[str, str], str]:
    """The results that a page shows, by (case, combination)."""
    outcomes = {sign: outcome for outcome, sign in SIGNS.items()}
    found = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(COMBINATIONS) + 2 and cells[-1].startswith("`"):
            for combination, sign in zip(COMBINATIONS, cells[1:-1], strict=True):
                found[cells[-1].strip("`"), combination] = outcomes.get(sign, "")
    return found


def main(arguments: list[str]) -> int:
    try:
        listed = features(CASES)
        page = PAGE.read_text() if PAGE.is_file() else ""
        if arguments == ["--check"]:
            if told(page) == [(feature.name, feature.sentence) for feature in listed]:
                return 0
            print(f"{PAGE} does not list the cases that there are: run python tools/features_doc.py")
            return 1
        PAGE.write_text(markdown(listed, remembered(page) | results(map(Path, arguments))))
    except Unreadable as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
