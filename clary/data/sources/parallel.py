"""Work on all cores whose results come in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from clary.data.scans import cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_order(items: Iterable[Item], work: Callable[[Item], Result]) -> Iterator[Result]:
    """`work` of each item, in order; a few items more than there are cores are taken ahead.

    Raises what `work` raised, in its place.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(cores()) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > cores():
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
