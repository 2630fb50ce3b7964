"""The metadata service on a host: instances ask 169.254.169.254, and Nova answers knowing who asked. docs/metadata.md.

One process serves all networks of its host. Each network with an instance here has a *responder*: an interface of the
integration bridge that is the network's metadata port (a `localport`, so each host has its own). All of them are in
one network namespace, where tenants' address ranges may overlap: sockets are bound to their interfaces. Whoever asks is
known by network and source address, which port security vouches for.

`rules` says what should be (pure), `ports` and `devices` make it so, `proxy` answers. `ovine.daemons.metadata` has the
loop. Tests: tests/unit/metadata/, tests/lab/test_lab_metadata.py.
"""
