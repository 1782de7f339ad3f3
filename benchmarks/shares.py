"""A line of a table of shares, for the benchmarks that count hits: exact intervals at 95 %
(`evals.statistics.stats.proportion`)."""

from medxiaohe.evals.statistics.stats import proportion


def line(name: str, hits: int, n: int, digits: int = 1) -> str:
    low, high = proportion(hits, n) if n else (0.0, 1.0)
    return (
        f"  {name:<44} {hits:>5} of {n:<6} {hits / max(1, n):>7.{digits}%}   [{low:.{digits}%},"
        f" {high:.{digits}%}]"
    )
