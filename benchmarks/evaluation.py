"""Our evaluation beside lm-eval: the same model, items, prompts, answers on offer and batch size, in turn, on
one machine.

    python benchmarks/evaluation.py overhead                      milliseconds per item with a scripted model
    python benchmarks/evaluation.py memory                        peak memory with 1,000 and 100,000 items
    python benchmarks/evaluation.py flight                        200 requests in flight against a local
    server
    python benchmarks/evaluation.py model --out FOLDER            SmolLM2-135M of the package assets in hub
    layout
    python benchmarks/evaluation.py lm-eval --model FOLDER --python PYTHON     wall time against lm-eval, in
    turn

PYTHON is an interpreter that can import lm_eval (pip install lm_eval). Items are of the task mmlu_med, which
reads the data pack. Both programs are timed from the first prompt to the last score, the loading of Python
and of weights left out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from medxiaohe import plugins

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

QUIZ = """
from medxiaohe.scoring.choice import choice
from medxiaohe.tasks._common import multiple_choice
from medxiaohe.types import Task

def quiz(size: int = 1000):
    def samples(split):
        for i in range(size):
            question = f"Which number follows {i}? " + "The patient has fever and cough. " * 12
            wrong = [str(i + n) for n in (2, 3, 4)]
            about = dict(license="CC0-1.0", study_id=f"s{i // 2}", split=split)
            yield multiple_choice(f"quiz/{split}/{i}", question, str(i + 1), wrong, key=str(i), **about)
    return Task("quiz", samples, (choice,), next(iter(samples("test"))), "CC0-1.0")
"""
BOT = "def answer(messages):\n    return 'A'\n"


def ours(place: Path, size: int) -> tuple[float, float]:
    """Seconds and peak MiB of a run of `size` items with a function that always says A."""
    from medxiaohe.evals.run import RunSettings, TaskRun, run

    (place / "quiz.py").write_text(QUIZ)
    (place / "bot.py").write_text(BOT)
    task = TaskRun(f"{place}/quiz.py:quiz", args={"size": size})
    start = time.perf_counter()
    run(RunSettings((task,), model=f"{place}/bot.py:answer", backend="python"), place / f"out{size}")
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def alone(what: str, *more: str) -> Any:
    """The JSON that this program prints when it is called in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, what, *more],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def overhead(args: argparse.Namespace) -> None:
    """CPU and wall time of everything but the model: reading items, journal, scoring, writing, statistics,
    baselines."""
    found = [alone("once", "--size", "2000") for _ in range(args.repeats)]
    cpu, wall = (statistics.median(row[key] / 2000 * 1000 for row in found) for key in ("cpu", "seconds"))
    print(f"2,000 items, {args.repeats} runs: {cpu:.2f} ms CPU and {wall:.2f} ms wall time per item (median)")


def memory(args: argparse.Namespace) -> None:
    for size in (1_000, 10_000, 100_000):
        row = alone("once", "--size", str(size))
        print(
            f"{size:>7,} items: peak {row['mib']:.0f} MiB, {row['seconds']:.0f} s,"
            f" {row['cpu'] / size * 1000:.2f} ms CPU per item",
            flush=True,
        )


def once(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as place:
        start = time.process_time()
        seconds, mib = ours(Path(place), args.size)
        print(json.dumps({"seconds": seconds, "mib": mib, "cpu": time.process_time() - start}))


# ---- a server --------------------------------------------------------------------------------------


def flight(args: argparse.Namespace) -> None:
    """A server that answers each request after 0.5 s; how many it had open at once, and how long 2,000 items
    took."""
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = int(server.stdout.readline().split()[1])
    from medxiaohe.evals.run import RunSettings, TaskRun, run

    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "quiz.py").write_text(QUIZ)
            options = {"url": f"http://127.0.0.1:{port}/v1", "workers": 200}
            task = TaskRun(f"{place}/quiz.py:quiz", args={"size": 2000})
            start = time.perf_counter()
            summary = run(
                RunSettings((task,), model="m", backend="openai_compatible", options=options), place / "out"
            )
            seconds = time.perf_counter() - start
    finally:
        server.terminate()
    most = max(int(line.split()[1]) for line in server.stdout.read().splitlines() if line.startswith("open"))
    print(f"2,000 items, answers after 0.5 s: {seconds:.1f} s ({2000 * 0.5 / 200:.1f} s if nothing but the server took time), "  # noqa: E501
          f"{most} requests open at once, {summary['quiz']['n']} judged")  # fmt: skip


