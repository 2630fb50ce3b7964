"""The Neutron v2.0 API and the local identity. See docs/api.md.

The way of a request, outermost first:

    server     HTTP: paths, methods, bodies within a limit, errors to replies
    service    operations: parse, plan, commit, show
    bodies     JSON → attributes, by the maps in `resources` (from neutron-lib) and `extensions`
    networks, subnets, ports (with segments, ipam, metadata, binding)
               plans: pure functions from a `Draft` and attributes to a changed draft, judged by `policy`
    draft      a planned change on top of the replica → one guarded OVSDB transaction
    store      barrier, transaction, and planning again when another process was faster
    views      rows → representations;  query: filters, order, pages

`worker` puts one process together; `child` is a further one; `ovine.daemons.api` is the daemon.

Invariants: the Cloud database is the only state; a plan reads nothing but its draft, its arguments and `Env`; what must
be unique or in use is decided by the database's indexes and references, never by a look alone.
"""
