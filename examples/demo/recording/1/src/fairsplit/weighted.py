"""Everybody pays by weight: nights slept, rooms used, glasses drunk."""

from collections.abc import Sequence


def split_by_weights(amount: int, weights: Sequence[int]) -> list[int]:
    """Split `amount` cents in proportion to `weights`.

    The cents left over go to the largest remainders, to the earlier one where two are equal.
    """
    if not weights:
        raise ValueError("at least one weight is needed")
    if any(weight < 0 for weight in weights):
        raise ValueError("a weight cannot be negative")
    total = sum(weights)
    if total == 0:
        raise ValueError("at least one weight must be above zero")
    parts = [divmod(amount * weight, total) for weight in weights]
    shares = [share for share, _ in parts]
    by_remainder = sorted(range(len(parts)), key=lambda position: -parts[position][1])
    for position in by_remainder[: amount - sum(shares)]:
        shares[position] += 1
    return shares
