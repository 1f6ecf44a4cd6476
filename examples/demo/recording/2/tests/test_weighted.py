import pytest

from fairsplit import split_by_weights


def test_us1_1_shares_follow_the_weights() -> None:
    assert split_by_weights(1000, [1, 2, 1]) == [250, 500, 250]


def test_us1_2_left_over_cents_go_to_the_largest_remainder() -> None:
    assert split_by_weights(100, [1, 1, 1]) == [34, 33, 33]
    assert split_by_weights(1000, [3, 3, 1]) == [429, 428, 143]


def test_us1_3_shares_always_add_up_to_the_amount() -> None:
    for amount in range(200):
        assert sum(split_by_weights(amount, [5, 0, 2, 7])) == amount


def test_us1_4_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        split_by_weights(100, [1, -1])


@pytest.mark.parametrize("weights", [[], [0, 0]])
def test_us1_4_nothing_to_share_by_is_refused(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="at least one weight"):
        split_by_weights(100, weights)
