"""`medxiaohe describe`: write a report of a study in which every statement is checked against evidence."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medxiaohe import images, io, plugins, traces
from medxiaohe.agents.engine import run
from medxiaohe.agents.report import report
from medxiaohe.cli.dicom_report import write_sr
from medxiaohe.cli.trace import read_key, write, write_page
from medxiaohe.cli.trace_replay import Replayer, pixels
from medxiaohe.errors import ConfigError, ModelError
from medxiaohe.evals.running.origin import digests, identity_of
from medxiaohe.evidence import gather
from medxiaohe.models.players import load_player, player_of
from medxiaohe.recipe import load
from medxiaohe.reports.document import of_trace, to_json
from medxiaohe.reports.fhir import fhir
from medxiaohe.reports.markdown import markdown
from medxiaohe.tools.toolbox import open_tools
from medxiaohe.traces import checkpoint, store
from medxiaohe.traces.blobs import Blobs
from medxiaohe.types import Message, Model, Prompt

QUESTION = "Write the report of this study. Headings: Findings, Impression."
TEXTS = (".txt", ".md")
DICOM = (".dcm", ".dicom")


def describe(args: argparse.Namespace) -> int:
    """Write the report of a study and check every claim of it against evidence (`describe`).

    Args:
        args: the draft (`model` or `draft`); the study, as in `study_of`; `set` (options of the backend,
            or `workflow.K=V`), `backend`, `dicom` (the image of the DICOM SR), `key`, `out` (a new
            folder), `json`.

    Returns:
        exit code 0; 1 if nothing could be verified. `out` has the report as text, Markdown, JSON, FHIR,
        HTML and, with `dicom`, as DICOM SR, and its trace.

    Raises:
        ConfigError: no draft, `out` exists and is not empty, or a file of the study cannot be read.
        ModelError: the model or the workflow failed; nothing is written.
    """
    if not (args.model or args.draft):
        raise ConfigError("no draft: give --model NAME, or --draft FILE")
    if args.out.exists() and any(args.out.iterdir() if args.out.is_dir() else [args.out]):
        raise ConfigError(f"{args.out} already exists: choose another --out")
    study = study_of(args)
    evidence = gather.gather(study)
    tools = open_tools(["study", *_image_tools(study)], {"study_evidence": evidence})
    options, settings = _options(args.set)
    model, identity = _writer(args, options)
    name = str(identity["name"])
    facts = {"indication": study.indication, "comparison": study.comparison, "technique": study.technique}
    shown = [f"{key.capitalize()}: {value}" for key, value in facts.items() if value]
    message = Message("user", (*study.images, "\n".join([*shown, QUESTION])))
    prompt = Prompt(args.study, (message,), facts={key: value for key, value in facts.items() if value})
    (trace,) = run(report, [prompt], model, tools, settings=settings)
    if trace.error:
        raise ModelError(f"{name}: {trace.error}")
    document = of_trace(trace)
    args.out.mkdir(parents=True, exist_ok=True)
    who = digests(identity, workflow="report", tools=tools, settings=settings)
    write([trace], args.out / "trace", key=args.key, digests=who, documents=gather.documents(study))
    io.write_text(args.out / "report.txt", document.text + "\n")
    io.write_text(args.out / "report.md", markdown(document))
    io.write_json(args.out / "report.json", to_json(document))
    io.write_json(args.out / "report.fhir.json", fhir(document))
    if args.dicom:
        write_sr(document, args.dicom, args.out / "report.dcm")
    _write_page(args.out, args.key)
    counts = {label: sum(ruling.label == label for ruling in document.rulings)
              for label in ("supported", "contradicted", "unsupported", "unjudged")}  # fmt: skip
    if args.json:
        print(json.dumps({"out": str(args.out), "verified": document.verified, "rulings": counts,
                          "removed": len(document.cut), "text": document.text},
                         ensure_ascii=False))  # fmt: skip
    else:
        print(document.text)
        rows = ", ".join(f"{n} {label}" for label, n in counts.items() if n)
        print(f"{args.out}: {rows or 'no claims'}, {len(document.cut)} removed", file=sys.stderr)
    if not document.verified:
        print("nothing could be verified", file=sys.stderr)
        return 1
    return 0


def study_of(args: argparse.Namespace) -> gather.Study:
    """Read the study that the options describe.

    Args:
        args: `image` (files), `evidence` (text files, or folders of .txt and .md), `record` (K=V),
            `prior` (file of an earlier report), `indication`, `comparison`, `technique`, `patient`,
            `prior_patient`, `date`, `prior_date`.

    Returns:
        images by reference, texts by their relative path. With a prior report, `comparison` and the
        patient of the prior have defaults.

    Raises:
        ConfigError: a file is not UTF-8 text, a folder has no text, or an image is DICOM or of one
            colour.
    """
    texts: dict[str, str] = {}
    for path in args.evidence:
        files = sorted(p for p in path.rglob("*") if p.suffix in TEXTS) if path.is_dir() else [path]
        if not files:
            raise ConfigError(f"{path}: no file of text in it ({', '.join(TEXTS)})")
        texts |= {str(file.relative_to(path) if path.is_dir() else file.name): _text(file) for file in files}
    record = dict(load.option(item) for item in args.record)
    return gather.Study(
        tuple(_image(path) for path in args.image),
        args.indication,
        args.comparison or ("An earlier report." if args.prior else ""),
        args.technique,
        texts,
        {key: str(value) for key, value in record.items()},
        _text(args.prior) if args.prior else "",
        args.patient,
        args.prior_patient or ("" if not args.prior else args.patient),
        args.date,
        args.prior_date,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path} as text: {error}") from error


def _image(path: Path) -> Any:
    """Reference an image, and check that it opens and is not of one colour."""
    if path.suffix.lower() in DICOM:
        raise ConfigError(
            f"{path} is DICOM: make a picture of it first (reader dicom of `medxiaohe data read`),"
            f" and give that as"
            " --image, this as --dicom"
        )
    result = images.ref(path)
    extremes: Any = images.open_image(result).getextrema()  # of each band
    if all(low == high for low, high in extremes):
        raise ConfigError(f"{path} is blank: every pixel has one colour, so there is nothing to describe")
    return result


def _image_tools(study: gather.Study) -> list[str]:
    from medxiaohe.agents.report import OF_IMAGES

    available = plugins.available("tools")
    return [name for name, _ in OF_IMAGES if study.images and name in available]


def _options(rows: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split `--set` into options of the backend and settings of the workflow."""
    backend: dict[str, Any] = {}
    workflow: dict[str, Any] = {}
    for key, value in map(load.option, rows):
        if key.startswith("workflow."):
            workflow[key.removeprefix("workflow.")] = value
        else:
            backend[key] = value
    return backend, workflow


def _writer(args: argparse.Namespace, options: Mapping[str, Any]) -> tuple[Model, dict[str, Any]]:
    """Load the model that writes the draft, with the identity that the trace records."""
    if args.draft:
        from medxiaohe.models.backends.scripted import scripted

        name = f"draft:{args.draft.name}"
        return scripted("draft", [_text(args.draft)]), {"name": name, "weights": io.sha256(args.draft)[:16]}
    player = player_of(args.model)
    player = replace(player, **({"backend": args.backend} if args.backend else {}))
    player = replace(player, options={**player.options, **options})
    return load_player(player), identity_of({"": player})


def _write_page(out: Path, key: Path | None) -> None:
    """Verify the trace of a report from its files, and write its page."""
    folder = out / "trace"
    blobs = Blobs(folder)
    (recorded,) = store.stored(folder)
    public = checkpoint.public_key(read_key(key)) if key else ""
    verdict = traces.verify(folder, public_key=public, pixels=pixels, replay=Replayer(blobs), blobs=blobs)
    write_page(recorded, out / "report.html", blobs, verdict)
