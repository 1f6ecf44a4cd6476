"""The base's tests once more, in disguise and with probes: what that shows, and what it does not because of the base.

A test that passes plainly and fails in disguise shows code that can tell when it is tested, or a test that cannot bear
the disguise. The second kind fails on the base in disguise as well, though it passes there plainly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from action.verify.checkout import Snapshot
from action.verify.integrity.probes import Probed
from action.verify.orders import collect_order, probe_order
from action.verify.pytestrun import PytestOrder, PytestRun

# More tests than these do not fail in disguise one by one: then it is the disguise.
MOST_NODES = 50
Runner = Callable[[str, PytestOrder], PytestRun]


def probe_tests(
    laid_over: PytestOrder, plain: PytestRun, base: Snapshot, distributions: tuple[str, ...], run: Runner
) -> Probed:
    """Run in disguise what ran plainly, and whatever is needed to tell the change's doing from the base's."""
    order = probe_order(laid_over)
    if order is None:
        return Probed()
    found = run("probe", order)
    on_base = collect_order(base, distributions, run=True)
    if on_base is None:
        return Probed()
    on_base = replace(on_base, left_out=laid_over.left_out)
    subverted = found.recorded.probes
    if subverted:
        again = probe_order(on_base)
        subverted -= run("probe-base", again).recorded.probes if again else frozenset()
    doubtful = plain.recorded.ids("passed") & found.recorded.ids("failed", "error")
    return Probed(subverted, _seen_through(order, on_base, doubtful, run))


def _seen_through(order: PytestOrder, on_base: PytestOrder, doubtful: frozenset[str], run: Runner) -> frozenset[str]:
    nodes = tuple(sorted({node.partition("[")[0] for node in doubtful}))
    if not nodes or len(nodes) > MOST_NODES:
        return frozenset()
    # Once more: what fails now and then is no sign of anything.
    steady = run("probe-again", replace(order, paths=nodes)).recorded.ids("failed", "error") & doubtful
    plainly = run("probe-base-plain", replace(on_base, paths=nodes)).recorded.ids("passed")
    disguised = probe_order(replace(on_base, paths=nodes))
    cannot_bear = plainly - run("probe-base-disguised", disguised).recorded.ids("passed") if disguised else frozenset()
    return steady - cannot_bear
