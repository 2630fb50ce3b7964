"""Several hosts of a cloud on one machine, in network namespaces: for tests, demonstrations and learning.

`Lab` is the entry; docs/lab.md tells how to use one from the command line.
"""

from ovine.lab.errors import LabError, LabTimeout
from ovine.lab.instance import Instance
from ovine.lab.lab import Lab
from ovine.lab.spec import Flavour, LabSpec

__all__ = ["Flavour", "Instance", "Lab", "LabError", "LabSpec", "LabTimeout"]
