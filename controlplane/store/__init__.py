"""The only code that speaks to Supabase: one method per verb, the official client for objects, errors translated."""

from controlplane.store.connection import Connection, TokenSource, connect
from controlplane.store.functions import FunctionsStore
from controlplane.store.runner import RunnerStore

__all__ = ["Connection", "FunctionsStore", "RunnerStore", "TokenSource", "connect"]
