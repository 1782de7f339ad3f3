"""Identifiers planted in every place of a DICOM file, and how many are in the bytes of its de-identified
copy.

    PYTHONPATH=. python benchmarks/deid_dicom.py
"""

from __future__ import annotations

import time

from medxiaohe.privacy import dicom
from medxiaohe.privacy.pixels import Policy
from medxiaohe.privacy.secret import Key
from tests import dicom_for_tests as made


def main() -> None:
    for frames in (1, 4):
        data, planted = made.planted(seed=frames, frames=frames)
        start = time.perf_counter()
        cleaned = dicom.clean(data, key=Key(b"k" * 32), policy=Policy("trust"))
        seconds = time.perf_counter() - start
        before, after = (
            sum(
                any(v.lower().encode(e) in text.lower() for e in ("utf-8", "utf-16-le", "utf-16-be"))
                for v in planted
            )
            for text in (data, cleaned.data)
        )
        print(
            f"{frames} frames: {len(planted)} planted, {before} found before, {after} after, {seconds:.2f} s;"
            f" {cleaned.counts}"
        )


if __name__ == "__main__":
    main()
