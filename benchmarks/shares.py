"""A line of a table of shares, for the benchmarks that count hits: Wilson's interval at 95 %."""

from medxiaohe.evals.statistics.stats import wilson


def line(name: str, hits: int, n: int, digits: int = 1) -> str:
    low, high = wilson(hits, n) if n else (0.0, 1.0)
    return (
        f"  {name:<44} {hits:>5} of {n:<6} {hits / max(1, n):>7.{digits}%}   [{low:.{digits}%},"
        f" {high:.{digits}%}]"
    )
