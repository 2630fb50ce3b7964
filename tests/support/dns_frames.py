"""DNS messages as text, both ways, by dnspython.

dns a vm1.ovine.test              a question
dns a vm1.ovine.test edns         … of a client that takes 4096 bytes
dns reply a vm1.ovine.test 10.0.0.4
dns reply aaaa vm1.ovine.test NXDOMAIN
"""

from __future__ import annotations

from collections.abc import Sequence

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

NUMBER = 0x0171


def question(words: Sequence[str]) -> bytes:
    """The message for the words after `dns`."""
    kind, name, *rest = words
    message = dns.message.make_query(name, kind.upper(), use_edns=0 if rest == ["edns"] else False, payload=4096)
    message.id = NUMBER
    return message.to_wire()


def say_dns(data: bytes) -> str:
    """A message in words; "" if it is none."""
    try:
        message = dns.message.from_wire(data)
    except dns.exception.DNSException:
        return ""
    if len(message.question) != 1:
        return ""
    asked = message.question[0]
    words = ["dns", *(["reply"] if message.flags & dns.flags.QR else [])]
    words += [dns.rdatatype.to_text(asked.rdtype).lower(), asked.name.to_text(omit_final_dot=True)]
    if message.rcode():
        words.append(dns.rcode.to_text(message.rcode()))
    words += sorted(value.to_text().rstrip(".") for answer in message.answer for value in answer)
    return " ".join([*words, *(["edns"] if message.edns >= 0 else [])])
