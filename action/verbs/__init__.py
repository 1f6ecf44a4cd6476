"""The verbs, in the order of a run. Each reads nouns from the run folder and leaves its own there."""

from __future__ import annotations

# verb → module. A module is imported when its verb is called: `gate` alone must not pay for the others.
VERBS: dict[str, str] = {
    "receive": "action.verbs.receive",
    "start": "action.verbs.start",
    "plan": "action.verbs.plan",
    "build": "action.verbs.build",
    "verify": "action.verbs.verify",
    "handover": "action.verbs.handover",
    "gate": "action.verbs.gate",
    "publish": "action.verbs.publish",
    "finish": "action.verbs.finish",
    "deliver": "action.verbs.deliver",
}