def serve(args: argparse.Namespace) -> None:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Lock

    lock, state = Lock(), {"open": 0, "most": 0}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with lock:
                state["open"] += 1
                if state["open"] > state["most"]:
                    state["most"] = state["open"]
                    print("open", state["most"], flush=True)
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(0.5)
            body = json.dumps({"choices": [{"message": {"role": "assistant", "content": "A"}}]}).encode()
            with lock:
                state["open"] -= 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256

    server = Server(("127.0.0.1", 0), Handler)
    print(f"port {server.server_port}", flush=True)
    server.serve_forever()


# ---- lm-eval ---------------------------------------------------------------------------------------


def model(args: argparse.Namespace) -> None:
    """SmolLM2-135M-Instruct, dequantised, as a folder that both programs load."""
    plugins.need("transformers", why="this benchmark")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from medxiaohe import assets

    folder = assets.folder("smollm2_135m_instruct")
    gguf = next(folder.rglob("*.gguf")).relative_to(folder).as_posix()
    packed = AutoModelForCausalLM.from_pretrained(folder, gguf_file=gguf, dtype=torch.float32)
    config = packed.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the weights are float32 now
    language = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    language.load_state_dict(packed.state_dict())
    language.save_pretrained(args.out)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=gguf)
    tokenizer.pad_token, tokenizer.eos_token = "<|endoftext|>", "<|im_end|>"
    tokenizer.save_pretrained(args.out)
    print(args.out)


def items(args: argparse.Namespace) -> list[Any]:
    from itertools import islice

    from medxiaohe.tasks import make

    return list(islice(make("mmlu_med").samples("test"), args.items))


def lm_eval(args: argparse.Namespace) -> None:
    """Rank and generate with both, in turn; the same rendered prompts, so that both see the same tokens."""
    plugins.need("transformers", why="this benchmark")
    from transformers import AutoTokenizer

    from medxiaohe.models import render
    from medxiaohe.models.text_only import TextProcessor

    samples = items(args)
    processor = TextProcessor(AutoTokenizer.from_pretrained(args.model), args.model)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prompts = [render._template(sample.prompt.messages, processor, generation=True) for sample in samples]
        rows = [
            {"prompt": p, "target": s.target, "letters": "ABCD"[: len(s.choices)]}
            for p, s in zip(prompts, samples, strict=True)
        ]
        (place / "items.json").write_text(json.dumps(rows))
        common = [
            "--model",
            args.model,
            "--items",
            str(args.items),
            "--batch",
            str(args.batch),
            "--rows",
            str(place / "items.json"),
        ]
        for mode, ending in (("rank", "<|im_end|>\n"), ("rank, lm-eval on one token", ""), ("generate", "")):
            if args.only not in ("", mode):
                continue
            times: dict[str, list[tuple[float, float]]] = {"ours": [], "lm-eval": []}
            right: dict[str, Any] = {}
            both = [("ours", sys.executable, "ours-once"), ("lm-eval", args.python, "lm-eval-once")]
            for i in range(args.repeats):
                for name, python, what in both[:: -1 if i % 2 else 1]:  # each goes first in turn
                    env = {
                        **os.environ,
                        "OMP_NUM_THREADS": "1",
                        "HF_HUB_OFFLINE": "1",
                        "TOKENIZERS_PARALLELISM": "false",
                    }
                    done = subprocess.run(
                        [python, __file__, what, *common, "--mode", mode.split(",")[0], "--ending", ending],
                        capture_output=True,
                        text=True,
                        env=env,
                    )
                    if done.returncode:
                        raise SystemExit(f"{what}: {done.stderr[-3000:]}")
                    found = json.loads(done.stdout.splitlines()[-1])
                    times[name].append((found["seconds"], found["cpu"]))
                    right[name] = found
                    print(
                        f"{mode} {name}: {found['seconds']:.1f} s wall, {found['cpu']:.1f} s CPU, score"
                        f" {found['score']:.3f}",
                        flush=True,
                    )
            wall, cpu = (
                statistics.median(row[i] for row in times["ours"])
                / statistics.median(row[i] for row in times["lm-eval"])
                for i in (0, 1)
            )
            same = sum(a == b for a, b in zip(right["ours"]["said"], right["lm-eval"]["said"], strict=True))
            print(
                f"{mode}: ours / lm-eval = {wall:.2f} of wall time, {cpu:.2f} of CPU time, medians of"
                f" {args.repeats}; the same answer on {same} of {len(samples)}"
            )


