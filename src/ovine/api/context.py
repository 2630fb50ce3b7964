"""Who asks: the caller of one request, as policy sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Caller:
    """An authenticated user with the roles held in the token's project."""

    user_id: str
    user_name: str = ""
    project_id: str = ""
    project_name: str = ""
    roles: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles

    @property
    def can_set_project_id(self) -> bool:
        """Whether a resource may be made in another project. neutron-lib's AttributeInfo reads this."""
        return self.is_admin or "service" in self.roles

    def credentials(self) -> dict[str, Any]:
        """What oslo.policy's checks compare targets with."""
        return {
            "user_id": self.user_id,
            "project_id": self.project_id,
            "tenant_id": self.project_id,
            "roles": sorted(self.roles),
            "is_admin": self.is_admin,
        }
