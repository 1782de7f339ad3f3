"""Errors that medxiaohe raises on purpose, with the exit code of the command line.

MedError (3)
  x UsageError (2)      what the user typed or wrote in a recipe cannot be meant
  |  x ConfigError      a recipe, name or option is wrong; the message says what would be right
  |  x MissingExtra     an optional dependency is not installed; the message has the command
  |  x CodeRefused      a recipe or data names Python code that nobody allowed
  |  x PrivacyError     something would leave this machine, and privacy.mode forbids it
  |  x RunLocked        another process is running in this folder
  x DataError (3)       a file, row or image is not what it should be
  |  x AssetError       a package file could not be downloaded, or its hash is wrong
  |  x Rejected         a row or file is refused, with the code of its reason (one of REJECTIONS)
  x StorageError (3)    the disk is full, read-only or failing
  x ModelError (3)      a model or its server failed
  |  x JudgeFailed      a judge did not pass its self-test, so what it judged is not published
  |  x ServerGone       no request can succeed: the server is away, refuses the key, or keeps failing
  |  x RequestRejected  the server refuses this request, such as one that is too long; others may succeed
  x ToolError (3)       a tool failed; agents hand it to the model instead of stopping
  x WorkflowError (3)   a workflow raised, or yielded or returned what the engine cannot take
  x RetrieverDown (3)   a retriever does not answer, or not with passages: never handed to the model, training
                        stops

A message is one sentence with the value, what is allowed, and what to do.
"""


class MedError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 3


class UsageError(MedError, ValueError):
    exit_code = 2


class ConfigError(UsageError):
    pass


class MissingExtra(UsageError, ImportError):
    pass


class CodeRefused(UsageError):
    pass


class PrivacyError(UsageError):
    pass


class RunLocked(UsageError):
    pass


class DataError(MedError, ValueError):
    pass


REJECTIONS = {  # why a row or a file is refused, as words a program can count
    "row": "the row is not what its format says",
    "missing": "a file that is named is not there",
    "placeholder": "the images and their places in the text do not agree",
    "empty": "there is no text, answer or image in it",
    "duplicate": "a row with this id was read before",
    "encoding": "not UTF-8",
    "surrogate": "half of a surrogate pair, which no UTF-8 file can hold",
    "json": "not standard JSON",
    "xml": "not XML, or XML with entities of its own",
    "format": "the file is not of its format",
    "truncated": "the file ends too early",
    "too_large": "it needs more memory than a worker has, or says it does",
    "too_deep": "nested deeper than any real file",
    "bomb": "it unpacks to far more than it is",
    "not_finite": "NaN or infinity where numbers must be",
    "lie": "what the header says is not what the file holds",
    "unsafe_path": "a path that leads out of its folder, or a link",
    "executable": "the file starts as a program",
    "changed": "the bytes are not those of the stated hash",
    "burned_in": "the file says that its pixels name the patient",
    "image": "not a readable image",
    "unsupported": "valid, but there is no decoder for it here",
    "time": "decoding took too long and was stopped",
    "crash": "the decoder died",
}


class Rejected(DataError):
    """A DataError with the code of its reason, and the byte offset of the fault where it is known."""

    def __init__(self, code: str, message: str, offset: int | None = None):
        super().__init__(message)
        assert code in REJECTIONS, code
        self.code, self.offset = code, offset

    def __reduce__(self) -> tuple[object, ...]:
        """What another process needs to raise it again."""
        return type(self), (self.code, str(self), self.offset)


class AssetError(DataError):
    pass


class StorageError(MedError, OSError):
    pass


class ModelError(MedError, RuntimeError):
    pass


class JudgeFailed(ModelError):
    pass


class ServerGone(ModelError):
    pass


class RequestRejected(ModelError):
    pass


class ToolError(MedError, RuntimeError):
    pass


class WorkflowError(MedError, RuntimeError):
    pass


class RetrieverDown(MedError, ConnectionError):
    pass
