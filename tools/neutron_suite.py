"""Runs Neutron's public test-suite (tempest and neutron-tempest-plugin) against Ovine's API in a lab of one host.

    python3 -m venv suite && suite/bin/pip install tempest neutron-tempest-plugin
    python tools/neutron_suite.py suite/bin/tempest [REGEX]

Needs what a lab needs (docs/lab.md): root and Open vSwitch. Leaves its working directory, with tempest's logs, and
prints where that is; the exit code is tempest's. REGEX chooses tests; by default all of the network API.

The suite wants to make projects and users of its own. Ovine's identity only shows what its file says, so a front
before it takes these few requests and writes the file; everything else it passes on.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any

from ovine.api.identity.users import Directory, NewUser, Project, User, create_identity_file, hash_password, load
from ovine.api.identity.users import to_toml as identity_toml
from ovine.lab import Lab

EVERYTHING = r"^(tempest\.api\.network|neutron_tempest_plugin\.api)\."
API_SETTINGS = """
[quota]
router = 50
[vlan_ranges]
physnet1 = ["100:199"]
"""
CONFIG = """
[DEFAULT]
log_dir = {directory}/logs
[oslo_concurrency]
lock_path = {directory}/lock
[auth]
use_dynamic_credentials = True
admin_username = admin
admin_password = secret
admin_project_name = admin
admin_domain_name = Default
create_isolated_networks = False
[identity]
uri_v3 = {identity}
auth_version = v3
[identity-feature-enabled]
api_v2 = False
[service_available]
neutron = True
nova = False
glance = False
cinder = False
swift = False
horizon = False
[network]
public_network_id = {public}
floating_network_name = public
project_network_cidr = 10.100.0.0/16
project_network_v6_cidr = fd00:100::/48
[network-feature-enabled]
api_extensions = {extensions}
ipv6_subnet_attributes = True
[neutron_plugin_options]
available_type_drivers = flat,geneve,vlan,vxlan
provider_vlans = physnet1
create_shared_resources = True
"""


class IdentityFile:
    """The identity file, changed by one request after another."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def change(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """Does a request for a change: the reply, or None if it is none of those that are taken here."""
        with self._lock:
            old = load(self._path)
            match method, parts:
                case "POST", ["projects"]:
                    name, text = body["project"]["name"], body["project"].get("description", "")
                    project = Project(uuid.uuid4().hex, name, text)
                    self._write(dataclasses.replace(old, projects=(*old.projects, project)))
                    shown = {"id": project.id, "name": name, "description": text, "domain_id": "default"}
                    return 201, {"project": {**shown, "enabled": True}}
                case "POST", ["users"]:
                    user = User(uuid.uuid4().hex, body["user"]["name"], hash_password(body["user"]["password"]))
                    self._write(dataclasses.replace(old, users=(*old.users, user)))
                    shown = {"id": user.id, "name": user.name, "domain_id": "default"}
                    return 201, {"user": {**shown, "enabled": True}}
                case "PUT", ["projects", project_id, "users", user_id, "roles", role]:
                    self._write(_with_role(old, project_id, user_id, role))
                case "DELETE", ["users", user_id]:
                    self._write(dataclasses.replace(old, users=tuple(u for u in old.users if u.id != user_id)))
                case "DELETE", ["projects", project_id]:
                    self._write(_without_project(old, project_id))
                case _:
                    return None
            return 204, {}

    def _write(self, directory: Directory) -> None:
        new = self._path.with_name("identity.new")
        new.touch(mode=0o600)
        new.write_text(identity_toml(directory))
        new.replace(self._path)


def _with_role(directory: Directory, project_id: str, user_id: str, role: str) -> Directory:
    project = directory.project(project_id)
    assert project is not None, project_id

    def granted(user: User) -> User:
        if user.id != user_id:
            return user
        roles = {**user.roles, project.name: (*user.roles.get(project.name, ()), role)}
        return dataclasses.replace(user, roles=roles, default_project=project.name)

    return dataclasses.replace(directory, users=tuple(granted(user) for user in directory.users))


def _without_project(directory: Directory, project_id: str) -> Directory:
    """Without a project, and without the roles in it."""
    project = directory.project(project_id)
    name = "" if project is None else project.name

    def cleared(user: User) -> User:
        roles = {key: value for key, value in user.roles.items() if key != name}
        return dataclasses.replace(user, roles=roles, default_project=next(iter(roles), ""))

    return Directory(
        tuple(kept for kept in directory.projects if kept.id != project_id),
        tuple(cleared(user) for user in directory.users),
    )


def serve_front(port: int, behind: str, file: IdentityFile) -> ThreadingHTTPServer:
    """Serves Identity v3 on a port: administrators' changes here, everything else by the identity behind."""

    class Front(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = self.path.split("?")[0].strip("/").split("/")[1:]
            if self.command in ("GET", "HEAD") or parts[:1] == ["auth"]:
                self._reply(*self._behind(self.command, self.path, body))
                return
            asked = self._behind("GET", "/v3/roles", b"")
            done = file.change(self.command, parts, json.loads(body or b"{}")) if asked[0] == 200 else None
            if done is None:
                self._reply(*self._behind(self.command, self.path, body))
            else:
                self._reply(done[0], {"Content-Type": "application/json"}, json.dumps(done[1]).encode())

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def _behind(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", int(behind.rsplit(":", 1)[1]), timeout=60)
            connection.request(method, path, body or None, dict(self.headers))
            reply = connection.getresponse()
            kept = {key: value for key, value in reply.getheaders() if key.lower().startswith(("x-", "content-type"))}
            content = reply.read()
            connection.close()
            return reply.status, kept, content

        def _reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            empty = status == 204 or self.command == "HEAD"
            self.send_header("Content-Length", "0" if empty else str(len(content)))
            self.end_headers()
            if not empty:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: tempest logs its requests."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Front)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def free_port() -> int:
    with socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def ask(method: str, url: str, body: dict[str, Any] | None = None, token: str = "") -> tuple[Any, str]:
    """The decoded body of a reply, and the token that came with it."""
    headers = {"Content-Type": "application/json", "X-Auth-Token": token}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as reply:
        return json.load(reply), reply.headers.get("X-Subject-Token", "")


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Waits until a daemon answers. Raises RuntimeError if it ends instead."""
    while process.poll() is None:
        try:
            ask("GET", url)
        except urllib.error.HTTPError:
            return
        except OSError:
            threading.Event().wait(0.1)
        else:
            return
    raise RuntimeError(f"the API ended with {process.returncode}")


def configure(directory: Path, identity: str, network: str) -> None:
    """Makes the public network, and writes tempest's configuration."""
    user = {"name": "admin", "domain": {"id": "default"}, "password": "secret"}
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    token = ask("POST", f"{identity}/auth/tokens", body)[1]
    known = ask("GET", f"{network}/v2.0/extensions", token=token)[0]["extensions"]
    flat = {"provider:network_type": "flat", "provider:physical_network": "physnet1"}
    public = {"network": {"name": "public", "router:external": True, **flat}}
    public_id = ask("POST", f"{network}/v2.0/networks", public, token)[0]["network"]["id"]
    subnet = {"network_id": public_id, "ip_version": 4, "cidr": "198.18.0.0/22", "enable_dhcp": False}
    ask("POST", f"{network}/v2.0/subnets", {"subnet": subnet}, token)
    aliases = ",".join(sorted(extension["alias"] for extension in known))
    text = CONFIG.format(directory=directory, identity=identity, public=public_id, extensions=aliases)
    (directory / "etc" / "tempest.conf").write_text(text)


def main(tempest: str, regex: str) -> int:
    directory = Path(tempfile.mkdtemp(prefix="neutron-suite-"))
    print(f"Working directory: {directory}", flush=True)
    subprocess.run([tempest, "init", directory], check=True, stdout=subprocess.DEVNULL)
    identity_file = directory / "identity.toml"
    create_identity_file(identity_file, ["admin"], [NewUser("admin", "secret", {"admin": ["admin"]})])
    (directory / "ovine.toml").write_text(API_SETTINGS)
    network, behind, front = (f"http://127.0.0.1:{free_port()}" for _ in range(3))
    with Lab(controllers=["ovine"]) as lab:
        central = lab.store.directory / "central"
        words = [
            *(sys.executable, "-m", "ovine.daemons.api", "--unixctl=none", f"--log-file={directory / 'api.log'}"),
            *("-vconsole:off", f"--cloud-db=unix:{central / 'cloud.sock'}", f"--sb-db=unix:{central / 'sb.sock'}"),
            *(f"--config={directory / 'ovine.toml'}", f"--identity-file={identity_file}"),
            *(f"--bind={network[7:]}", f"--identity-bind={behind[7:]}"),
            *(f"--network-url={network}", f"--identity-url={front}/v3"),
        ]
        with subprocess.Popen(words) as api:
            server = serve_front(int(front.rsplit(":", 1)[1]), behind, IdentityFile(identity_file))
            try:
                wait_for(f"{network}/", api)
                configure(directory, f"{front}/v3", network)
                run = [tempest, "run", "--serial", "--regex", regex]  # a few tests count what others make
                return subprocess.run(run, cwd=directory, check=False).returncode
            finally:
                server.shutdown()
                api.terminate()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: neutron_suite.py TEMPEST [REGEX]")
    sys.exit(main(str(Path(sys.argv[1]).absolute()), sys.argv[2] if len(sys.argv) == 3 else EVERYTHING))
