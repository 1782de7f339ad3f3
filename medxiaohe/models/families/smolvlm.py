"""SmolVLM and SmolVLM2: tiles as in Idefics3, and a processor that also reads videos."""

from medxiaohe.models.families.family import Family
from medxiaohe.models.families.idefics3 import expanded, join

FAMILY = Family(
    name="SmolVLM",
    processors=("SmolVLMProcessor",),
    join=join,
    expanded=expanded,
    packages=("torchvision", "num2words"),
)
