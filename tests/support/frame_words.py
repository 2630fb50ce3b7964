"""The words and bytes that frames as text have in common, whichever way they go (`support.frames`)."""

from __future__ import annotations

import ipaddress

MESSAGES4 = {1: "discover", 2: "offer", 3: "request", 4: "decline", 5: "ack", 6: "nak", 7: "release", 8: "inform"}
MESSAGES6 = {1: "solicit", 2: "advertise", 3: "request", 4: "confirm", 7: "reply", 8: "release", 9: "decline"} | {
    5: "renew",
    6: "rebind",
    11: "information-request",
}
TAG_KINDS = {"vlan": 0x8100, "service": 0x88A8}
TCP_FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}
SCTP_CHUNKS = {1: "init", 2: "init-ack", 6: "abort"}
BFD_PORT = 3784
BFD_STATES = ("admin-down", "down", "init", "up")
"""By number (RFC 5880 §4.1)."""
USUAL_LIMITS = (64, 255)
"""Times to live (hop limits) that need no word: what machines send, and what the network itself sends."""
LARGE = 1250
"""Bytes of an IP packet above which its size is said."""


def mac_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def mac_text(raw: bytes) -> str:
    return raw.hex(":")


def ip_bytes(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def ip_text(raw: bytes) -> str:
    return str(ipaddress.ip_address(raw))
