"""The commands of docs/operating.md work, and say what the page says of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "operating_page.py"


def test_the_tools_of_an_operators_day_work(lab_machine: None) -> None:
    done = subprocess.run([sys.executable, str(TOOL), "--check"], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
