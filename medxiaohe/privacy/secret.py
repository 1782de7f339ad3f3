"""The key of a de-identified collection: pseudonyms, UIDs and date shifts are keyed hashes of the originals.

With the key, the pseudonym of a known identifier can be computed; no identifier can be computed from a
pseudonym. No table from one to the other is ever written. The same key gives the same pseudonyms in every
run, so a patient stays one patient.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from medxiaohe.errors import ConfigError
from medxiaohe.io import storage

VARIABLE = "MEDXIAOHE_DEID_KEY"
LEAST_HEX = 32  # 128 bits
# the shift of a patient's times: one day to ten years back
SHIFT_DAYS, SECONDS_OF_DAY = 3650, 86_400


@dataclass(frozen=True)
class Key:
    """Keyed hashes for pseudonyms; `secret` is left out of the repr."""

    secret: bytes = field(repr=False)

    def digest(self, kind: str, value: str) -> bytes:
        """Hash a value with the key (HMAC-SHA-256).

        Args:
            kind: of the value, such as "patient": equal values of two kinds have different hashes.
            value: the original.

        Returns:
            32 bytes.
        """
        return hmac.new(
            self.secret, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256
        ).digest()

    def name(self, kind: str, value: str) -> str:
        """Make the pseudonym of a value.

        Args:
            kind: of the value.
            value: the original.

        Returns:
            16 hexadecimal digits (64 bits).
        """
        return self.digest(kind, value).hex()[:16]

    def uid(self, value: str) -> str:
        """Make a UID under 2.25 (PS3.5 B.2) for a UID: the same for the same original, whichever file has it.

        Returns:
            2.25. and the decimal number of a UUID of version 8 (RFC 9562).
        """
        digest = bytearray(self.digest("uid", value.strip())[:16])
        digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80  # UUID version 8, RFC 9562
        return f"2.25.{int.from_bytes(digest, 'big')}"

    def shift_seconds(self, patient: str) -> int:
        """Return how far the times of a patient are moved back; the same for all of them, so that intervals
        stay.

        Returns:
            Seconds: one day to ten years.
        """
        # 64 bits modulo 10 years of seconds (3.2e8): the bias of the remainder is below 2e-11
        number = int.from_bytes(self.digest("shift", patient)[:8], "big")
        return SECONDS_OF_DAY + number % (SHIFT_DAYS * SECONDS_OF_DAY)


def load(path: Path | None = None) -> Key:
    """Load the key, or make one.

    Args:
        path: file of the key; made with mode 0600 where it does not exist. None: the environment variable
            MEDXIAOHE_DEID_KEY.

    Returns:
        The key.

    Raises:
        ConfigError: others may read the file, it holds no key, or there is neither file nor variable.
        StorageError: the file cannot be written.
    """
    if path is None:
        if not (text := os.environ.get(VARIABLE, "")):
            raise ConfigError(
                f"de-identification needs a key: give --key FILE (made if it is not there) or set {VARIABLE}"
            )
        return Key(_bytes(text, f"the environment variable {VARIABLE}"))
    if not path.exists():
        with storage(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as out:
                out.write(secrets.token_hex(32) + "\n")
                out.flush()
                os.fsync(out.fileno())
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ConfigError(f"the key file {path} may be read by others (mode {mode:04o}): chmod 600 {path}")
    return Key(_bytes(path.read_text(errors="replace"), f"the key file {path}"))


def _bytes(text: str, origin: str) -> bytes:
    try:
        result = bytes.fromhex(text.strip())
    except ValueError:
        result = b""
    if 2 * len(result) < LEAST_HEX:
        raise ConfigError(
            f"{origin} holds no key: it must be at least {LEAST_HEX} hexadecimal digits, such as `openssl"
            " rand -hex 32` gives"
        )
    return result
