"""Where files are, by environment."""

from pathlib import Path

from ovine.daemons.paths import from_environment


def test_without_variables_the_places_are_those_of_debian():
    where = from_environment({})
    assert where.pidfile("ovn-northd") == Path("/var/run/ovn/ovn-northd.pid")
    assert where.control_socket("ovn-northd", 7) == Path("/var/run/ovn/ovn-northd.7.ctl")
    assert where.log_file("ovn-northd") == Path("/var/log/ovn/ovn-northd.log")
    assert where.ovs_database == "unix:/var/run/openvswitch/db.sock"
    assert where.system_id_override == Path("/etc/system-id-override")
    assert (where.ovn_db, where.ovn_pkgdata) == (Path("/var/lib/ovn"), Path("/usr/share/ovn"))


def test_every_variable_moves_its_directory():
    names = ["OVN_RUNDIR", "OVS_RUNDIR", "OVN_LOGDIR", "OVS_LOGDIR", "OVN_DBDIR", "OVN_SYSCONFDIR", "OVN_PKGDATADIR"]
    where = from_environment({name: f"/at/{name}" for name in names})
    assert [
        where.ovn_run,
        where.ovs_run,
        where.ovn_log,
        where.ovs_log,
        where.ovn_db,
        where.ovn_sysconf,
        where.ovn_pkgdata,
    ] == [Path(f"/at/{name}") for name in names]
    assert where.system_id_override == Path("/at/OVN_SYSCONFDIR/system-id-override")


def test_an_empty_variable_counts_as_unset():
    assert from_environment({"OVN_RUNDIR": ""}) == from_environment({})


def test_a_given_name_is_relative_to_the_run_directory_but_a_log_is_not():
    where = from_environment({"OVN_RUNDIR": "/r"})
    assert where.pidfile("p", "x.pid") == Path("/r/x.pid")
    assert where.pidfile("p", "/tmp/x.pid") == Path("/tmp/x.pid")
    assert where.control_socket("p", 1, "x.ctl") == Path("/r/x.ctl")
    assert where.log_file("p", "x.log") == Path("x.log")
