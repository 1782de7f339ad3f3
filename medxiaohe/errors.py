"""Every error medxiaohe raises on purpose, with the exit code the command line gives it.

MedError (3)
  x UsageError (2)      what the user typed or wrote in a recipe cannot be meant
  |  x ConfigError      a recipe, name or option is wrong; the message says what would be right
  |  x MissingExtra     an optional dependency is not installed; the message has the command
  |  x PrivacyError     something would leave this machine, and privacy.mode forbids it
  |  x RunLocked        another process is running in this folder
  x DataError (3)       a file, row or image is not what it should be
  |  x AssetError       a package file could not be had, or its hash is wrong
  x StorageError (3)    the disk is full, read-only or failing
  x ModelError (3)      a model or its server failed
  |  x JudgeFailed      a judge did not pass its self-test, so what it judged is not published
  x ToolError (3)       a tool failed; agents hand it to the model instead of stopping
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


class PrivacyError(UsageError):
    pass


class RunLocked(UsageError):
    pass


class DataError(MedError, ValueError):
    pass


class AssetError(DataError):
    pass


class StorageError(MedError, OSError):
    pass


class ModelError(MedError, RuntimeError):
    pass


class JudgeFailed(ModelError):
    pass


class ToolError(MedError, RuntimeError):
    pass


class RetrieverDown(MedError, ConnectionError):
    pass
