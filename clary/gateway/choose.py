"""Which variant of an endpoint, and which replica of the variant, takes a request. Pure: chance is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clary.core.errors import ValidationError
from clary.core.routes import Replica, Variant


def choose_variant(endpoint: str, variants: Sequence[Variant], target: str, draw: float) -> Variant:
    """The variant named in TargetVariant, whatever its weight; else by weight.

    draw    uniform in [0, 1). A variant's share is weight / sum of weights, whether or not it has replicas just now.
    Raises  ValidationError where the target is unknown, or nothing has weight.
    """
    if target:
        for variant in variants:
            if variant.name == target:
                return variant
        names = ", ".join(variant.name for variant in variants)
        raise ValidationError(f"Variant {target} is not a production variant of endpoint {endpoint}; it has: {names}.")
    weighted = [variant for variant in variants if variant.weight > 0]
    if len(weighted) == 1:
        return weighted[0]
    remaining = draw * sum(variant.weight for variant in weighted)
    for variant in weighted:
        remaining -= variant.weight
        if remaining < 0:
            return variant
    if weighted:
        return weighted[-1]  # rounding of the sum
    raise ValidationError(f"No variant of endpoint {endpoint} has a weight above 0; name one in TargetVariant.")


def choose_replica(replicas: Sequence[Replica], outstanding: Mapping[str, int], draw: float) -> Replica | None:
    """The replica with the fewest requests under way; among equals, any. None where there is none.

    AWS's default is RANDOM. Fewest outstanding never does worse for a caller: one slow answer does not queue others.
    """
    if len(replicas) < 2:
        return replicas[0] if replicas else None
    fewest = min(outstanding.get(replica.task_id, 0) for replica in replicas)
    best = [replica for replica in replicas if outstanding.get(replica.task_id, 0) == fewest]
    return best[int(draw * len(best))]
