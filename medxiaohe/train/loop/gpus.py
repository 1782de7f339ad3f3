"""GPUs by name: memory, peak of dense bfloat16 products, bandwidth; figures of the vendor's data sheets."""

from __future__ import annotations

from dataclasses import dataclass

from medxiaohe.errors import ConfigError


@dataclass(frozen=True)
class Gpu:
    """A GPU of the vendor's data sheet.

    Attributes:
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
    """Parse a GPU and its count from the command line: `h200:8`; `h200` is one.

    Args:
        text: name of a GPU in `KNOWN`, in any case, and after a colon how many there are.

    Returns:
        (GPU, count of at least 1)

    Raises:
        ConfigError: an unknown GPU, or a count that is no positive integer.
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
    """Look up a GPU by the name that torch reports, such as "NVIDIA H200".

    Args:
        name: torch.cuda.get_device_name().

    Returns:
        The first entry of `KNOWN` that is a word of the name; None for an unknown GPU. An A100 of 40 GB is
        taken for one of 80 GB.
    """
    words = name.lower().replace("-", " ").split()
    return next((gpu for key, gpu in KNOWN.items() if key in words), None)
