"""The lab's own client of its API: gets a token, makes and deletes ports, waits until they are ACTIVE.

It takes the same credentials that clouds.yaml has for the `openstack` client. Only what `ovine boot` needs is here;
everything else is for real clients. Tests: tests/lab/.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ovine.lab.errors import LabError, LabTimeout
from ovine.lab.waiting import wait_for

if TYPE_CHECKING:
    from ovine.lab.instance import Instance

TIMEOUT = 30.0


class Cloud:
    """A session with the API of one lab, as one user; gets a token when it first needs one, or one has expired."""

    def __init__(self, auth: Mapping[str, str]) -> None:
        """`auth` is what clouds.yaml calls so: auth_url, username, password, project_name and the domains' names."""
        import httpx

        self._auth = auth
        self._http = httpx.Client(timeout=TIMEOUT, trust_env=False)
        self._endpoint = ""

    def close(self) -> None:
        self._http.close()

    def _log_in(self) -> None:
        self._http.headers.pop("X-Auth-Token", None)
        token = self._request("POST", f"{self._auth['auth_url'].rstrip('/')}/auth/tokens", self._credentials())
        if token.status_code >= 400:
            raise LabError(_message_of(token))
        self._http.headers["X-Auth-Token"] = token.headers["X-Subject-Token"]
        self._endpoint = _network_endpoint(token.json()["token"].get("catalog", []))

    def session(self) -> tuple[str, str]:
        """The network API's URL and a token, for clients that do their own talking."""
        if not self._endpoint:
            self._log_in()
        return self._endpoint, self._http.headers["X-Auth-Token"]

    def _credentials(self) -> dict[str, Any]:
        auth = self._auth
        user = {
            "name": auth["username"],
            "password": auth["password"],
            "domain": {"name": auth.get("user_domain_name", "Default")},
        }
        project = {"name": auth["project_name"], "domain": {"name": auth.get("project_domain_name", "Default")}}
        return {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": project},
            }
        }

    def _request(self, method: str, url: str, body: Any = None, params: Mapping[str, str] | None = None) -> Any:
        import httpx

        try:
            return self._http.request(method, url, json=body, params=params)
        except httpx.HTTPError as error:
            raise LabError(f"the API does not answer at {url}: {error}") from None

    def send(self, method: str, path: str, body: Any = None, params: Mapping[str, str] | None = None) -> Any:
        """The API's reply to a request for "ports", "networks/ID" …, whatever its status."""
        if not self._endpoint:
            self._log_in()
        url = f"{self._endpoint}/v2.0/{path}"
        reply = self._request(method, url, body, params)
        if reply.status_code == 401:
            self._log_in()
            reply = self._request(method, url, body, params)
        return reply

    def _ask(self, method: str, path: str, body: Any = None, params: Mapping[str, str] | None = None) -> Any:
        reply = self.send(method, path, body, params)
        if reply.status_code >= 400:
            raise LabError(_message_of(reply))
        return reply

    def get(self, path: str, **params: str) -> Any:
        """The decoded body of a GET; LabError with the API's own words if it refuses."""
        return self._ask("GET", path, params=params).json()

    def post(self, path: str, body: Any) -> Any:
        return self._ask("POST", path, body).json()

    def put(self, path: str, body: Any) -> Any:
        return self._ask("PUT", path, body).json()

    def delete(self, path: str, *, may_be_gone: bool = False) -> None:
        reply = self.send("DELETE", path)
        if reply.status_code >= 400 and not (may_be_gone and reply.status_code == 404):
            raise LabError(_message_of(reply))

    def project_id(self, name_or_id: str) -> str:
        """A project's id by its name or id, as far as this user may see it."""
        if not self._endpoint:
            self._log_in()
        url = f"{self._auth['auth_url'].rstrip('/')}/projects"
        reply = self._request("GET", url)
        if reply.status_code >= 400:
            raise LabError(_message_of(reply))
        projects = reply.json()["projects"]
        for project in projects:
            if name_or_id in (project["id"], project["name"]):
                return str(project["id"])
        raise LabError(f"no project {name_or_id}: there are {', '.join(sorted(p['name'] for p in projects)) or 'none'}")

    def network(self, name_or_id: str, project_id: str | None = None) -> dict[str, Any]:
        """A network by its name or id, of one project or shared with it; a name that several have needs a project."""
        networks = self.get("networks")["networks"]
        if project_id:
            own = [network for network in networks if network["project_id"] == project_id]
            mine = {network["name"] for network in own}
            networks = own + [n for n in networks if n["shared"] and n not in own and n["name"] not in mine]
        found = [network for network in networks if name_or_id in (network["id"], network["name"])]
        if len(found) == 1:
            return dict(found[0])
        if found:
            raise LabError(f"{len(found)} networks are called {name_or_id}: add --project, or use the network's id")
        names = ", ".join(sorted({network["name"] for network in networks})) or "none"
        raise LabError(f"no network {name_or_id}: there are {names}")

    def create_port(
        self,
        name: str,
        network: Mapping[str, Any],
        host: str,
        project_id: str | None = None,
        address: str | None = None,
    ) -> dict[str, Any]:
        """A port as Nova makes one for an instance: with the host that it is to be bound to."""
        body: dict[str, Any] = {
            "name": name,
            "network_id": network["id"],
            "project_id": project_id or network["project_id"],
            "binding:host_id": host,
            "device_id": name,
            "device_owner": "compute:lab",
        }
        if label := host_name(name):
            body["dns_name"] = label
        if address is not None:
            body["fixed_ips"] = [{"ip_address": address}]
        return dict(self.post("ports", {"port": body})["port"])

    def configure(self, instance: Instance, port: Mapping[str, Any]) -> None:
        """Gives an instance its port's addresses: by DHCP where the subnet has it, else by hand as a tenant would."""
        for fixed_ip in port["fixed_ips"]:
            subnet = self.get(f"subnets/{fixed_ip['subnet_id']}")["subnet"]
            version = subnet["ip_version"]
            stateful = version == 4 or subnet["ipv6_address_mode"] == "dhcpv6-stateful"
            if subnet["enable_dhcp"] and stateful:
                instance.dhcp(version)
            else:
                instance.add_address(f"{fixed_ip['ip_address']}/{subnet['cidr'].rpartition('/')[2]}")

    def wait_port_active(self, port_id: str, timeout: float = 30.0) -> dict[str, Any]:
        """Returns the port when its status is ACTIVE; LabTimeout after `timeout` seconds."""
        port: dict[str, Any] = {}

        def active() -> bool:
            port.update(self.get(f"ports/{port_id}")["port"])
            return bool(port["status"] == "ACTIVE")

        started = time.monotonic()
        try:
            wait_for(active, f"port {port_id} ACTIVE", timeout)
        except LabTimeout:
            waited = time.monotonic() - started
            raise LabTimeout(f"port {port_id} is {port.get('status')} after {waited:.0f} s, not ACTIVE") from None
        return port


def host_name(name: str) -> str:
    """An instance's name as a label of the DNS, as Nova derives it; "" if nothing of it can be one (RFC 1123, 2.1)."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower())[:63].strip("-")


def _network_endpoint(catalog: list[dict[str, Any]]) -> str:
    for service in catalog:
        if service["type"] == "network":
            for endpoint in service["endpoints"]:
                if endpoint["interface"] == "public":
                    return str(endpoint["url"]).rstrip("/").removesuffix("/v2.0")
    raise LabError("the identity service names no network endpoint")


def _message_of(reply: Any) -> str:
    """The API's own words: Neutron's {"NeutronError": {"message"}}, Keystone's {"error": {"message"}}."""
    try:
        body = next(iter(reply.json().values()))
        message = body["message"] if isinstance(body, dict) else str(body)
    except (ValueError, KeyError, StopIteration, AttributeError):
        message = reply.text.strip()
    return f"{reply.request.method} {reply.request.url.path}: {reply.status_code} {message}"
