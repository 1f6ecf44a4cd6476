"""An RSA key that outlives restarts, and the JSON Web Tokens signed (or, for hostile tests, mis-signed) with it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

Signing = Literal["good", "stranger", "none", "hs256-public", "broken"]


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


class SigningKey:
    """One issuer's RS256 key."""

    def __init__(self, path: Path) -> None:
        """Loads the key, or makes it at the first start. The file is readable by its owner only."""
        if not path.exists():
            _write_new_key(path)
        loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise TypeError(f"{path} holds no RSA key; delete it and start again")
        self._private = loaded
        der = loaded.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.kid = hashlib.sha256(der).hexdigest()[:40]
        self._certificate = _self_signed(loaded)

    def certificate(self) -> str:
        """X.509 PEM, the form in which Google publishes its keys."""
        return self._certificate

    def jwk(self) -> dict[str, str]:
        """RFC 7517 public key, the form in which GitHub publishes its keys."""
        numbers = self._private.public_key().public_numbers()
        modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        exponent = numbers.e.to_bytes(3, "big")
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.kid}
        return key | {"n": _segment(modulus), "e": _segment(exponent)}

    def derive_secret(self, purpose: str) -> bytes:
        """A secret of its own for another purpose, the same after a restart."""
        der = self._private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return hmac.new(der, purpose.encode(), hashlib.sha256).digest()

    def mint(self, claims: dict[str, Any], header: dict[str, Any] | None = None, signing: Signing = "good") -> str:
        """A compact JWT. A header or claim given as None is left out."""
        algorithm = {"none": "none", "hs256-public": "HS256"}.get(signing, "RS256")
        full_header = {"alg": algorithm, "kid": self.kid, "typ": "JWT"} | (header or {})
        parts = [{k: v for k, v in part.items() if v is not None} for part in (full_header, claims)]
        signed = ".".join(_segment(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
        return f"{signed}.{_segment(self._sign(signed.encode('ascii'), signing))}"

    def _sign(self, data: bytes, signing: Signing) -> bytes:
        if signing == "none":
            return b""
        if signing == "hs256-public":
            public = self._private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            return hmac.new(public, data, hashlib.sha256).digest()
        key = rsa.generate_private_key(65537, 2048) if signing == "stranger" else self._private
        signature = key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return bytes([signature[0] ^ 1]) + signature[1:] if signing == "broken" else signature


def _write_new_key(path: Path) -> None:
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_bytes(pem)
    fresh.replace(path)


def _self_signed(key: rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon.system.gserviceaccount.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
