"""`medxiaohe trace export`: convert traces to formats of other programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe import traces
from medxiaohe.cli.dicom_report import write_sr
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.evals.reporting.inspect_traces import inspect_log
from medxiaohe.evals.running import fingerprints
from medxiaohe.reports.document import WORKFLOW, of_trace
from medxiaohe.reports.fhir import fhir
from medxiaohe.traces import exports, provenance, store
from medxiaohe.types import Trace

MOST = 2000  # traces of one log of Inspect, which is one JSON value


def export(args: argparse.Namespace, selected: Iterator[store.Stored]) -> int:
    """Write traces to stdout as JSON; a report as DICOM SR to a file.

    Args:
        args: `to` (intoto, otel, fhir, inspect or sr), `content` (with message text, for otel), `dicom`
            and `out` (files, for sr).
        selected: traces to export; sr takes the first one.

    Returns:
        exit code 0.

    Raises:
        ConfigError: too many traces for one log of Inspect, or a missing or existing file for sr.
        DataError: no trace is open (inspect), or the report's records are closed (sr).
    """
    if args.to == "sr":
        return _sr(args, selected)
    if args.to == "inspect":
        return _inspect(selected)
    for trace in selected:
        if args.to == "intoto":
            row: dict[str, Any] = exports.in_toto(trace)
        elif args.to == "otel":
            row = exports.open_telemetry(trace, content=args.content)
        else:
            row = _fhir(trace)
        print(json.dumps(row, ensure_ascii=False))
    return 0


def restored(stored: store.Stored) -> Trace | None:
    """Rebuild a trace from its records.

    Args:
        stored: the stored trace.

    Returns:
        the recorded trace; None if a record is closed.
    """
    records, openings = exports.read(stored)
    if len(openings) < len(records) - 1:
        return None
    return traces.restore(records, openings)


def _fhir(stored: store.Stored) -> dict[str, Any]:
    """Export a report as its DiagnosticReport, another trace as a document; the Provenance names the
    trace."""
    records, openings = exports.read(stored)
    name = store.head_name(stored.lines[-1])
    trace = restored(stored) if records[-1]["origin"].get("workflow") == WORKFLOW else None
    if trace is None or trace.error:
        return provenance.fhir(name, records, openings)
    bundle = fhir(of_trace(trace))
    resource = bundle["entry"][-1]["resource"]
    named = [entity["what"]["identifier"]["value"] for entity in resource.get("entity", ())]
    missing = [provenance.named(provenance.TRACE, name)] if name not in named else []
    resource["entity"] = [*missing, *resource.get("entity", ())]
    return bundle


def _inspect(selected: Iterator[store.Stored]) -> int:
    rows, closed = list[tuple[str, Trace]](), 0
    for item in selected:
        trace = restored(item)
        closed += trace is None
        if trace is not None:
            rows.append((store.head_name(item.lines[-1]), trace))
        if len(rows) > MOST:
            raise ConfigError(f"more than {MOST:,} traces in one log of Inspect: export them by number")
    if closed:
        print(f"{closed:,} traces are left out: not all of their records are open", file=sys.stderr)
    if not rows:
        raise DataError("no trace is open, so there is nothing to write")
    print(json.dumps(inspect_log(rows, fingerprints.packages()), ensure_ascii=False))
    return 0


def _sr(args: argparse.Namespace, selected: Iterator[store.Stored]) -> int:
    if args.dicom is None or args.out is None:
        raise ConfigError("--to sr needs --dicom FILE, the image that the report is of, and --out FILE")
    stored = next(selected)
    trace = restored(stored)
    if trace is None:
        raise DataError("the trace is closed in part, so its report cannot be written")
    out: Path = args.out
    if out.exists():
        raise ConfigError(f"{out} already exists: choose another --out")
    write_sr(of_trace(trace), args.dicom, out)
    print(f"report   {out}")
    return 0


def check(args: argparse.Namespace) -> None:
    """Check that the export options fit each other.

    Args:
        args: `to`, `content`, `dicom`, `out`, `which`.

    Raises:
        ConfigError: they do not.
    """
    if args.content and args.to in ("inspect", "fhir", "sr"):
        print(f"--to {args.to} always has the words that are open", file=sys.stderr)
    if args.to != "sr" and (args.dicom or args.out):
        raise ConfigError("--dicom and --out are for --to sr")
    if args.to == "sr" and not args.which:
        raise ConfigError("--to sr writes one report: give the number of its trace, such as 0")
