"""What can go wrong between us and the Postgres binaries, as leaves of the one error tree."""

from __future__ import annotations

from controlplane.errors import CallerError


class PostgresError(CallerError):
    """Postgres could not be used on this machine as asked; trying again changes nothing."""

    default_code = "postgres-launch-failed"

    def __init__(self, what: str, *, cause: str, fix: str) -> None:
        super().__init__(message=f"{what} Likely cause: {cause}.", fix=fix)


class BinariesNotFoundError(PostgresError):
    """No usable Postgres binaries were found."""

    default_code = "postgres-binaries-not-found"


class DataDirectoryBusyError(PostgresError):
    """Another process is using this data directory."""

    default_code = "postgres-data-directory-busy"


class PrivateAreaError(PostgresError):
    """The shared directory that we need exists, but somebody else could write to it."""

    default_code = "postgres-private-area-unsafe"


class MigrationError(PostgresError):
    """A migration, or the base layer under the migrations, could not be applied."""

    default_code = "postgres-migration-failed"
