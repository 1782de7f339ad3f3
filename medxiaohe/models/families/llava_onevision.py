"""LLaVA-OneVision: [images, tiles, 3, height, width], tiles padded to the most of the batch.

`batch_num_images` says how many images were rendered together: one alone is cut into tiles, several are not.
"""

from medxiaohe.models.families.family import Family

FAMILY = Family(name="LLaVA-OneVision", processors=("LlavaOnevisionProcessor",), packages=("torchvision",))
