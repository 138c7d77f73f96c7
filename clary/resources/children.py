"""Records that other records create, by the same functions as callers' requests."""

from __future__ import annotations

from collections.abc import Mapping

from clary.core.clock import Clock
from clary.core.decisions import Create, Family
from clary.core.facts import Facts
from clary.core.instances import Machine
from clary.core.records import Record, Transition, new_uid
from clary.core.settings import Settings


class Children:
    """Makes the record that a Create asks for. Of kinds whose requests name no other records."""

    def __init__(self, families: Mapping[str, Family], settings: Settings, machine: Machine, clock: Clock) -> None:
        self._families = families
        self._settings = settings
        self._machine = machine
        self._clock = clock

    def new_record(self, owner: Record, action: Create) -> tuple[Record, Transition | None]:
        """The record and the first line of its history. Raises ServiceError where the spec does not fit."""
        family = self._families[action.kind]
        facts = Facts(settings=self._settings, machine=self._machine, now=self._clock.now(), uid=new_uid())
        record = family.new_record(action.spec, facts)
        return record, family.first_transition(record)
