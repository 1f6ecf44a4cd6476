"""Mutants: small faults put into the changed lines, one at a time, to see whether a test notices."""
