"""Signals: at once outside of what is held, noted inside."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from action import interruption as interruption_module
from action.interruption import Interruption


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    listening = Interruption()
    listening.listen()
    yield listening
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_what_is_not_held(interruption: Interruption, number: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        send(number)


def test_what_is_held_comes_to_its_end_when_github_gets_less_polite(interruption: Interruption) -> None:
    with interruption.held():
        assert not interruption.came
        send(signal.SIGINT)
        assert interruption.came
        send(signal.SIGTERM)


def test_person_who_presses_again_is_obeyed(interruption: Interruption) -> None:
    with interruption.held():
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_what_is_held_stays_held_wherever_a_signal_meets_a_part_that_may_be_broken_off(
    interruption: Interruption,
) -> None:
    """A signal may come behind every line of it."""
    heard: list[int] = []

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        is_there = frame.f_code.co_filename == interruption_module.__file__ and frame.f_code.co_name == "let_through"
        if is_there and event == "line" and not interruption._is_held and not heard:
            heard.append(frame.f_lineno)
            send(signal.SIGINT)
        return trace

    with interruption.held():
        sys.settrace(trace)
        try:
            with pytest.raises(KeyboardInterrupt), interruption.let_through():
                pytest.fail("the signal came before")
        finally:
            sys.settrace(None)
        assert heard
        assert interruption._is_held


def test_part_that_may_be_broken_off_is(interruption: Interruption) -> None:
    with interruption.held():
        with pytest.raises(KeyboardInterrupt), interruption.let_through():
            send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), interruption.let_through():
            pytest.fail("a signal that came before was not heard")
        send(signal.SIGTERM)
