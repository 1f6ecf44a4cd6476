"""What the workflow says about the jobs before this one: its `needs` context, as `toJSON(needs)`."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controlplane.errors import UsageError

Text = Annotated[str, Field(max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Outputs(_Part):
    """`orders` was put out before an agent ran, `runner` before anything of the repository's ran."""

    orders: Text = ""
    handover: Text = ""
    runner: Text = ""


class Job(_Part):
    """`result` is success, failure, cancelled or skipped."""

    result: Text = "skipped"
    outputs: Outputs = Outputs()


class Needs(_Part):
    build: Job = Job()
    verify: Job = Job()

    def on_runner(self, identity: str) -> list[str]:
        """The jobs before this one that were on the machine with this identity."""
        jobs = {"build": self.build, "verify": self.verify}
        return [name for name, job in jobs.items() if identity and job.outputs.runner == identity]


def read_needs(text: str) -> Needs:
    """Raises UsageError for anything but a `needs` context."""
    try:
        return Needs.model_validate(json.loads(text or "{}"))
    except (ValidationError, ValueError, RecursionError) as error:
        raise UsageError(
            "input 'needs' is not the workflow's `needs` context.", "Pass ${{ toJSON(needs) }}."
        ) from error
