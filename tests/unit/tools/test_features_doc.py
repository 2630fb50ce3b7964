"""The page of features: it lists the packet cases that there are, with what became of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

TOP = Path(__file__).parents[3]
RESULTS = """<testsuites><testsuite>
<testcase name="test_packets[nat_snat-ours]"/>
<testcase name="test_packets[nat_snat-our-northd]"><failure message="no"/></testcase>
<testcase name="test_packets[nat_snat-mixed-under-c]"><skipped/></testcase>
<testcase name="test_other"/>
</testsuite></testsuites>"""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("features_doc", TOP / "tools/features_doc.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_lists_exactly_the_cases_that_there_are(tool: ModuleType) -> None:
    assert tool.main(["--check"]) == 0


def test_all_cases_have_an_area(tool: ModuleType) -> None:
    assert [feature.name for feature in tool.features(tool.CASES) if feature.area == "Other"] == []


def test_results_stand_beside_the_sentence_of_their_case(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "nat_snat.txt").write_text("# Many share one address.\nswitch sw\n")
    (tmp_path / "results.xml").write_text(RESULTS)
    page = tool.markdown(tool.features(tmp_path), tool.results([tmp_path / "results.xml"]))
    assert "## NAT" in page
    assert "| Many share one address. | ? | **fails** | ? | ✓ | ? | — | `nat_snat` |" in page
    assert tool.told(page) == [("nat_snat", "Many share one address.")]
    assert tool.markdown(tool.features(tmp_path), tool.remembered(page)) == page


def test_port_security_is_access_control_and_ports_are_switching(tool: ModuleType) -> None:
    assert tool.area_of("port_security_ip") == "Access control"
    assert tool.area_of("port_disabled") == tool.area_of("localnet_flat") == "Switching"


def test_what_cannot_be_read_is_named(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "nat_x.txt").write_text("switch sw\n")
    with pytest.raises(tool.Unreadable, match=r"nat_x\.txt"):
        tool.features(tmp_path)
    (tmp_path / "results.xml").write_text("<testsuites>")
    with pytest.raises(tool.Unreadable, match=r"results\.xml"):
        tool.results([tmp_path / "results.xml"])
