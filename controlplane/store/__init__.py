"""The only code that speaks to Supabase: the official client, one method per verb, foreign errors translated."""

from controlplane.store.connection import Connection, TokenSource, connect
from controlplane.store.functions import FunctionsStore
from controlplane.store.runner import RunnerStore

__all__ = ["Connection", "FunctionsStore", "RunnerStore", "TokenSource", "connect"]
