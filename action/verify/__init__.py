"""Verify: measure a change. `verify_change(change, dod, options) -> Evidence` is the door of this room.

Clean checkouts, a target environment, a sandbox, the tools, and the look at what judges (integrity). The reports are
made here, by us, from what a recorder streams out of the sandbox; nothing the repository's code wrote is believed.
"""
