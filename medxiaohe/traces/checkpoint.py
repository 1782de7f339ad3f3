"""Sign checkpoints of a log: origin, size and root, as a C2SP tlog-checkpoint in a C2SP signed note.

    medxiaohe/traces
    2
    <base64 of the root>

    — NAME <base64 of key id and Ed25519 signature>

Keys are the text that Go's `note` package writes: NAME+HASH+BASE64, the private one behind PRIVATE+KEY+.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from typing import Any

from medxiaohe.errors import DataError, MissingExtra

ORIGIN = "medxiaohe/traces"
_ED25519 = b"\x01"  # C2SP signed-note: the type of the signature


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of a log: its size and its Merkle root."""

    size: int  # traces
    root: bytes  # 32 bytes
    origin: str = ORIGIN

    @property
    def text(self) -> str:
        """The body of the signed note.

        Returns:
            origin, size and base64 of the root, each on a line.
        """
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def new_key(name: str) -> tuple[str, str]:
    """Generate an Ed25519 key pair.

    Args:
        name: of whoever signs; without blanks and "+".

    Returns:
        The private key, and the public one that verifiers get.

    Raises:
        DataError: a name with blanks or "+".
        MissingExtra: the package cryptography is not installed.
    """
    if not name or "+" in name or any(letter.isspace() for letter in name):
        raise DataError(f"{name!r} cannot be the name of a key: use letters, digits, '/', '.', '-'")
    seed = os.urandom(32)
    public = _public(seed)
    return f"PRIVATE+KEY+{name}+{_id(name, public).hex()}+{_key64(seed)}", _verifier(name, public)


def public_key(private: str) -> str:
    """Derive the public key of a private one.

    Args:
        private: text of a private key.

    Returns:
        text of the public key

    Raises:
        DataError: it is not a private key.
    """
    name, seed = _private(private)
    return _verifier(name, _public(seed))


def sign(checkpoint: Checkpoint, private: str = "") -> str:
    """Write a checkpoint as a signed note; without a key it is unsigned.

    Args:
        checkpoint: what is signed.
        private: text of a private key, or "".

    Returns:
        the note, with an Ed25519 signature where there is a key

    Raises:
        DataError: it is not a private key.
    """
    if not private:
        return checkpoint.text
    name, seed = _private(private)
    signature = _ed25519().Ed25519PrivateKey.from_private_bytes(seed).sign(checkpoint.text.encode())
    line = base64.b64encode(_id(name, _public(seed)) + signature).decode()
    return f"{checkpoint.text}\n\u2014 {name} {line}\n"


def parse(note: str) -> tuple[Checkpoint, list[tuple[str, bytes]]]:
    """Parse a checkpoint and its signatures.

    Args:
        note: text of the signed note.

    Returns:
        (checkpoint, [(name of the signer, key id and signature as bytes)]).

    Raises:
        DataError: it is no checkpoint.
    """
    text, blank, below = note.partition("\n\n")
    lines = (text if blank else text.removesuffix("\n")).split("\n")
    try:
        origin, size, root = lines[:3]
        checkpoint = Checkpoint(int(size), base64.b64decode(root, validate=True), origin)
        if str(checkpoint.size) != size or checkpoint.size < 0 or len(checkpoint.root) != 32:
            raise ValueError
        signatures = []
        for line in below.splitlines():
            dash, name, signed = line.split(" ")
            if dash != "\u2014":
                raise ValueError
            signatures.append((name, base64.b64decode(signed, validate=True)))
    except (ValueError, binascii.Error) as error:
        raise DataError("not a checkpoint: origin, size and root must be its first three lines") from error
    if len(lines) != 3:
        raise DataError("the checkpoint has lines that this version does not know")
    return checkpoint, signatures


def check_signature(note: str, public: str) -> str:
    """Verify the Ed25519 signature of a note.

    Args:
        note: text of the signed note.
        public: public key, NAME+HASH+BASE64.

    Returns:
        "" where the signature is valid, otherwise why it is not.

    Raises:
        DataError: not a note, or not a public key.
        MissingExtra: the package cryptography is not installed.
    """
    try:
        name, id, data = public.strip().split("+", 2)
        kind_and_key = base64.b64decode(data, validate=True)
        if len(kind_and_key) != 33 or kind_and_key[:1] != _ED25519:
            raise ValueError
    except (ValueError, binascii.Error) as error:
        raise DataError("not a public key: it is NAME+HASH+BASE64, as `trace key` prints it") from error
    key = kind_and_key[1:]
    if _id(name, key).hex() != id:
        raise DataError("the public key and its own hash differ: copy it again")
    checkpoint, signatures = parse(note)
    for by, signed in signatures:
        if by == name and signed[:4] == _id(name, key):
            from cryptography.exceptions import InvalidSignature

            try:
                _ed25519().Ed25519PublicKey.from_public_bytes(key).verify(
                    signed[4:], checkpoint.text.encode()
                )
                return ""
            except InvalidSignature:
                return f"the signature of {name} is wrong"
    return f"no signature of {name}" if signatures else "nobody signed it"


def _private(text: str) -> tuple[str, bytes]:
    try:
        private, key, name, _, data = text.strip().split("+", 4)
        kind_and_seed = base64.b64decode(data, validate=True)
        if (private, key) != ("PRIVATE", "KEY") or len(kind_and_seed) != 33 or kind_and_seed[:1] != _ED25519:
            raise ValueError
        return name, kind_and_seed[1:]
    except (ValueError, binascii.Error) as error:
        raise DataError("not a private key: make one with `medxiaohe trace key --out FILE`") from error


def _public(seed: bytes) -> bytes:
    return bytes(_ed25519().Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


def _verifier(name: str, public: bytes) -> str:
    return f"{name}+{_id(name, public).hex()}+{_key64(public)}"


def _id(name: str, public: bytes) -> bytes:
    """Compute the key id: the first four bytes of SHA-256 over name, line feed, type and key (C2SP
    signed-note).
    """
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def _key64(key: bytes) -> str:
    return base64.b64encode(_ED25519 + key).decode()


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise MissingExtra("signatures need cryptography: pip install 'medxiaohe[sign]'") from error
    return ed25519
