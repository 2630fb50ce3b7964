"""Which messages go where: levels per module and facility, and the notation of `-v` and `vlog/set`.

A facility is a place to log to: console, syslog, file. A specification such as `northd:file:dbg` is up to one word of
each kind, in any order and case, separated by colons, commas or spaces; a missing module or facility means all, a
missing level means dbg. Values are immutable: `applied` returns the next one.
Tests: tests/unit/daemons/test_daemon_vlog.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ovine.daemons.vlog_format import LEVELS, NAMES

FACILITIES = ("console", "syslog", "file")
# The facilities of RFC 5424 by the names of ovs-appctl(8); number 10 has none there.
_NUMBERED = "kern user mail daemon auth syslog lpr news uucp clock - ftp ntp audit alert clock2"
SYSLOG_FACILITIES = {
    **{name: number for number, name in enumerate(_NUMBERED.split()) if name != "-"},
    **{f"local{number}": 16 + number for number in range(8)},
}
DEFAULT_PATTERNS = {
    "console": "%D{%Y-%m-%dT%H:%M:%SZ}|%05N|%c%T|%p|%m",
    "syslog": "ovs|%05N|%c%T|%p|%m",
    "file": "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c%T|%p|%m",
}


class SpecError(ValueError):
    """A specification that cannot be obeyed; the text is for the user."""


@dataclass(frozen=True)
class Levels:
    """Levels (of Python's logging) by facility, and for single modules; patterns by facility; syslog's own facility."""

    base: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(FACILITIES, LEVELS["INFO"]))
    modules: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_PATTERNS))
    syslog_facility: int = SYSLOG_FACILITIES["daemon"]

    def level(self, module: str, facility: str) -> int:
        """The least level that a module logs to a facility."""
        return self.modules.get(module, self.base)[facility]

    def lowest(self) -> int:
        """The least level that anything may need."""
        return min(min(levels.values()) for levels in (self.base, *self.modules.values()))

    def applied(self, spec: str, known: set[str]) -> "Levels":
        """The levels after a specification; `known` are the modules that exist.  SpecError says what is wrong."""
        words = re.split(r"[:, ]+", spec.strip())
        if words[0].upper() == "PATTERN":
            return self._with_pattern(spec)
        if words[0].upper() == "FACILITY":
            return self._with_syslog_facility(words[1] if len(words) > 1 else "")
        return self._with_levels([word for word in words if word], known)

    def _with_levels(self, words: list[str], known: set[str]) -> "Levels":
        module = facility = level = None
        for word in words:
            if word.upper() in LEVELS:
                level = _once(level, word.upper(), "level")
            elif word.lower() in FACILITIES:
                facility = _once(facility, word.lower(), "destination")
            elif word.lower() in known:
                module = _once(module, word.lower(), "module")
            elif word.lower() != "any":
                raise SpecError(f'no destination, level, or module "{word}"')
        number = LEVELS[level or "DBG"]
        changed = dict.fromkeys(FACILITIES if facility is None else (facility,), number)
        if module is not None:
            return replace(self, modules={**self.modules, module: {**self.modules.get(module, self.base), **changed}})
        modules = {name: {**levels, **changed} for name, levels in self.modules.items()}
        return replace(self, base={**self.base, **changed}, modules=modules)

    def _with_pattern(self, spec: str) -> "Levels":
        words = spec.strip().split(":", 2)
        if len(words) < 3:
            raise SpecError("a pattern is set by PATTERN:destination:pattern")
        _, facility, pattern = words
        if facility.lower() not in (*FACILITIES, "any"):
            raise SpecError(f'unknown destination "{facility}"')
        chosen = FACILITIES if facility.lower() == "any" else (facility.lower(),)
        return replace(self, patterns={**self.patterns, **dict.fromkeys(chosen, pattern)})

    def _with_syslog_facility(self, name: str) -> "Levels":
        if name not in SYSLOG_FACILITIES:
            raise SpecError("invalid facility")
        return replace(self, syslog_facility=SYSLOG_FACILITIES[name])

    def listing(self, modules: set[str], unlimited: set[str]) -> str:
        """What `vlog/list` answers."""
        lines = ["                 console    syslog    file", "                 -------    ------    ------"]
        for name in sorted(modules):
            console, syslog, file = (NAMES[self.level(name, facility)] for facility in FACILITIES)
            mark = "    (rate limiting disabled)" if name in unlimited else ""
            lines.append(f"{name:<16}  {console:>4}       {syslog:>4}       {file:>4}{mark}")
        return "\n".join(lines) + "\n"

    def pattern_listing(self) -> str:
        """What `vlog/list-pattern` answers."""
        lines = ["         format", "         ------"]
        lines += [f"{facility.upper():<8} {self.patterns[facility]}" for facility in FACILITIES]
        return "\n".join(lines) + "\n"


def _once(before: str | None, word: str, kind: str) -> str:
    if before is not None:
        raise SpecError(f"cannot specify multiple {kind}s")
    return word
