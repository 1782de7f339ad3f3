"""Answer as a specialist of train.moe: the roles `expert_1` to `expert_6` of the workflow `medcot`, or the
mixture of all of them.

    medxiaohe eval run --model starter --model expert_1=out/moe/model --tasks vqa_rad --workflow medcot

It reads the question and the image of the conversation, and the caption and rationale that stand in blocks of
its last message, and replies with one of the answers that it was trained on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from medxiaohe.errors import ConfigError
from medxiaohe.types import Message, Tool

# as agents/parsing/blocks.py marks quoted texts
BLOCK = re.compile(r"\[begin (caption|rationale) (\w+)[^\]]*\]\n(.*?)\n\[end \1 \2\]", re.DOTALL)


def experts(model: str, expert: int = 0) -> Experts:
    """Load a specialist from the folder `model` of a train.moe stage.

    Args:
        model: the folder.
        expert: number of the expert that answers, from 1; 0: the mixture.

    Returns:
        the specialist as a model
    """
    return Experts(Path(model), expert)


class Experts:
    """A specialist behind the interface of models."""

    def __init__(self, folder: Path, expert: int) -> None:
        from medxiaohe.models.experts import specialist

        self.name = f"{folder} expert {expert}" if expert else str(folder)
        self.network, self.facts = specialist.load(folder)
        if not 0 <= expert <= self.facts.shape.experts:
            raise ConfigError(
                f"{folder} has experts 1 to {self.facts.shape.experts}, not {expert}; 0 is all of them"
            )
        self.expert = expert

    def reply(self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[Message]:
        """Answer closed questions, each on a last line that begins with "Answer:".

        Args:
            conversations: with the question in the first user message.
            tools: not used.

        Returns:
            assistant messages
        """
        from medxiaohe.models.experts import specialist
        from medxiaohe.models.experts.features import Question

        questions = []
        for talk in conversations:
            users = [message for message in talk if message.role == "user"]
            blocks = {name: text for name, _, text in BLOCK.findall(users[-1].text) if text != "none"}
            images = [image for message in talk for image in message.images]
            # the question is the first message of the user; the last one asks for the answer
            image = images[0] if images else None
            written = (blocks.get("caption", ""), blocks.get("rationale", ""))
            questions.append(Question(users[0].text, image, *written))
        arrays = specialist.prepared(questions, self.facts)
        results = specialist.answers(self.network, arrays, self.facts.candidates)
        words = [result.experts[self.expert - 1] if self.expert else result.gate for result in results]
        return [Message("assistant", (f"Answer: {word}",)) for word in words]
