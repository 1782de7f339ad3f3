"""A YAML file of a few kilobytes is read, or refused before it can take minutes or gigabytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from medxiaohe import assets
from medxiaohe.errors import ConfigError
from medxiaohe.io import bounded_yaml
from medxiaohe.recipe.load import read_yaml
from medxiaohe.tasks import _definition

ROOT = Path(__file__).parents[2]
LEVELS = range(1, 12)
HOSTILE = {
    "aliases of aliases": "a0: &a0 [x, x]\n"
    + "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]\n" for n in LEVELS),
    "mappings of aliases": "a0: &a0 {k: v}\n"
    + "".join(
        f"a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}, r: *a{n - 1}, s: *a{n - 1}}}\n" for n in range(1, 40)
    ),
    "an alias inside itself": "a: &a [*a, *a]\n",
    "merges of merges": "a0: &a0 {k: v}\n"
    + "".join(f"a{n}: &a{n} {{<<: [{f'*a{n - 1}, ' * 9}]}}\n" for n in LEVELS),
    "a chain of merges": "a0: &a0 {k0: v}\n"
    + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}, k{n}: v}}\n" for n in range(1, 3000)),
    "a whole number of base 60": "a: 1" + ":59" * 60_000 + "\n",
    "a float of base 60": "a: 1" + ":59" * 60_000 + ".5\n",
    "a whole number of many digits": "a: " + "9" * 200_000 + "\n",
    "a binary number": "a: 0b" + "1" * 200_000 + "\n",
    "a float of many digits": "a: 1" + "9" * 200_000 + ".0\n",
    "a list in a list": "[" * 100_000,
    "a list that opens and closes": "[" * 60_000 + "]" * 60_000,
    "a mapping in a mapping": "".join(f"{' ' * n}a:\n" for n in range(500)),
    "many values": "[" + "1," * 100_000 + "]",
    "a long text": "a: " + "x" * 2**19,
    "a date that there is not": "a: 2024-99-99",
    "a list as a key": "? [a, b]\n: c\n",
    "a tag of Python": "a: !!python/object/apply:os.system [true]\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_yaml_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(HOSTILE[kind])
    for read in (read_yaml, _definition.read, assets.specs._read):
        with pytest.raises(ConfigError):
            read(tmp_path / "x.yaml")


@pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="the peak of a process is read from /proc"
)
def test_hostile_yaml_takes_less_than_100_mib() -> None:
    code = (
        "import re, sys, yaml\nfrom pathlib import Path\nfrom medxiaohe.io import bounded_yaml\n"
        "for text in sys.stdin.read().split('\\0'):\n"
        "    try:\n        bounded_yaml.load(text)\n    except yaml.YAMLError:\n        pass\n"
        # ru_maxrss would be that of the process this one was forked from
        "print(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])\n"
    )
    command = [sys.executable, "-c", code]
    text = "\0".join(HOSTILE.values())
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=env, check=True)
    assert int(done.stdout) < 100 * 1024


def test_what_people_write_is_read_as_before() -> None:
    text = (
        "base: &base {lr: 1.0e-4, steps: 0x10, on: yes, when: 2024-02-03, none: ~}\n"
        "run: {<<: *base, lr: 0.5, names: [a, 'b', \"ç\", 12:30]}\ntext: |\n  two\n  lines\n"
    )
    assert bounded_yaml.load(text) == yaml.safe_load(text)
    assert bounded_yaml.load("") is None and bounded_yaml.load("3") == 3
    with pytest.raises(yaml.YAMLError, match="the key 'a' appears twice"):
        bounded_yaml.load("a: 1\na: 2\n", unique_keys=True)


def test_every_yaml_file_of_the_project_is_within_the_limits() -> None:
    found = [*ROOT.glob("recipes/*.yaml"), *ROOT.glob("medxiaohe/**/*.yaml"), *ROOT.glob("examples/*.yaml")]
    assert len(found) > 20
    for path in found:
        assert bounded_yaml.read(path) == yaml.safe_load(path.read_text(encoding="utf-8")), path
