"""Writes docs/pipeline.md from the declared pipelines; with --check, only says whether it is current (exit status 1).

python tools/pipeline_doc.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from ovine.northd.pipeline_page import markdown

PAGE = Path(__file__).resolve().parent.parent / "docs" / "pipeline.md"


def main() -> int:
    text = markdown()
    if "--check" in sys.argv[1:]:
        if PAGE.is_file() and PAGE.read_text() == text:
            return 0
        print(f"{PAGE} is not current: run python tools/pipeline_doc.py")
        return 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
