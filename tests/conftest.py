"""What every test may rely on: no network beyond this machine, a tiny model, a skip for a cache that is not
filled.

A test that needs package files says `@pytest.mark.filled_cache` (all assets) or
`@pytest.mark.filled_cache("smollm2")` (those named) and is skipped where they are not there.
"""

import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import Any

# Before anything imports a Hugging Face package; processes started by tests inherit them.
os.environ.update(
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    DO_NOT_TRACK="1",
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
)
os.environ.setdefault("OMP_NUM_THREADS", "1")
# recipes and tasks of tests bring code of their own; tests/security takes this away again
os.environ["MEDXIAOHE_CODE"] = "any"

import pytest
import tiny
import tiny_families

from medxiaohe import torchvision_ops
from medxiaohe.types import ImageRef


class BeforeTransformers:
    """Declare torchvision's operators before a test itself imports transformers, as `plugins.need` does."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name == "transformers":
            sys.meta_path.remove(self)
            torchvision_ops.declare()


sys.meta_path.insert(0, BeforeTransformers())

LOOKUPS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")


class NetworkUsed(RuntimeError):
    """Not an OSError, so that no library takes it for a network that is merely down."""


def is_loopback(host: Any) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any connection, datagram or name lookup that would leave this machine is an error."""
    if request.node.get_closest_marker("network"):
        return
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, _only_loopback(getattr(socket.socket, name)))
    for name in LOOKUPS:
        monkeypatch.setattr(socket, name, _only_loopback_names(getattr(socket, name)))


def _only_loopback(real: Any) -> Any:
    def call(self: socket.socket, *args: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(args[-1][0]):
            raise NetworkUsed(f"a test tried to reach {args[-1]}")
        return real(self, *args)

    return call


def _only_loopback_names(real: Any) -> Any:
    def call(host: Any, *args: Any, **options: Any) -> Any:
        if not is_loopback(host):
            raise NetworkUsed(f"a test tried to look up {host!r}")
        return real(host, *args, **options)

    return call


@pytest.fixture(scope="session")
def tiny_vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder, in hub layout, of a vision-language model of 0.13 M random weights that loads in a second."""
    pytest.importorskip("transformers")
    return tiny.build(tmp_path_factory.mktemp("models") / "tiny_vlm")


@pytest.fixture(scope="session")
def families_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny checkpoints of all families are built, each when it is first asked for."""
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="session", params=tiny_families.NAMES)
def family(request: pytest.FixtureRequest, families_folder: Path) -> tiny_families.Family:
    """A loaded tiny checkpoint of each family in turn; a test must leave it as it was."""
    pytest.importorskip("transformers")
    if package := tiny_families.missing(request.param):
        pytest.skip(f"{request.param} needs {package}")
    return tiny_families.load(request.param, families_folder)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageRef, ImageRef, ImageRef]:
    """Three images of noise, of different shapes: wide, tall and small."""
    np, image = pytest.importorskip("numpy"), pytest.importorskip("PIL.Image")
    folder = tmp_path_factory.mktemp("pictures")
    found = []
    for number, (width, height) in enumerate([(150, 60), (70, 160), (48, 40)]):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
        image.fromarray(pixels).save(folder / f"{number}.png")
        found.append(ImageRef(str(folder / f"{number}.png")))
    return found[0], found[1], found[2]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "filled_cache(*names): needs package assets that are already on this machine"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: with two workers none of them is left to run alone at the end."""
    marked = ("slow", "long")
    slow = {item.path for item in items if any(map(item.get_closest_marker, marked))}
    items.sort(key=lambda item: item.path not in slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("network") and os.environ.get("MEDXIAOHE_NETWORK_TESTS") != "1":
        pytest.skip("needs the package registry: set MEDXIAOHE_NETWORK_TESTS=1")
    if (mark := item.get_closest_marker("filled_cache")) and (missing := missing_assets(*mark.args)):
        pytest.skip(f"the asset cache is not filled: no {', '.join(missing)}")


def missing_assets(*names: str) -> list[str]:
    """Which of the named assets (all when none is named) are not on this machine."""
    from medxiaohe import assets

    here = {row.name for row in assets.status() if row.folder}
    return sorted(set(names or assets.available()) - here)
