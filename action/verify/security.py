"""Security scanners, where security_max is asked for: each on a tree of its own that nothing of the change configures.

bandit is ours, unless the repository has a pinned one, and looks at the product's Python. pip-audit runs where the
repository has one, npm audit where there is a lock file for it; both ask a server, so they need the network. What was
asked for and could not run stays not measured.
"""

from __future__ import annotations

from action.verify.bench import Bench
from action.verify.checkout import write_checkout
from action.verify.scan import Scan
from action.verify.security_audit import scan_node_packages, scan_python_packages
from action.verify.security_bandit import scan_python_code

NO_NETWORK = "it asks a server for known vulnerabilities, and the network is off"


def measure_security(bench: Bench) -> None:
    """Run the scanners that apply to this repository; what none of them looks at is said in a note."""
    if bench.dod.security_max is None:
        return
    for find in (scan_python_code, scan_python_packages, scan_node_packages):
        scan = find(bench)
        bench.keeper.notes += scan.notes
        if scan.refusal:
            bench.keeper.keep_unrun("security", scan.id, scan.refusal)
        elif scan.command and scan.needs_network and not bench.network:
            bench.keeper.keep_unrun("security", scan.id, NO_NETWORK)
        elif scan.command:
            bench.say(f"running {scan.id}")
            _run(bench, scan)


def _run(bench: Bench, scan: Scan) -> None:
    """The tree belongs to us, so that the scanner can only read it; what it prints is its report."""
    with bench.cell(f"security-{scan.id}", roomy=scan.roomy) as cell:
        write_checkout(scan.tree, cell.tree)
        outcome = cell.run(scan.command, timeout_seconds=bench.left())
        report = None
        if outcome.exit_code is not None:
            report = bench.area.reports / f"{scan.id}.json"
            report.write_bytes(outcome.output.replace(f"{cell.tree}/".encode(), b""))
        bench.keeper.keep_told("security", scan.id, scan.command, outcome, report)
