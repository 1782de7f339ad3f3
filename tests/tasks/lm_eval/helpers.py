"""Functions of the task files beside it, in the shapes of lm-eval and lmms-eval."""

import re


def medqa_question(doc):
    options = [f"{letter}. {doc[f'ending{i}']}\n" for i, letter in enumerate("ABCD")]
    return f"Question: {doc['sent1']}\n{''.join(options)}Answer:"


def careqa_question(doc):
    options = "".join(f"{letter}. {doc[f'op{i}']}\n" for i, letter in enumerate("ABCD", 1))
    return f"Question: {doc['question']}\nChoices:\n{options}Answer:"


def careqa_target(doc):
    return doc["cop"] - 1


def english(dataset):
    return dataset.filter(lambda doc: doc["q_lang"] == "en")


def picture(doc):
    from PIL import Image

    return [Image.new("RGB", (8, 8), tuple(doc["colour"]))]


def short_question(doc, lmms_eval_specific_kwargs=None):
    told = lmms_eval_specific_kwargs or {}
    return f"{told.get('pre_prompt', '')}{doc['question'].strip()}{told.get('post_prompt', '')}"


def same_answer(doc, results):
    same = re.sub(r"\W", "", results[0].lower()) == re.sub(r"\W", "", doc["answer"].lower())
    return {"t_accuracy": {"id": doc["qid"], "hit": same}}


def mean_of_hits(results):
    return sum(one["hit"] for one in results) / len(results)


def conversation(doc):
    parts = [{"type": "image", "url": doc["image_1"]}, {"type": "text", "text": doc["question"]}]
    return [{"role": "system", "content": "Answer with a letter."}, {"role": "user", "content": parts}]


def letter(doc, results):
    return {"t_acc": float(results[0].strip()[:1] == doc["answer"])}
