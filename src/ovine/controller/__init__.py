"""The controller of one host: the southbound database and the local Open_vSwitch database become OpenFlow on br-int.

Pure rules on `ovine.engine`; `ovine.daemons.controller` has the sockets and clocks. For readers: docs/controller.md.
Tests: tests/unit/controller/, tests/packets/controller/, tests/faults/test_controller_*.py.
"""
