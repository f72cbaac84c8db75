"""Resources as last stored: one row per provider, type and name within a tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from platform import serialization
from platform.database import Base, UtcDateTime, reading, writing
from platform.errors import PlatformError


class UnknownResource(PlatformError):
    """Nothing is stored there."""


class NotAnObject(PlatformError):
    """A provider returned something that is not a JSON object."""


@dataclass(frozen=True)
class Address:
    app_id: str
    provider: str
    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.type}/{self.name}"


class Resource(Base):
    __tablename__ = "resources"

    app_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    provider: Mapped[str] = mapped_column(String(200), primary_key=True)
    type: Mapped[str] = mapped_column(String(200), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    version: Mapped[int]
    properties: Mapped[dict[str, Any]] = mapped_column(JSON)
    job_id: Mapped[str] = mapped_column(String(64))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    def as_dict(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "type": self.type,
            "name": self.name,
            "version": self.version,
            "properties": self.properties,
            "job_id": self.job_id,
            "updated_at": self.updated_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }


def put(address: Address, properties: Any, job_id: str) -> dict[str, Any]:
    """Store a resource; the same job storing it again (a redelivery) makes no new version.

    Raises NotAnObject.
    """
    if not isinstance(properties, dict):
        kind = type(properties).__name__
        raise NotAnObject(f"create_or_update of {address} returned {kind}; return the resource as a dict")
    properties = serialization.decode(serialization.encode(properties))  # what JSON makes of it is what is stored
    with writing() as session:
        row = session.get(Resource, _key(address))
        if row is None:
            row = Resource(**vars(address), version=0, job_id="")
            session.add(row)
        if row.job_id != job_id:
            row.version += 1
        row.properties, row.job_id, row.updated_at = properties, job_id, datetime.now(UTC)
        return row.as_dict()


def get(address: Address) -> dict[str, Any]:
    """Raises UnknownResource."""
    with reading() as session:
        row = session.get(Resource, _key(address))
        if row is None:
            raise UnknownResource(f"there is no resource {address}")
        return row.as_dict()


def remove(address: Address) -> None:
    """Forget a resource; one that is gone already is no error."""
    with writing() as session:
        row = session.get(Resource, _key(address))
        if row is not None:
            session.delete(row)


def _key(address: Address) -> tuple[str, str, str, str]:
    return (address.app_id, address.provider, address.type, address.name)
