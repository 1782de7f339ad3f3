"""The four losses of MOTOR (arXiv 2304.14204, section 3.3; BLIP, arXiv 2201.12086, for the first three)."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from medxiaohe.models.image_report.network import Network
from medxiaohe.models.image_report.vocabulary import PAD

NEVER = -1e4  # logit of what may not be drawn: its softmax is 0 in float32


def alignment(
    own: tuple[Any, Any],
    teacher: tuple[Any, Any],
    queue: tuple[Any, Any],
    same: Any,
    temperature: Any,
    soft: float,
) -> Any:
    """Compute image-text alignment (ITA): contrastive loss with momentum targets.

    Args:
        own: image and text vectors of the student, [batch, vector] each.
        teacher: those of the momentum copy, without gradient.
        queue: image and text vectors of past batches, [queue, vector] each.
        same: [batch, batch + queue], 1 where a column has the report of the row, else 0.
        temperature: of the similarities.
        soft: share of the teacher's distribution in the targets (0.4 in BLIP).

    Returns:
        The mean of both directions, a scalar in nats.
    """
    total = torch.zeros(())
    # hard targets: uniform over the columns that have the words of the row's report
    hard = same / same.sum(1, keepdim=True)
    for mine, theirs, others, teaching in (
        (own[0], teacher[1], queue[1], teacher[0]),  # image -> reports
        (own[1], teacher[0], queue[0], teacher[1]),  # report -> images
    ):
        # columns: teacher vectors of the batch, then those of the queue
        columns = torch.cat([theirs, others])
        with torch.no_grad():
            # y = soft x softmax(s' / tau) + (1 - soft) x hard, s' the teacher's similarities (BLIP, ALBEF)
            guess = torch.softmax(teaching @ columns.T / temperature, dim=1)
            target = soft * guess + (1 - soft) * hard
        # - sum_j y_j log softmax(s / tau)_j, a mean over rows
        total = total - (functional.log_softmax(mine @ columns.T / temperature, dim=1) * target).sum(1).mean()
    return total / 2


def matching(
    network: Network, tokens: Any, words: Any, similarity: Any, same: Any, draw: torch.Generator
) -> Any:
    """Compute image-text matching (ITM): true pairs, and for each image and report a hard negative of the
    batch.

    Args:
        network: the student.
        tokens: of the images, [batch, n, width].
        words: of their reports, [batch, length].
        similarity: of images and reports, [batch, batch]; similar ones are drawn more often.
        same: [batch, batch], true where row and column have the same report or study: never a negative.
        draw: source of random numbers.

    Returns:
        Cross-entropy of matched against not matched, a scalar in nats.
    """
    words_, tokens_, targets = [words], [tokens], [torch.ones(len(words), dtype=torch.long)]
    has_negative = (~same).any(1)  # a batch of one report has no negative
    if has_negative.any():
        for weights in (similarity, similarity.T):
            # hard negatives: a column j of another report, drawn with probability softmax(s / tau)_j; the
            # small constant keeps a draw possible where all of them round to 0
            chance = torch.softmax(weights.detach().masked_fill(same, NEVER), dim=1)[has_negative]
            negative = torch.multinomial(chance + 1e-9 * (~same[has_negative]), 1, generator=draw)[:, 0]
            mine = has_negative.nonzero()[:, 0]
            # rows are images in the first pass and reports in the second
            of_image, of_report = (mine, negative) if weights is similarity else (negative, mine)
            tokens_.append(tokens[of_image])
            words_.append(words[of_report])
            targets.append(torch.zeros(len(mine), dtype=torch.long))
    # two classes: 1 matched, 0 not matched
    logits = network.matches(torch.cat(words_), torch.cat(tokens_))
    return functional.cross_entropy(logits, torch.cat(targets))


def language(network: Network, tokens: Any, words: Any) -> Any:
    """Compute the language-modelling loss (LM) of the reports given their images.

    Args:
        network: the student.
        tokens: of the images, [batch, n, width].
        words: of the reports, [batch, length]; padding carries no loss.

    Returns:
        Nats a token, a scalar.
    """
    # - log p(w_t | w_<t, image): the logits behind each word against the next one
    logits = network.next_words(words[:, :-1], tokens)
    return functional.cross_entropy(logits.flatten(0, 1), words[:, 1:].flatten(), ignore_index=PAD)


def labelling(logits: Any, labels: Any) -> Any:
    """Compute multi-label classification (MLC): binary cross-entropy of the tags.

    Args:
        logits: [batch, tags].
        labels: [batch, tags], 0 or 1 as floats.

    Returns:
        The mean over pairs and tags, a scalar in nats.
    """
    return functional.binary_cross_entropy_with_logits(logits, labels)
