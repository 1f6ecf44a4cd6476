"""What is run after the plain tests, one after the other: Node's tests, end-to-end tests, Lighthouse, scanners."""

from __future__ import annotations

from action.verify.bench import Bench
from action.verify.e2e import NOTHING, measure_e2e
from action.verify.lighthouse import measure_lighthouse, wanted_categories
from action.verify.nodetests import measure_node_e2e, measure_node_tests
from action.verify.pytestrun import PytestOrder
from action.verify.security import measure_security
from action.verify.toldtests import measure_told_e2e, measure_told_unit


def measure_product(bench: Bench, e2e_orders: list[PytestOrder]) -> None:
    """Run what the Definition of Done asks for, and say what was left out because it does not."""
    measure_node_tests(bench)
    measure_told_unit(bench)
    if bench.dod.e2e_pass is True:
        by_others = (measure_node_e2e(bench), measure_told_e2e(bench))
        if e2e_orders:
            measure_e2e(bench, e2e_orders)
        elif not any(by_others):
            bench.keeper.keep_unrun("e2e", "pytest", NOTHING)
    elif e2e_orders:
        modules = sorted({path for order in e2e_orders for path in order.paths})
        bench.keeper.notes.append(
            f"{len(modules)} modules of end-to-end tests were not run, since e2e_pass is not asked for: "
            + ", ".join(modules[:5])
        )
    categories = wanted_categories(bench.dod)
    if categories:
        measure_lighthouse(bench, categories)
    measure_security(bench)
