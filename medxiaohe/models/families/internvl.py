"""InternVL in the layout of transformers (InternVL3-...-hf): tiles of all images in one tensor."""

from medxiaohe.models.families.family import Family

FAMILY = Family(name="InternVL", processors=("InternVLProcessor",), packages=("torchvision",))
