"""What a family makes a new record from, together with the request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from clary.core.arns import Account
from clary.core.instances import Machine
from clary.core.records import Record, Ref
from clary.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Facts:
    """Data only, so that a record can be made without I/O.

    uid       of the new record: never used before, or derived from its owner's, so that creating it can be repeated
    records   the records that the request names, read beforehand: an endpoint's configuration and its models
    """

    settings: Settings
    machine: Machine
    now: datetime
    uid: str
    records: Mapping[Ref, Record] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        return self.settings.account
