"""Task files of lm-evaluation-harness and lmms-eval, used unchanged: `factory(path)` makes their tasks.

config      the YAML with `include`, `!function` and `group`, checked documents   rows of a data set, and what
the file makes of each: question, options, target, pictures, few-shot filters     what a reply goes through
before it is scored: regex, take_first, ... metrics     acc, acc_norm, exact_match, and what process_results
gives, as those harnesses score them task        a Task of all this
"""

from medxiaohe.tasks._lm_eval.config import functions, is_one, members
from medxiaohe.tasks._lm_eval.task import factory

__all__ = ["factory", "functions", "is_one", "members"]
