"""GPUs by name: memory, peak of dense bfloat16 products, bandwidth; figures of the vendor's data sheets."""

from __future__ import annotations

from dataclasses import dataclass

from medxiaohe.errors import ConfigError


@dataclass(frozen=True)
class Gpu:
    """Attributes:
    name: as on the command line.
    memory: bytes.
    flops: of dense bfloat16 products a second, without sparsity.
    bandwidth: bytes of memory a second.
    """

    name: str
    memory: int
    flops: float
    bandwidth: float


KNOWN = {
    name: Gpu(name, int(gigabytes * 1e9), teraflops * 1e12, terabytes * 1e12)
    for name, gigabytes, teraflops, terabytes in (
        ("b200", 180, 2250, 7.7),
        ("h200", 141, 989, 4.8),
        ("h100", 80, 989, 3.35),
        ("a100", 80, 312, 2.04),
        ("a100-40", 40, 312, 1.56),
        ("l40s", 48, 362, 0.864),
        ("l4", 24, 121, 0.3),
        ("4090", 24, 165, 1.008),
        ("3090", 24, 71, 0.936),
    )
}


def parsed(text: str) -> tuple[Gpu, int]:
    """`h200:8` as a GPU and how many there are; `h200` is one.

    Raises:
        ConfigError: it is not known, or the number is none.
    """
    name, _, number = text.lower().partition(":")
    if name not in KNOWN:
        raise ConfigError(
            f"no GPU {name!r}: it is one of {', '.join(KNOWN)}, with how many there are: h200:8"
        )
    if not (number or "1").isdigit() or not int(number or 1):
        raise ConfigError(f"{text!r}: behind the colon stands how many GPUs there are, such as h200:8")
    return KNOWN[name], int(number or 1)


def of_device(name: str) -> Gpu | None:
    """The GPU that torch calls by this name, such as "NVIDIA H200"."""
    words = name.lower().replace("-", " ").split()
    return next((gpu for key, gpu in KNOWN.items() if key in words), None)
