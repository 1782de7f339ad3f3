"""Replace the images by those of another item of the task (SWAP of HALT-MedVQA)."""

from medxiaohe.evals.perturb._question import Around, asked, swap_images
from medxiaohe.types import ImageRef, Sample

EXPECTS = "lost"
EXAMPLE = asked(
    "Is there a pneumothorax? Answer yes or no.",
    target="no",
    images=[ImageRef("example.png", sha256="0" * 64)],
)


def image_swapped(sample: Sample, around: Around) -> Sample | None:
    """Replace the images by those of another item of the task.

    Args:
        sample: the item.
        around: seed, folder for changed images, images of the other items, and a model that rewrites, if
            any.

    Returns:
        the changed item with its gold; None if the change does not apply
    """
    own = {image.sha256 or image.uri for image in sample.images}
    others = [image for image in around.images if (image.sha256 or image.uri) not in own]
    if not own or not others:
        return None
    start = int(around.draw("swap", sample.id) * len(others))
    drawn = iter(others[start:] + others[:start])
    return swap_images(sample, lambda image: next(drawn, others[0]))
