"""Command lines in the manner of getopt_long, declared as data.

Every OVS and OVN daemon takes `--name=VALUE` and `--name VALUE`, unambiguous abbreviations (`--overwrite`), bundled
short options (`-vdbg`, `-p FILE`), options between positional words, and `--` before the last ones. An option whose
argument is optional (`--pidfile[=FILE]`) takes it only with `=`, or glued to its short form. Parsing is pure; the
caller prints the one-line text of an `OptionError` and exits with status 1.
Tests: tests/unit/daemons/test_daemon_options.py.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class OptionError(ValueError):
    """A command line that cannot be obeyed; the text is one line for the user."""


class Argument(Enum):
    """Whether an option takes a value."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True)
class Option:
    """One option: its long name without dashes, its short letter, its value's name in the help, and the help."""

    name: str
    help: str
    metavar: str = ""
    short: str = ""
    argument: Argument = Argument.NONE

    def synopsis(self) -> str:
        """How the help shows the option, such as `-p, --private-key=FILE`."""
        value = {Argument.NONE: "", Argument.OPTIONAL: f"[={self.metavar}]", Argument.REQUIRED: f"={self.metavar}"}
        return f"{f'-{self.short}, ' if self.short else ''}--{self.name}{value[self.argument]}"


def flag(name: str, help: str, short: str = "") -> Option:
    """An option without value."""
    return Option(name, help, short=short)


def valued(name: str, metavar: str, help: str, short: str = "") -> Option:
    """An option with a value."""
    return Option(name, help, metavar, short, Argument.REQUIRED)


def optional(name: str, metavar: str, help: str, short: str = "") -> Option:
    """An option that may have a value."""
    return Option(name, help, metavar, short, Argument.OPTIONAL)


DAEMON_OPTIONS = (
    flag("detach", "run in the background; return when the daemon is ready"),
    flag("monitor", "watch the daemon by a second process that starts it again after a crash"),
    flag("no-chdir", "with --detach, stay in the current directory instead of /"),
    optional("pidfile", "FILE", "write the process id to FILE (default: $OVN_RUNDIR/PROGRAM.pid)"),
    flag("overwrite-pidfile", "with --pidfile, start even if another process holds the file"),
    valued("unixctl", "PATH", "listen for control commands on PATH, or not at all if it is none", "u"),
)
LOG_OPTIONS = (
    optional("verbose", "SPEC", "set logging levels; without SPEC, all to dbg", "v"),
    optional("log-file", "FILE", "log to FILE (default: $OVN_LOGDIR/PROGRAM.log)"),
    valued("syslog-method", "METHOD", "libc, unix:FILE, udp:IP:PORT or null"),
)
TLS_OPTIONS = (
    valued("private-key", "FILE", "the private key", "p"),
    valued("certificate", "FILE", "the certificate of the private key", "c"),
    valued("ca-cert", "FILE", "the certificate authority of the peers, or none to trust anyone", "C"),
    valued("bootstrap-ca-cert", "FILE", "like --ca-cert, but fetched from the first peer if FILE does not exist"),
    valued("ssl-protocols", "LIST", "TLS versions to allow, such as TLSv1.2,TLSv1.3"),
    valued("ssl-ciphers", "LIST", "ciphers to allow up to TLS 1.2, in the notation of OpenSSL"),
    valued("ssl-ciphersuites", "LIST", "cipher suites to allow from TLS 1.3 on"),
    valued("ssl-server-name", "NAME", "the server name (SNI) to ask for"),
)
OTHER_OPTIONS = (
    flag("help", "print this help", "h"),
    flag("version", "print the version", "V"),
)
COMMON_OPTIONS = DAEMON_OPTIONS + LOG_OPTIONS + TLS_OPTIONS + OTHER_OPTIONS


