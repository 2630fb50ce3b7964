"""Ovine: a virtual-network system for clouds, from a REST call to flows in Open vSwitch."""

__version__ = "0.1.0"
