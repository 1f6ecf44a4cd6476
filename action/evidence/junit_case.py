"""JUnit cases by their attributes: an id, how they ended, how long they took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from action.evidence.figures import parse_count, parse_seconds
from action.evidence.limits import Allowance
from action.evidence.wording import Problems, one_line
from controlplane.testcase import Columns, Detail, Group, Outcome

# Which end counts where a case tells of several.
WORSE: dict[Outcome, int] = {"passed": 0, "xfailed": 1, "skipped": 1, "failed": 2, "error": 3}
# Words of `status` and `result` attributes that say a case did not pass; all others leave it to the children.
_STATUS: dict[str, Outcome] = {
    **dict.fromkeys(("failed", "failure", "fail", "ko", "broken", "timeout", "timedout"), "failed"),
    **dict.fromkeys(("error", "errored"), "error"),
    **dict.fromkeys(("skipped", "skip", "ignored", "disabled", "notrun", "pending", "todo", "suppressed"), "skipped"),
}
_ID_LENGTH = 2000
_FILE_LENGTH = 1000
# Of a batch together; more is looked at one by one.
_LONGEST_SECONDS = 1e12
Attributes = dict[str, str]


class CaseAdder:
    """Adds cases to `columns`, many at a time and column by column: a large report is mostly cases that passed."""

    def __init__(self, columns: Columns, allowance: Allowance, problems: Problems) -> None:
        self._columns = columns
        self._allowance = allowance
        self._problems = problems
        self._class_before = self._file_before = self._prefix = ""

    def add(
        self, cases: Sequence[Attributes], outcome: Outcome = "passed", message: str = "", group: Group = ""
    ) -> None:
        """Cases by their attributes, all of which ended as their children said: `outcome`.

        Raises UnreadableReport when the allowance is spent.
        """
        self._allowance.take_cases(len(cases))
        self._columns.seconds.extend(self._seconds(cases))
        add_id, add_outcome = self._columns.node_ids.append, self._columns.outcomes.append
        classname, file, prefix = self._class_before, self._file_before, self._prefix
        for case in cases:
            get = case.get
            # Cases of one class stand together and share what is before their name.
            if get("classname", "") != classname or get("file", "") != file:
                classname, file = get("classname", ""), get("file", "")
                prefix = node_prefix(file[:_ID_LENGTH], classname[:_ID_LENGTH])
            if file or message or group:
                line = parse_count(get("line")) if file else None
                self._columns.details[len(self._columns.node_ids)] = Detail(message, file[:_FILE_LENGTH], line, group)
            node_id = prefix + get("name", "")
            add_id(node_id if len(node_id) <= _ID_LENGTH else node_id[:_ID_LENGTH])
            told = "status" in case or "result" in case
            add_outcome(_worst(outcome, case) if told else outcome)
        self._class_before, self._file_before, self._prefix = classname, file, prefix

    def _seconds(self, cases: Sequence[Attributes]) -> Iterable[float | None]:
        times = [case.get("time") for case in cases]
        try:
            seconds = list(map(float, times))  # type: ignore[arg-type]  # None is looked at below
        except (TypeError, ValueError):
            return map(self._one_time, times)
        sound = bool(seconds) and min(seconds) >= 0 and sum(seconds) < _LONGEST_SECONDS
        return seconds if sound else map(self._one_time, times)

    def _one_time(self, time: str | None) -> float | None:
        seconds = parse_seconds(time)
        if seconds is None and time:
            self._problems.add(f'time="{one_line(time, 40)}" is no duration')
        return seconds


def _worst(outcome: Outcome, case: Attributes) -> Outcome:
    """What the children said, unless an attribute says worse."""
    for key in ("status", "result"):
        told = _STATUS.get(case.get(key, "").strip().lower(), "passed")
        if WORSE[told] > WORSE[outcome]:
            outcome = told
    return outcome


def node_prefix(file: str, classname: str) -> str:
    """What stands before a case's name: pytest's own id where the report names the file (junit_family=xunit1), else
    the class. pytest writes the module and the classes into `classname`, dotted; the file says where the module ends.
    """
    if file.endswith(".py"):
        module = file.removesuffix(".py").replace("\\", "/").removeprefix("./").replace("/", ".")
        if classname == module:
            return f"{file}::"
        if classname.startswith(module + "."):
            return "::".join((file, *classname[len(module) + 1 :].split("."), ""))
    return f"{classname}::" if classname else ""
