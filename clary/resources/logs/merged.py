"""The events of many log streams in the order of time, for FilterLogEvents."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from clary.artifacts.logs import Event, LogNotFound, LogStreams, Window


@dataclass
class Merged:
    """The events of many streams in the order of time. A stream is opened when its first event's turn comes."""

    logs: LogStreams
    group: str
    streams: list[str]
    window: Window

    def __iter__(self) -> Iterator[tuple[tuple[int, str, int], Event]]:
        heap: list[tuple[int, str, int]] = []
        reading: dict[str, tuple[Iterator[Event], Event]] = {}
        for name in self.streams:
            first_ms = self._first_ms(name)
            if first_ms is not None and not self.window.past(first_ms):
                heapq.heappush(heap, (first_ms, name, -1))
        while heap:
            key = heapq.heappop(heap)
            name = key[1]
            if key[2] < 0:
                events = self.logs.scan(self.group, name, self.window)
            else:
                events, event = reading[name]
                yield key, event
            following = next(events, None)
            if following is not None:
                reading[name] = (events, following)
                heapq.heappush(heap, (following.at_ms, name, following.start))

    def _first_ms(self, name: str) -> int | None:
        try:
            return self.logs.first_ms(self.group, name)
        except LogNotFound:
            return None  # removed meanwhile
