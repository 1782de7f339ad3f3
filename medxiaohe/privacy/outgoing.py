"""De-identify conversations for other machines in the mode `deid`: texts are redacted, pictures must have no
text.

texts, arguments and results of tools     redacted, with one numbering for the whole conversation
pictures                                  read by OCR, and refused when it finds text or is not installed; the
                                          request has their pixels only
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medxiaohe import images
from medxiaohe.errors import MissingExtra, PrivacyError
from medxiaohe.privacy import pixels
from medxiaohe.privacy.text import Redactor
from medxiaohe.types import ImageRef, Message, Part, ToolCall, ToolResult


def cleaned(messages: Sequence[Message], subject: str) -> list[Message]:
    """De-identify a conversation for a remote model.

    Args:
        messages: of the conversation; a name has one number in all of them.
        subject: name of the conversation, for the message of an error.

    Returns:
        The messages with redacted texts, arguments and results of tools; pictures are unchanged.

    Raises:
        PrivacyError: OCR finds text in a picture, or is not installed.
    """
    redact = Redactor()
    return [
        replace(message, parts=tuple(_part(part, redact, subject) for part in message.parts))
        for message in messages
    ]


def _part(part: Part, redact: Redactor, subject: str) -> Part:
    if isinstance(part, str):
        return redact(part).text
    if isinstance(part, ToolCall):
        return replace(part, arguments={name: redact.value(value) for name, value in part.arguments.items()})
    if isinstance(part, ToolResult):
        parts = tuple(redact(p).text if isinstance(p, str) else _picture(p, subject) for p in part.parts)
        return ToolResult(part.call_id, parts, (), redact(part.error).text)
    return _picture(part, subject)


def _picture(ref: ImageRef, subject: str) -> ImageRef:
    import numpy as np

    try:
        boxes = pixels.texts(np.asarray(images.open_image(ref)))
    except MissingExtra as error:
        raise PrivacyError(f"{subject} has a picture, privacy.mode is deid, and {error}") from None
    if boxes:
        raise PrivacyError(
            f"{subject} has a picture with text in its pixels, and privacy.mode is deid: blank it, or use a"
            " server on this machine"
        )
    return ref
