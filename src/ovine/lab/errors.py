"""What goes wrong in a lab, said in one line for its user. Tests: tests/lab/, tests/unit/lab/."""

from __future__ import annotations


class LabError(Exception):
    """A lab can't do what was asked. The text is one line that says what to do; `details` may hold a log's tail."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class LabTimeout(LabError):
    """Something awaited did not happen before its deadline."""
