"""Keep progress bars and notices of libraries out of our logs, which have bars of their own (progress.py).

A library reads its variables when it is imported, and so do the processes it is imported in; one that is
imported already is set by its own functions. A variable that is set is not changed:
HF_HUB_DISABLE_PROGRESS_BARS=0 shows the bars of transformers and of the hub, for debugging.
"""

from __future__ import annotations

import os
import sys
import warnings

LIBRARIES = ("transformers", "trl", "peft", "datasets", "huggingface_hub", "vllm")
VARIABLES = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # "Loading weights", "Writing model shards", downloads
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",  # "Map", "Generating train split"
    "TRANSFORMERS_VERBOSITY": "error",
}
ALL_BARS = {"TQDM_DISABLE": "1"}  # of every library that draws with tqdm, as none of our own does


def silence(every_library: bool = False) -> None:
    """Turn off progress bars and deprecation notices of the Hugging Face libraries, here and in processes
    that this one starts.

    Args:
        every_library: bars of all others as well. For commands, whose process is ours; in a program of the
            user's they are the user's.
    """
    for name, value in (VARIABLES | (ALL_BARS if every_library else {})).items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    if os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] != "1":
        return
    if "transformers.utils.logging" in sys.modules:
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
    if "datasets" in sys.modules:
        import datasets

        datasets.disable_progress_bars()
    if "huggingface_hub.utils" in sys.modules:
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
