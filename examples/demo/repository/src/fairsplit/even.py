"""Everybody pays the same, give or take a cent."""


def split_evenly(amount: int, people: int) -> list[int]:
    """Split `amount` cents among `people`; the first ones carry the cents left over."""
    if people < 1:
        raise ValueError("at least one person must pay")
    share, left_over = divmod(amount, people)
    return [share + (1 if person < left_over else 0) for person in range(people)]
