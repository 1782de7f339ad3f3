"""The open recipe for medical multimodal language models that can be checked."""

import os

__version__ = "0.1.0"
STATEMENT = "For research. Not a medical device; not for clinical use, diagnosis or treatment decisions."

# Libraries of the hub read these when they are imported: nothing is told to them about how they are used.
for _variable in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
    os.environ.setdefault(_variable, "1")
