from fairsplit import split_by_weights


def test_us1_1_shares_follow_the_weights() -> None:
    assert split_by_weights(1000, [1, 2, 1]) == [250, 500, 250]


def test_us1_2_left_over_cents_go_to_the_largest_remainder() -> None:
    assert split_by_weights(100, [1, 1, 1]) == [34, 33, 33]
    assert split_by_weights(1000, [3, 3, 1]) == [429, 428, 143]
