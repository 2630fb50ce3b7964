"""Damaged packets break no packet service. `bench/fuzz_packets.py` does the same with 100,000 packets for each."""

from __future__ import annotations

import pytest

from fuzz_packets import SERVICES, Service, answers, fuzz


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_honest_packets_are_answered(service: Service) -> None:
    assert any(answers(service))


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_no_damaged_packet_breaks_a_service(service: Service) -> None:
    assert fuzz(service, 1500, seed=7) == []
