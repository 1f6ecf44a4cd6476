"""How each server stands, before the run by our own probe and after it by what the agent's program said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from action.build.mcpconfig.servers import OWN_NAME, McpConfig
from controlplane.noun import Noun

Status = Literal["connected", "failed", "timed-out", "refused", "not-asked"]
SAID = {"connected": "connected", "failed": "failed", "needs-auth": "refused", "pending": "timed-out"}


class ServerState(Noun):
    """One line of the report. `reason` and `fix` are empty where all is well; neither ever holds a header or a value.

    `version` is the server's own name for itself and its protocol's, `tools` the names it offered.
    """

    name: str
    type: str
    required: bool
    status: Status
    reason: str = ""
    fix: str = ""
    version: str = ""
    tools: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_up(self) -> bool:
        return self.status == "connected"


def states_after(
    config: McpConfig, probed: Sequence[ServerState], said: Iterable[Mapping[str, Any]]
) -> tuple[ServerState, ...]:
    """The probe's states brought up to date by the `mcp_servers` of the agent's first line (`name`, `status`).

    A server that the line does not name was not started; our own is listed last, when it is named.
    """
    by_name = {str(one.get("name", "")): str(one.get("status", "")) for one in said}
    states = [_after(state, by_name.get(state.name)) for state in probed]
    if OWN_NAME in by_name:
        own = ServerState(name=OWN_NAME, type="stdio", required=True, status="not-asked")
        states.append(_after(own, by_name[OWN_NAME]))
    assert len(probed) == len(config.servers), "one state for each server"
    return tuple(states)


def _after(state: ServerState, said: str | None) -> ServerState:
    status = SAID.get(said or "", "failed")
    if status == "connected":
        return state.model_copy(update={"status": status, "reason": "", "fix": ""})
    if said is None:
        reason = state.reason or "the agent's program did not start it"
    else:
        reason = f"the agent's program says `{said[:40]}`"
    return state.model_copy(update={"status": status, "reason": reason})
