"""The table map: no two tables in one place, and the page for readers shows what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovine.controller.tables import LOG_EGRESS, LOG_INGRESS, TABLES, logical_table


def test_no_two_tables_share_a_number_and_all_are_numbers_that_openflow_has() -> None:
    taken = [number for table in TABLES for number in range(table.first, table.last + 1)]
    assert len(taken) == len(set(taken)) and min(taken) >= 0 and max(taken) < 255


def test_the_page_for_readers_lists_every_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "controller.md").read_text()
    for table in TABLES:
        numbers = str(table.first) if table.first == table.last else f"{table.first}-{table.last}"
        assert f"| {numbers} | {table.name} | {table.purpose} |" in page


def test_a_logical_table_beyond_the_pipeline_is_refused() -> None:
    assert logical_table("ingress", 0) == LOG_INGRESS and logical_table("egress", 34) == LOG_EGRESS + 34
    with pytest.raises(ValueError, match="logical table 40"):
        logical_table("egress", 40)
