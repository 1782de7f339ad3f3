"""Every extra, and all of them together, can be installed: a resolver finds versions that go together."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]


def test_what_processors_need_comes_with_train_and_is_pinned_for_machines_without_a_gpu() -> None:
    from medxiaohe.models.families import family

    wanted = {package for one in family._table().values() for package in one.packages}
    named = {requirement.split("=")[0].split(">")[0] for requirement in EXTRAS["train"]}
    pinned = (ROOT / "constraints" / "cpu.txt").read_text(encoding="utf-8")
    assert wanted and wanted <= named
    assert all(f"\n{package}==" in pinned for package in wanted)


@pytest.mark.network
@pytest.mark.parametrize(
    "extras", [*((name,) for name in EXTRAS), ("fast", "vllm"), ("train", "ocr", "deid")]
)
def test_an_extra_resolves(extras: tuple[str, ...], tmp_path: Path) -> None:
    if shutil.which("uv") is None:
        pytest.skip("the resolver uv is not installed")
    named = [word for extra in extras for word in ("--extra", extra)]
    command = [
        "uv",
        "pip",
        "compile",
        "-q",
        str(ROOT / "pyproject.toml"),
        *named,
        "-o",
        str(tmp_path / "out.txt"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
