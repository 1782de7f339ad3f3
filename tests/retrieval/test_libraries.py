"""Libraries of the tool search: a store, a file of passages and a service answer the same calls."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.errors import DataError, RetrieverDown
from medxiaohe.retrieval.library import open_library
from medxiaohe.retrieval.service import Service
from medxiaohe.tools.toolbox import call_tool, open_tools
from medxiaohe.types import Evidence, ToolCall

ROWS = [
    {"id": "1", "text": "Scurvy is a deficiency of vitamin C."},
    {"id": "2", "text": "Insulin lowers sugar."},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    io.write_jsonl(tmp_path / "passages.jsonl", ROWS)
    return tmp_path / "passages.jsonl"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    pytest.importorskip("tantivy")
    from medxiaohe.retrieval.text import build_text

    folder = tmp_path / "data_index" / "1"
    folder.mkdir(parents=True)
    build_text(folder, [Evidence(row["id"], row["text"], "") for row in ROWS])
    return folder.parent


@pytest.fixture
def service() -> Iterator[str]:
    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            lists = [
                [row for row in ROWS if query.lower() in row["text"].lower()] for query in asked["queries"]
            ]
            body = json.dumps({"passages": lists if "less" not in asked["queries"] else lists[1:]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/search"
    server.shutdown()


def test_all_three_answer_several_queries_in_their_order(file: Path, store: Path, service: str) -> None:
    for library in (open_library(str(file)), open_library(str(store)), open_library(url=service)):
        lists = library.search(["insulin", "scurvy", "insulin"], 1)
        assert [[one.id for one in found] for found in lists] == [["2"], ["1"], ["2"]]


def test_a_document_can_be_read_whole_where_the_library_has_it(file: Path, store: Path, service: str) -> None:
    assert open_library(str(file)).get("2").text == open_library(str(store)).get("2").text == ROWS[1]["text"]
    for library in (open_library(str(file)), open_library(str(store)), open_library(url=service)):
        with pytest.raises(DataError):
            library.get("3")


def test_a_service_that_answers_fewer_queries_than_asked_is_down(service: str) -> None:
    with pytest.raises(RetrieverDown, match="answers 1 queries and was asked 2"):
        Service(service, first_wait=0.0).search(["less", "insulin"], 1)


@pytest.mark.parametrize(
    "query, problem", [("", "empty"), ("x" * 20_000, "20,000"), ("which is", "stop words")]
)
def test_a_query_that_cannot_be_searched_for_is_told_to_the_model(
    store: Path, query: str, problem: str
) -> None:
    tools = open_tools(["search"], {"library": open_library(str(store))})
    result = call_tool(ToolCall("1", "search", {"query": query}), tools)
    assert result.error.startswith("ToolError") and problem in result.error and not result.evidence


def test_several_stores_below_a_folder_are_not_guessed_from(store: Path) -> None:
    (store / "2").mkdir()
    (store / "2" / "store.json").write_text("{}")
    with pytest.raises(DataError, match="several stores"):
        open_library(str(store))
