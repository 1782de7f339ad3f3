"""The error of a file that is not published."""

from medxiaohe.errors import DataError


class Quarantined(DataError):
    """The file is not published; the message is a reason, without anything of its content."""