@dataclass(frozen=True)
class Parsed:
    """A parsed command line.  `given` maps long names to the values given, in order; None stands for no value."""

    given: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    positional: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        """Whether the option was given."""
        return name in self.given

    def value(self, name: str) -> str | None:
        """The last value given; None when there is none."""
        return self.given[name][-1] if name in self.given else None

    def get(self, name: str, default: str) -> str:
        """The last value given, or the default."""
        value = self.value(name)
        return default if value is None else value

    def values(self, name: str) -> tuple[str | None, ...]:
        """All values given, in order."""
        return self.given.get(name, ())

    def number(self, name: str, default: int) -> int:
        """The value as a whole number.  OptionError if it is none."""
        text = self.value(name)
        if text is None:
            return default
        try:
            return int(text)
        except ValueError:
            raise OptionError(f"--{name}: {text!r} is not a whole number") from None


def parse(words: Sequence[str], options: Sequence[Option], positional: tuple[int, int] = (0, 0)) -> Parsed:
    """Parse the words after the program's name; `positional` is the least and most number of other words.

    OptionError if an option is unknown, ambiguous or lacks its value, or if there are too few or many other words.
    """
    given: dict[str, tuple[str | None, ...]] = {}
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            others.extend(rest)
        elif word.startswith("--"):
            option, value = _long(word[2:], options, rest)
            given[option.name] = (*given.get(option.name, ()), value)
        elif word.startswith("-") and word != "-":
            for option, value in _short(word[1:], options, rest):
                given[option.name] = (*given.get(option.name, ()), value)
        else:
            others.append(word)
    least, most = positional
    if len(others) > most:
        raise OptionError(f"unexpected argument '{others[most]}'; use --help for usage")
    if len(others) < least:
        raise OptionError(f"at least {least} argument{'s' if least > 1 else ''} needed; use --help for usage")
    return Parsed(given, tuple(others))


def _long(text: str, options: Sequence[Option], rest: Iterator[str]) -> tuple[Option, str | None]:
    name, equals, value = text.partition("=")
    option = _named(name, options)
    if equals:
        if option.argument is Argument.NONE:
            raise OptionError(f"option '--{option.name}' doesn't allow an argument")
        return option, value
    if option.argument is not Argument.REQUIRED:
        return option, None
    following = next(rest, None)
    if following is None:
        raise OptionError(f"option '--{option.name}' requires an argument")
    return option, following


def _named(name: str, options: Sequence[Option]) -> Option:
    candidates = [option for option in options if option.name.startswith(name)]
    exact = [option for option in candidates if option.name == name]
    if exact:
        return exact[0]
    if not candidates:
        raise OptionError(f"unrecognized option '--{name}'")
    if len(candidates) > 1:
        possible = " ".join(f"'--{option.name}'" for option in candidates)
        raise OptionError(f"option '--{name}' is ambiguous; possibilities: {possible}")
    return candidates[0]


def _short(letters: str, options: Sequence[Option], rest: Iterator[str]) -> Iterator[tuple[Option, str | None]]:
    while letters:
        letter, letters = letters[0], letters[1:]
        option = next((option for option in options if option.short == letter), None)
        if option is None:
            raise OptionError(f"invalid option -- '{letter}'")
        if option.argument is Argument.NONE:
            yield option, None
            continue
        value = letters or (next(rest, None) if option.argument is Argument.REQUIRED else None)
        if value is None and option.argument is Argument.REQUIRED:
            raise OptionError(f"option requires an argument -- '{letter}'")
        yield option, value
        return


def usage(
    program: str, description: str, arguments: str, groups: Iterable[tuple[str, Sequence[Option]]], example: str = ""
) -> str:
    """The text of --help: what the program is, how to call it, the titled groups of options, an example."""
    lines = [f"{program}: {description}", f"usage: {program} [OPTIONS]{' ' + arguments if arguments else ''}"]
    for title, options in groups:
        if options:
            lines += ["", f"{title}:"]
            lines += [f"  {option.synopsis():<30} {option.help}" for option in options]
    lines += ["", "Example:", f"  {example}"] if example else []
    return "\n".join(lines) + "\n"
