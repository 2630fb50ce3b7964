"""The page about the two pipelines, docs/pipeline.md, made from their declarations."""

from __future__ import annotations

from ovine.northd import pipeline, router_pipeline
from ovine.northd.stages import tables

HEAD = """# The logical pipelines

Generated from `src/ovine/northd/pipeline.py` and `src/ovine/northd/router_pipeline.py` by
`python tools/pipeline_doc.py`; do not edit.

northd compiles each logical switch and each logical router into the stages below. A stage is one table of
`Logical_Flow` in the southbound database; `ovn-sbctl lflow-list` and `ovn-trace` show its name. Registers are zero when
a packet enters a pipeline."""


def markdown() -> str:
    """docs/pipeline.md."""
    lines = [HEAD, "", "## Logical switches"]
    lines += tables(pipeline.STAGES, pipeline.REGISTERS)
    lines += ["", "## Logical routers"]
    lines += tables(router_pipeline.STAGES, router_pipeline.REGISTERS)
    return "\n".join(lines) + "\n"
