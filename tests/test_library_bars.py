"""Libraries draw no bars into our logs: neither in a command nor in a program that uses the package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medxiaohe import library_bars

PROGRAM = """
import sys
import transformers, datasets, huggingface_hub
from medxiaohe import library_bars, plugins
from medxiaohe.models import checkpoint
loaded = checkpoint.load(sys.argv[1])
checkpoint.save(loaded, checkpoint.Path(sys.argv[2]))
plugins.need("datasets", why="this test")
datasets.Dataset.from_dict({"n": list(range(1000))}).map(lambda row: row)
import tqdm
for _ in tqdm.tqdm(range(3), desc="of the user's own"):
    pass
"""


def process(*command: str) -> str:
    names = {*library_bars.VARIABLES, *library_bars.ALL_BARS}
    env = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


def test_a_program_that_imported_the_libraries_first_has_its_own_bars_alone(
    tiny_vlm: Path, tmp_path: Path
) -> None:
    pytest.importorskip("datasets")
    said = process("-c", PROGRAM, str(tiny_vlm), str(tmp_path / "saved"))
    assert "of the user's own: 100%" in said
    bars = [line for line in said.replace("\r", "\n").splitlines() if "it/s" in line]
    assert all("of the user's own" in line for line in bars)
    assert "Loading weights" not in said and "Writing model" not in said and "Map" not in said


def test_a_command_draws_no_bar_of_any_library(tiny_vlm: Path) -> None:
    asked = ("ask", "--model", str(tiny_vlm), "Is it fever?", "--set", "max_new_tokens=2")
    said = process("-m", "medxiaohe", *asked)
    assert "%|" not in said and "it/s" not in said and "Loading" not in said


def test_who_looks_for_a_fault_can_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    logging = pytest.importorskip("transformers.utils.logging")
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "0")
    logging.enable_progress_bar()
    library_bars.silence()
    try:
        assert logging.is_progress_bar_enabled()
    finally:
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        library_bars.silence()
    assert not logging.is_progress_bar_enabled()
