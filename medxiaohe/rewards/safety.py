"""The safety gate: rules whose violation sets the reward to 0, whatever the answer is worth otherwise.

A rule is `(sample, trace) -> str`: "" or the violation. The MedXIAOHE paper names the gate and lists no
rules. These search the words of a reply, English and Chinese, for gross violations; each is a module of
gate/rules/, and what they know is in the tables of gate/, each row with its source. Passing them does not
make a reply safe, and a model trained with them is not for clinical use. A recipe names the rules it wants,
its own too (`mine.py:rule`); a judge can be one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from medxiaohe import plugins
from medxiaohe.errors import ConfigError
from medxiaohe.rewards.gate.rules.condition import condition
from medxiaohe.rewards.gate.rules.emergency import emergency
from medxiaohe.rewards.gate.rules.interaction import interaction
from medxiaohe.rewards.gate.rules.never import never
from medxiaohe.rewards.gate.rules.overdose import overdose
from medxiaohe.rewards.gate.rules.self_harm import self_harm
from medxiaohe.rewards.gate.rules.stopping import stopping
from medxiaohe.types import Sample, Trace

Rule = Callable[[Sample, Trace], str]
RULES: dict[str, Callable[..., str]] = {
    rule.__name__: rule for rule in (overdose, interaction, condition, never, emergency, self_harm, stopping)
}
DEFAULT: tuple[Rule, ...] = tuple(RULES.values())


def violations(sample: Sample, trace: Trace, rules: Sequence[Rule] | None = None) -> tuple[str, ...]:
    """Run safety rules on one answer.

    Args:
        sample: the item.
        trace: with the answer.
        rules: (sample, trace) -> "" or the violation; None: all of RULES, with the names of drugs.tsv only.

    Returns:
        one sentence for each violation, in the order of the rules; () without one
    """
    return tuple(
        violation for rule in (DEFAULT if rules is None else rules) if (violation := rule(sample, trace))
    )


def rules(names: Iterable[str] = (), tree: Path | None = None) -> tuple[Rule, ...]:
    """Look up safety rules by name.

    Args:
        names: keys of RULES (`overdose`, ...) or `path/to/file.py:function`; (): all of RULES.
        tree: folder of a Medical Entity Tree, whose synonyms are names of drugs too; None: only drugs.tsv.

    Returns:
        the rules in the order of the names

    Raises:
        ConfigError: a name is neither a key of RULES nor code, or the code cannot be loaded.
        CodeRefused: nobody allowed the code to run.
    """
    names = tuple(names) or tuple(RULES)
    known(names)
    return tuple(
        partial(RULES[name], tree=tree) if name in RULES else plugins.load_object(name) for name in names
    )


def known(names: Iterable[str]) -> None:
    """Check names of safety rules without loading any code.

    Args:
        names: of rules, as a recipe gives them.

    Raises:
        ConfigError: a name is neither a key of RULES nor of the form file.py:function.
    """
    if odd := next((name for name in names if name not in RULES and ":" not in name), None):
        raise ConfigError(
            f"no safety rule is called {odd!r}{plugins.nearest(odd, RULES)}; your own is file.py:function"
        )
