"""Processor time and memory that hostile YAML files and chat templates take before they are refused.

    python benchmarks/bounded_inputs.py            half a minute; figures in docs/reliability.md

Each case runs in a process of its own: the inputs are those of tests/io/test_bounded_yaml.py and
tests/models/test_templates.py. Memory is the peak of the process that reads (YAML) or renders (templates); a
template's time has the start of that process in it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
YAML = """
import re, sys, time
from pathlib import Path
import yaml
from medxiaohe.io import bounded_yaml
text, began = sys.stdin.read(), time.process_time()
try:
    bounded_yaml.load(text)
    said = 'accepted'
except yaml.YAMLError:
    said = 'refused'
spent = time.process_time() - began
peak = int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])
print(said, spent, peak)
"""
TEMPLATE = """
import resource, sys
from medxiaohe.models import templates
try:
    templates.render(sys.stdin.read(), {'messages': [{'role': 'user', 'content': 'x'}] * 3})
    said = 'accepted'
except Exception:
    said = 'refused'
for child in templates._children.values():
    child.stop()
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(said, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    for name, code, file in (
        ("YAML", YAML, "tests/io/test_bounded_yaml.py"),
        ("chat template", TEMPLATE, "tests/models/test_templates.py"),
    ):
        rows = [(what, *measured(code, text)) for what, text in hostile(ROOT / file).items()]
        for what, said, spent, peak in rows:
            print(f"{name:<14} {what:<40} {said:<9} {spent:6.2f} s {peak / 1024:7.1f} MiB")
        refused = sum(said == "refused" for _, said, _, _ in rows)
        slowest, largest = max(row[2] for row in rows), max(row[3] for row in rows) / 1024
        print(f"{name}: {refused} of {len(rows)} refused, at most {slowest:.2f} s and {largest:.0f} MiB\n")


def hostile(file: Path) -> dict[str, str]:
    """The hostile inputs of a test module."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.HOSTILE)


def measured(code: str, text: str) -> tuple[str, float, int]:
    """(accepted or refused, seconds of processor time, KiB at the peak)."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT)
    said, spent, peak = done.stdout.split()
    return said, float(spent), json.loads(peak)


if __name__ == "__main__":
    main()
