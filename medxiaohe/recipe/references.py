"""Replace the references of a recipe, `${name}` and `${env:NAME}`, within a limit.

Parameters may refer to earlier ones, so ten lines can expand to 10^9 copies of a text or of a list; the size
of a recipe after replacing is limited, and counted before it is made.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from medxiaohe import permission, plugins
from medxiaohe.errors import ConfigError

REFERENCE = re.compile(r"\$\{([^{}]+)\}")
MAX_FILLED = 2**20  # characters and values of a recipe with its references replaced; a YAML file has 2**18


class Filler:
    """Replaces references by the values of `params`, which may grow while it is used.

    Args:
        params: values by name.
        left: characters and values that may still be put in.
    """

    def __init__(self, params: Mapping[str, Any], left: int = MAX_FILLED) -> None:
        self.params, self._left = params, left
        self._sizes: dict[str, int] = {}

    def fill(self, value: Any, location: str) -> Any:
        """The value without references; one that is nothing but a reference keeps the parameter's type.

        Raises:
            ConfigError: no such parameter or variable, or more than `left` characters and values in all.
        """
        if isinstance(value, dict):
            return {key: self.fill(item, f"{location}.{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, location) for item in value]
        if not isinstance(value, str):
            return value
        if reference := REFERENCE.fullmatch(value):
            return self._lookup(reference[1], location)
        return REFERENCE.sub(lambda m: str(self._lookup(m[1], location)), value)

    def _lookup(self, name: str, location: str) -> Any:
        """Return the value of one reference, and count its size against the limit."""
        if name.startswith("env:"):
            if (result := os.environ.get(name[4:])) is None:
                raise ConfigError(
                    f"{location}: the environment variable {name[4:]} is not set: export {name[4:]}=..."
                )
            permission.check_variable(name[4:], location)
            self._take(len(result), location)
            return result
        if name not in self.params:
            raise ConfigError(f"{location}: no parameter {name!r}{plugins.nearest(name, self.params)}")
        if name not in self._sizes:  # parameters do not change once they are there
            self._sizes[name] = size(self.params[name])
        self._take(self._sizes[name], location)
        return self.params[name]

    def _take(self, count: int, location: str) -> None:
        self._left -= count
        if self._left < 0:
            raise ConfigError(
                f"{location}: its references stand for more than {MAX_FILLED:,} characters and values:"
                " parameters that repeat each other grow without end"
            )


def size(value: Any) -> int:
    """Count the characters and values of a value; parts that are shared count each time.

    Returns:
        1 for each value, mapping, list and text, and 1 for each character of a text.
    """
    if isinstance(value, dict):
        return 1 + sum(size(key) + size(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return 1 + sum(map(size, value))
    return 1 + len(value) if isinstance(value, str) else 1