def ours_once(args: argparse.Namespace) -> None:
    """All of it: items, prompts, the model, scores, results on disk."""
    from medxiaohe.evals import run as stage
    from medxiaohe.evals.run import RunSettings, TaskRun

    mode = "rank" if args.mode == "rank" else "generate"
    settings = RunSettings(
        (TaskRun("mmlu_med", limit=args.items),),
        model=args.model,
        mode=mode,
        batch_size=args.batch,
        max_new_tokens=args.tokens,
    )
    engine = stage.load_model(settings, None)
    stage.load_model = lambda *_: engine  # type: ignore[assignment]  # loading is left out on both sides
    with tempfile.TemporaryDirectory() as folder:
        start, cpu = time.perf_counter(), time.process_time()
        summary = stage.run(settings, Path(folder) / "out")
        seconds, used = time.perf_counter() - start, time.process_time() - cpu
        from medxiaohe import io

        said = [
            io.trace_from_json(row["trace"]).answer.strip()
            for row in io.read_jsonl(Path(folder) / "out/traces.jsonl")
        ]
    print(json.dumps({"seconds": seconds, "cpu": used, "score": summary["mmlu_med"]["mean"], "said": said}))


def lm_eval_once(args: argparse.Namespace) -> None:
    """The requests of an lm-eval task, through its HFLM; scoring them is left out, which favours it."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    rows = json.loads(Path(args.rows).read_text())
    lm = HFLM(
        pretrained=args.model, device="cpu", batch_size=args.batch, dtype="float32", add_bos_token=False
    )
    start, cpu = time.perf_counter(), time.process_time()
    said = []
    if args.mode == "rank":
        asked = [
            Instance("loglikelihood", row, (row["prompt"], f"{letter}{args.ending}"), i)
            for row in rows
            for i, letter in enumerate(row["letters"])
        ]
        found = iter(lm.loglikelihood(asked, disable_tqdm=True))
        for row in rows:
            scores = [next(found)[0] for _ in row["letters"]]
            said.append(row["letters"][scores.index(max(scores))])
        score = sum(a == row["target"] for a, row in zip(said, rows, strict=True)) / len(rows)
    else:
        options = {"until": ["<|im_end|>"], "max_gen_toks": args.tokens, "do_sample": False}
        asked = [Instance("generate_until", row, (row["prompt"], dict(options)), 0) for row in rows]
        said = [text.strip() for text in lm.generate_until(asked, disable_tqdm=True)]
        score = sum(text[:1] == row["target"] for text, row in zip(said, rows, strict=True)) / len(rows)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - start,
                "cpu": time.process_time() - cpu,
                "score": score,
                "said": said,
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    does = {
        "overhead": overhead, "memory": memory, "once": once, "flight": flight, "serve": serve,
        "model": model, "lm-eval": lm_eval,
        "ours-once": ours_once, "lm-eval-once": lm_eval_once,
    }  # fmt: skip
    parser.add_argument("what", choices=does)
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--mode", default="rank")
    parser.add_argument("--only", default="", help="one of the three comparisons")
    parser.add_argument("--rows", default="")
    parser.add_argument("--ending", default="<|im_end|>\n")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    does[args.what](args)


if __name__ == "__main__":
    main()
