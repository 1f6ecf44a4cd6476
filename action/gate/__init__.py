"""The gate: a Definition of Done and Evidence become a Verdict. It starts nothing, asks nobody and invents nothing."""

from action.gate.judge import judge

__all__ = ["judge"]
