"""Measurements, printed as ratios against a baseline taken in the same run. Never part of the tests."""
