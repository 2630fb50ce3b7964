"""The one error that the OpenFlow reader raises on bytes it cannot accept, and the one for values it cannot encode.

Tests: tests/unit/openflow/test_openflow_garbage.py, tests/unit/openflow/test_openflow_fields.py.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """The peer sent bytes that are no valid OpenFlow 1.5 message (truncated, lying length, wrong version)."""


class EncodeError(ValueError):
    """A value given to the encoder cannot be said in OpenFlow (unknown field, value too wide, contradiction)."""
