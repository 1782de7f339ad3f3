"""How a reply is read: strictly, leniently, or by a model that is asked. Strict readings are the only
ones that count; the others stand beside them, each in a column under its own name.
"""

from medxiaohe.errors import ConfigError

STRICT, LENIENT, JUDGE = "strict", "lenient", "judge"
PARSERS = (STRICT, LENIENT, JUDGE)


def strict_only(parser: str, origin: str) -> None:
    """Refuse any parser but the strict one.

    Args:
        parser: the name that a setting gives.
        origin: what the setting belongs to, for the message.

    Raises:
        ConfigError: the parser is another one.
    """
    if parser != STRICT:
        raise ConfigError(
            f"{origin}: parser {parser!r} is no reading that a reward or a scorer may use: leave it at"
            " 'strict', and name others as `--parser` of eval run or eval compare"
        )
