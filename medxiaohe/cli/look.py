"""`list`, `show`, `assets`, `tree find` and `tree stats`: read-only commands (`assets` fills the cache)."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import sys
import typing
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.cli.runs import finished_folder
from medxiaohe.cli.summary import table
from medxiaohe.errors import ConfigError, DataError, MedError
from medxiaohe.recipe import load
from medxiaohe.recipe.sentences import sentences
from medxiaohe.recipe.settings import words
from medxiaohe.types import Sample

KINDS = (*plugins.KINDS, "stages", "assets")
MAX_FOUND = 20


def list_names(args: argparse.Namespace) -> int:
    """List the names of plugins, stages and assets (`list`).

    Args:
        args: `kind` (one of `KINDS`, `reasoning`, or "" for all), `json`.

    Returns:
        exit code 0.

    Raises:
        ConfigError: no such kind.
    """
    if args.kind == "reasoning":
        return _list_reasoning(as_json=args.json)
    result = {kind: _names(kind) for kind in ([_kind(args.kind)] if args.kind else KINDS)}
    if args.json:
        print(json.dumps(result[_kind(args.kind)] if args.kind else result))
    elif args.kind:
        print("\n".join(result[_kind(args.kind)]))
    else:
        print("\n".join(f"{kind:<13} {', '.join(names) or 'none'}" for kind, names in result.items()))
    return 0


def _list_reasoning(*, as_json: bool) -> int:
    """List the branches of reasoning with what runs each, and what is missing."""
    from medxiaohe.agents.parsing.taxonomy import leaves

    rows = leaves()
    if as_json:
        print(json.dumps([io.to_json(row) for row in rows], ensure_ascii=False))
        return 0
    for row in rows:
        print(f"{row.name:<45} {f'{row.kind} {row.runs}' if row.kind else f'missing: {row.missing}'}")
    runnable = sum(bool(row.kind) for row in rows)
    print(f"{len(rows)} branches, {runnable} run")
    return 0


def print_help(args: argparse.Namespace) -> int:
    """Print the help of a first word whose second word is missing.

    Args:
        args: `shown`, the parser of the word.

    Returns:
        exit code 0.
    """
    args.shown.print_help()
    return 0


def completion(args: argparse.Namespace) -> int:
    """Print the script with which a shell completes verbs, options and files (`completion`).

    Args:
        args: `shell`, such as bash or zsh.

    Returns:
        exit code 0.

    Raises:
        MissingExtra: argcomplete is not installed.
    """
    plugins.need("argcomplete", why="completion")
    from argcomplete.shell_integration import shellcode

    print(shellcode(["medxiaohe"], shell=args.shell))
    return 0


def show(args: argparse.Namespace) -> int:
    """Describe a plugin, stage or asset: docstring, signature, settings, example (`show`).

    Args:
        args: `kind` (one of `KINDS`, also in the singular), `name`, `json`.

    Returns:
        exit code 0.

    Raises:
        ConfigError: no such kind or name.
    """
    kind = _kind(args.kind)
    facts: dict[str, Any]
    if kind == "assets":
        from medxiaohe import assets

        facts = io.to_json(assets.spec(args.name))
    elif kind == "tools":
        facts = _tool(args.name)
    else:
        facts = _facts(
            kind, plugins.load_stage(args.name) if kind == "stages" else plugins.load(kind, args.name)
        )
    if args.json:
        print(json.dumps({"kind": kind, "name": args.name, **facts}, ensure_ascii=False, default=str))
    else:
        print(
            "\n".join(
                f"{key:<10} {_indented(value)}"
                for key, value in facts.items()
                if value not in ("", None, [], {})
            )
        )
    return 0


def assets(args: argparse.Namespace) -> int:
    """List assets, and fetch those that the cache lacks (`assets`).

    Args:
        args: `names` (all if empty), `list` (fetch nothing), `json`.

    Returns:
        exit code 0, or 1 if an asset could not be fetched; the others still are.

    Raises:
        ConfigError: no such asset; nothing is fetched.
    """
    from medxiaohe import assets

    names = args.names or assets.available()
    for name in names:
        assets.spec(name)  # a wrong name stops here, before anything is fetched
    failed = []
    if not args.list:
        for i, name in enumerate(names, start=1):
            print(f"[{i}/{len(names)}] {name}", file=sys.stderr, flush=True)
            try:
                assets.fetch(name)
            except MedError as error:
                failed.append(name)
                print(f"medxiaohe: {error}", file=sys.stderr)
    rows = [row for row in assets.status() if row.name in names]
    if args.json:
        print(json.dumps([io.to_json(row) for row in rows], ensure_ascii=False))
    else:
        cells = [
            (
                r.name,
                f"{r.bytes / 2**20:,.1f}",
                "here" if r.folder else "not yet",
                r.kind,
                f"{r.package} {r.version}",
                r.license,
            )
            for r in rows
        ]
        print(table([("asset", "MiB", "cache", "kind", "package", "licence"), *cells]))
        print(f"\ncache {assets.cache_root()}")
    if failed:
        print(f"medxiaohe: not obtained: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def tree_find(args: argparse.Namespace) -> int:
    """Search a tree for entities by id or name; for other text, print the mentions in it (`tree find`).

    Args:
        args: `tree` (a folder), `text`, `json`.

    Returns:
        exit code 0; 1 if neither a name nor a mention matches. At most `MAX_FOUND` entities, exact
        matches first.

    Raises:
        ConfigError: no finished tree, or an empty text.
    """
    tree = _tree(args.tree)
    text = args.text.strip().lower()
    if not text:
        raise ConfigError("tree find: give a name, a part of one, or an id")
    ids = Counter[str]()  # 2: the whole name or id, 1: a part of one
    for entity in tree.entities.values():
        names = [name.lower() for name in (entity.name, *entity.synonyms)]
        if text == entity.id.lower() or text in names:
            ids[entity.id] = 2
        elif any(text in name for name in names):
            ids[entity.id] = 1
    if not ids:
        from medxiaohe.entity.linking.finder import finder

        return _mentions(args, tree, finder(finished_folder(args.tree, "--tree")))
    results = [tree.entities[id] for id, _ in ids.most_common(MAX_FOUND)]
    rows = [
        {
            **io.to_json(e),
            "layer": tree.layer(e.id),
            "ancestors": [tree.entities[a].name for a in tree.ancestors(e.id)],
        }
        for e in results
    ]
    if args.json:
        print(json.dumps(rows, ensure_ascii=False))
    for row in rows if not args.json else ():
        print(f"{row['name']}  ({row['kind']}, layer {row['layer']}, {row['id']})")
        print(
            f"    also    {', '.join(row['synonyms']) or '-'}\n    below  "
            f" {' < '.join(row['ancestors']) or '-'}"
        )
    if len(ids) > MAX_FOUND:
        print(f"{len(ids) - MAX_FOUND} more: give a longer part of the name", file=sys.stderr)
    return 0


def _mentions(args: argparse.Namespace, tree: Any, index: Any) -> int:
    """Print the entities that a text mentions, each with reason, score and context."""
    from medxiaohe.entity.linking.annotate import Annotator

    annotated = Annotator.of(tree, index=index).annotate(args.text)
    rows = [{**io.to_json(mention), "name": tree.entities[mention.entity].name} for mention in annotated]
    if args.json:
        print(json.dumps(rows, ensure_ascii=False))
    for row in rows if not args.json else ():
        flags = [flag for flag in ("negated", "uncertain", "ambiguous") if row[flag]]
        flags += [
            row[key] for key in ("experiencer", "temporality") if row[key] not in ("patient", "current")
        ]
        print(f"{row['surface']}  [{row['start']}:{row['end']}]  {', '.join(flags)}".rstrip())
        print(
            f"    entity  {row['name']}  ({row['kind']}, {row['entity']})\n    why     {row['reason']}, score"
            f" {row['score']:.2f}"
        )
    if not rows:
        print(f"medxiaohe: no entity with {args.text!r} in its names, and no name in it", file=sys.stderr)
    return 0 if rows else 1


def tree_stats(args: argparse.Namespace) -> int:
    """Count entities, names, kinds, layers and sources of a tree (`tree stats`).

    Args:
        args: `tree` (a folder), `json`.

    Returns:
        exit code 0.

    Raises:
        ConfigError: no finished stage.
        DataError: the stage is not a tree.
    """
    tree = _tree(args.tree)
    record = finished_folder(args.tree, "--tree") / "stats.json"
    built = io.read_json(record) if record.is_file() else {}
    counts: dict[str, Any] = {
        "entities": len(tree),
        "names": len({name.casefold() for name in tree.names}),
        "kinds": dict(Counter(e.kind for e in tree.entities.values()).most_common()),
        "layers": {str(layer): n for layer, n in sorted(Counter(map(tree.layer, tree.entities)).items())},
        "sources": dict(Counter(e.source for e in tree.entities.values()).most_common()),
        **{
            key: built[key]
            for key in ("synonyms", "merges", "relations", "xrefs", "problems")
            if built.get(key)
        },
    }
    if args.json:
        print(json.dumps(counts, ensure_ascii=False))
    else:
        for key, value in counts.items():
            print(
                f"{key:<9}",
                (
                    ", ".join(f"{k or '-'} {n:,}" for k, n in value.items())
                    if isinstance(value, dict)
                    else f"{value:,}"
                ),
            )
    return 0


def _tree(path: Path) -> Any:
    from medxiaohe.entity.tree.tree import Tree

    folder = finished_folder(path, "--tree")
    if not (folder / "entities.jsonl").is_file():
        raise DataError(f"{folder} is not a tree: no entities.jsonl (build one with `medxiaohe tree build`)")
    return Tree.load(folder)


def _kind(typed: str) -> str:
    """Resolve a kind in the singular or plural."""
    for kind in KINDS:
        if typed in (kind, kind.removesuffix("s"), kind.removesuffix("ies") + "y"):
            return kind
    raise ConfigError(f"no kind {typed!r}{plugins.nearest(typed, KINDS)}")


def _names(kind: str) -> list[str]:
    if kind == "stages":
        return plugins.stages()
    if kind == "assets":
        from medxiaohe import assets

        return assets.available()
    return plugins.available(kind)


def _tool(name: str) -> dict[str, Any]:
    from medxiaohe.tools.toolbox import describe_tools

    (tool,) = describe_tools([name])
    function = inspect.unwrap(tool.run)
    return {
        "about": inspect.getdoc(inspect.getmodule(function)),
        "file": inspect.getsourcefile(function) if inspect.isroutine(function) else "",
        "description": tool.description,
        "parameters": tool.parameters,
        "needs": [*tool.needs, *(f"{option} (optional)" for option in tool.options)],
        "version": tool.version,
        "pure": tool.pure,
        "effects": tool.effects,
        "seconds": tool.seconds,
        "example": json.dumps(tool.example, ensure_ascii=False),
    }


def _facts(kind: str, thing: Callable[..., Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "about": _about(thing),
        "signature": f"{thing.__name__}{inspect.signature(thing)}" if inspect.isroutine(thing) else "",
        "file": (
            inspect.getsourcefile(inspect.unwrap(thing))
            if inspect.isroutine(thing) or inspect.isclass(thing)
            else ""
        ),
    }
    if kind == "stages":
        facts["settings"] = _settings(load.settings_type(thing))
        named, required, any_role = load.roles(thing)
        facts["inputs"] = [
            *(n if n in required else f"{n} (optional)" for n in named),
            *(["any name"] if any_role else []),
        ]
    elif kind == "tasks" and _needs_nothing(thing):
        facts |= _task(thing())
    example = getattr(inspect.getmodule(thing), "EXAMPLE", None)
    if kind == "perturbations":
        facts["example"] = example.text if example else ""
    elif kind == "scoring":
        facts |= {"example": _conversation(example), "target": example.target} if example else {}
    elif kind == "workflows":
        facts["example"] = example.ends if example else ""
    elif kind == "verifiers":
        claims, evidence, labels = example or ((), (), ())
        facts["evidence"] = [item.text for item in evidence]
        facts["example"] = [f"{claim.text} {label}" for claim, label in zip(claims, labels, strict=True)]
    elif example:
        facts["example"] = [f"{name}: {_shown_content(content)}" for name, content in example.items()]
    return facts


def _shown_content(content: Any) -> str:
    """Shorten a text for display; of bytes only their number."""
    if callable(content):
        return "written by a function"
    if isinstance(content, bytes):
        return f"{len(content):,} bytes"
    return str(content)[:300]


def _task(task: Any) -> dict[str, Any]:
    return {
        "licence": task.license,
        "access": task.access,
        "workflow": task.workflow,
        "scorers": [getattr(scorer, "__name__", str(scorer)) for scorer in task.scorers],
        "example": _conversation(task.example),
        "target": task.example.target,
    }


def _conversation(sample: Sample) -> list[str]:
    return [f"{m.role}: {m.text or '(image)'}" for m in sample.messages]


def _needs_nothing(thing: Callable[..., Any]) -> bool:
    return all(p.default is not p.empty for p in inspect.signature(thing).parameters.values())


def _settings(kind: type) -> list[str]:
    hints = typing.get_type_hints(kind, include_extras=True)
    rows, meanings = [], sentences(kind)
    for field in dataclasses.fields(kind):
        hint = words(hints[field.name])
        if field.default is not dataclasses.MISSING:
            rows.append(f"{field.name}: {hint}, default {field.default!r}")
        elif field.default_factory is not dataclasses.MISSING:
            rows.append(f"{field.name}: {hint}, default {field.default_factory()!r}")
        else:
            rows.append(f"{field.name}: {hint}, required")
        if field.name in meanings:
            rows[-1] += f"\n    {meanings[field.name]}"
    return rows


def _about(thing: Any) -> str:
    """Join the docstrings of the file and of the object."""
    module = inspect.getmodule(thing)
    texts: Sequence[str | None] = (
        inspect.getdoc(module) if module else "",
        inspect.getdoc(thing) if inspect.isroutine(thing) else "",
    )
    return "\n\n".join(text for text in texts if text)


def _indented(value: Any) -> str:
    text = (
        "\n".join(map(str, value))
        if isinstance(value, list)
        else json.dumps(value)
        if isinstance(value, dict)
        else str(value)
    )
    return text.replace("\n", "\n" + " " * 11)
