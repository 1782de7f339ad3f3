"""Write constraints/cpu.lock: every package of the development install with the SHA-256 that pip must find.

    python constraints/lock.py            asks pip, which asks the index for what constraints/cpu.txt pins

The hashes are those of the files that pip chooses for this Python and this platform (CI: Python 3.11 on
Linux, x86-64). `pip install --require-hashes --no-deps -r constraints/cpu.lock` refuses any other file.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
WANTED = (
    ".[train,fast,dev,docs]",
    "hatchling>=1.27,<2",
    "editables>=0.5,<1",
)  # with what builds the package itself
HEAD = "# python constraints/lock.py made this; SECURITY.md says how to install with it\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed"]
        command += ["--report", str(report)]
        subprocess.run([*command, "-c", "constraints/cpu.txt", *WANTED], cwd=ROOT, check=True)
        lines = locked(json.loads(report.read_text(encoding="utf-8")))
    (ROOT / "constraints/cpu.lock").write_text(HEAD + "".join(lines), encoding="utf-8")
    print(f"constraints/cpu.lock: {len(lines)} packages")


def locked(report: dict) -> list[str]:
    """A line for each package of pip's report but medxiaohe itself, by name; no address is kept."""
    lines = []
    for one in report["install"]:
        name = re.sub(r"[-_.]+", "-", one["metadata"]["name"]).lower()
        if name != "medxiaohe":
            digest = one["download_info"]["archive_info"]["hashes"]["sha256"]
            lines.append(f"{name}=={one['metadata']['version']} --hash=sha256:{digest}\n")
    return sorted(lines)


if __name__ == "__main__":
    main()
