"""The `openstack` client as a server of its own commands: its start takes a second, a command a twentieth of that.

Run as a program it reads command lines (JSON lists) from standard input and answers each with [status, out, err]. One
process serves one user, for the client remembers its first token.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys


def main() -> None:
    from openstackclient import shell

    answers = sys.stdout
    for line in sys.stdin:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = shell.main(json.loads(line))
        print(json.dumps([status, out.getvalue(), err.getvalue()]), file=answers, flush=True)


if __name__ == "__main__":
    main()
