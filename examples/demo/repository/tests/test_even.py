import pytest

from fairsplit import split_evenly


def test_split_without_remainder_gives_equal_shares() -> None:
    assert split_evenly(900, 3) == [300, 300, 300]


def test_split_with_remainder_loses_no_cent() -> None:
    assert split_evenly(1000, 3) == [334, 333, 333]


def test_split_among_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one person"):
        split_evenly(100, 0)
