"""A whole JSON file, plain or .gz, of a size that fits."""

import json
from pathlib import Path
from typing import Any

from medxiaohe.errors import DataError
from medxiaohe.io import packed

MAX_BYTES = 256 * 2**20  # unpacked; objects in memory take about eight times as much


def load(path: Path) -> Any:
    """Load a JSON file of at most MAX_BYTES, plain or compressed.

    Raises:
        DataError: the file is missing, too large, not UTF-8, not JSON or truncated.
    """
    raw = packed.read(path, MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        line = raw.count(b"\n") + 1
        raise DataError(
            f"{path}:{line}: more than {MAX_BYTES >> 20} MiB of JSON: use the OBO file of this vocabulary"
        )
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8 ({error.reason} at byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON, or truncated: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON: {error}") from error
