"""Signing with an ed25519 key (RFC 8032). A key is known by the SHA-256 of its public half."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controlplane.errors import CallerError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FIX = "Make one with `openssl genpkey -algorithm ed25519`, its public half with `openssl pkey -pubout`."


@dataclass(frozen=True)
class Signer:
    """`public_key` is raw, in base64."""

    public_key: str
    key_id: str
    _private: Ed25519PrivateKey = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)


def load_signer(pem: str) -> Signer:
    """From an unencrypted PKCS #8 key in PEM; raises CallerError, which never repeats any of it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.strip().encode() + b"\n", None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable("The signing key cannot be read: it is no unencrypted private key in PEM.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable("The signing key is not an ed25519 key.")
    raw = key.public_key().public_bytes_raw()
    return Signer(base64.b64encode(raw).decode(), key_id_of(raw), key)


def load_public_key(pem: bytes) -> bytes:
    """The raw 32 bytes of an ed25519 public key in PEM; raises CallerError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable("The key cannot be read: it is no public key in PEM.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _unusable("The key is not an ed25519 key.")
    return key.public_bytes_raw()


def is_signed_by(raw: bytes, signature: bytes, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key: Ed25519PublicKey = Ed25519PublicKey.from_public_bytes(raw)
        key.verify(signature, data)
    except (ValueError, InvalidSignature):
        return False
    return True


def key_id_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _unusable(message: str) -> CallerError:
    return CallerError(message, FIX, "signing-key")
