"""The daemons: the only loops, sockets, clocks and processes of Ovine.

`options`, `paths`, `vlog`, `unixctl`, `process` and `statistics` are the pieces every daemon stands on; `context` is
what a daemon declares and gets; `service` ties them together. A daemon module holds one `DaemonSpec` and
`main(argv, program=None) -> int`. docs/daemons.md tells operators what comes out of it.
"""
