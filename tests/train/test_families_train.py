"""Every family is trained in every way: what carries loss, what moves, and that a killed run goes on
exactly."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_families
from tiny_families import Family

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError, ModelError
from medxiaohe.models import checkpoint
from medxiaohe.models.families import family as families
from medxiaohe.models.render import render_prompt
from medxiaohe.train.agentic import AgenticSettings, Retriever, agentic
from medxiaohe.train.cpt import cpt
from medxiaohe.train.dpo import DpoSettings, dpo
from medxiaohe.train.loop import resume
from medxiaohe.train.loop.checks import token_nats
from medxiaohe.train.loop.fit import FitSettings
from medxiaohe.train.loop.merge import merge
from medxiaohe.train.loop.parts import Parts, part_of
from medxiaohe.train.loop.row_index import Reading
from medxiaohe.train.loop.rows import Rows
from medxiaohe.train.rl import RLSettings, rl
from medxiaohe.train.sft import sft
from medxiaohe.types import ImageRef, Message, Sample

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
FULL = Parts(language="full", projector=True, vision=True)


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory, pictures: tuple[ImageRef, ...]) -> Path:
    """Rows with images of each shape, with two, with several turns, and of text only, in one batch; their
    questions are those of a task."""
    return written(tmp_path_factory.mktemp("seen"), pictures)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without images."""
    return written(tmp_path_factory.mktemp("read"), ())


def written(folder: Path, pictures: tuple[ImageRef, ...]) -> Path:
    def ask(*parts: Any) -> Message:
        return Message("user", parts)

    def say(text: str) -> Message:
        return Message("assistant", (text,))

    first, second, third = [(picture,) for picture in pictures] or [(), (), ()]
    question = "Is it the lung? Answer yes or no."
    talks = [
        [ask(*first, question), say("yes")],
        [ask(*second, question), say("no")],
        [ask("Is a dose a drug? Answer yes or no."), say("no")],
        [ask(*third, *first, question), say("yes")],
        [ask(*third, "What is it?"), say("A kidney."), ask(*second, "And this?"), say("A liver, per day.")],
        [ask("Fever?"), say("Yes."), ask("Cough?"), say("No.")],
    ]
    rows = [
        Sample(f"r/{number}", tuple(talk), target=talk[-1].text, source="held_out")
        for number, talk in enumerate(talks)
    ]
    io.write_jsonl(folder / "instructions.jsonl", rows)
    io.write_jsonl(folder / "prompts.jsonl", rows[:4])
    io.write_json(folder / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}})
    pages = [
        Message("document", ("Figure 1.", *first, "The heart.")),
        Message("document", ("A drug.", *second)),
    ]
    io.write_jsonl(folder / "documents.jsonl", [Sample(f"d/{i}", (page,)) for i, page in enumerate(pages)])
    pairs = [
        {
            "messages": [io.to_json(message) for message in row.messages[:-1]],
            "chosen": row.messages[-1].text,
            "rejected": "a disease",
        }
        for row in rows
    ]
    io.write_jsonl(folder / "pairs.jsonl", pairs)
    passages = [{"id": f"p/{i}", "text": text, "source": "book"} for i, text in enumerate(["lung", "liver"])]
    io.write_jsonl(folder / "passages.jsonl", passages)
    return folder


def data(family: Family, request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue("texts" if family.is_blind else "mixture"))


def moved(family: Family, folder: Path) -> set[str]:
    """Parts of the model that differ from the checkpoint."""
    before, after = (
        checkpoint.load(str(place)).model.state_dict() for place in (family.folder, folder / "model")
    )
    return {part_of(name) for name in before if not torch.equal(before[name], after[name])}


def rows_of(family: Family, place: Path) -> Rows:
    reading = Reading(str(family.folder), 4096)
    return Rows(place / "instructions.jsonl", family.processor, reading, "render")


def test_packed_rows_are_those_alone_token_by_token(
    family: Family, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """In sequences of three, in attention of both kinds, and in training."""
    place = data(family, request)
    rows = rows_of(family, place)
    numbers = list(range(len(rows)))
    packed = rows.batch([numbers[:3], numbers[3:]], packed=True)
    with torch.no_grad():
        alone = torch.cat([token_nats(family.model, rows.batch([[number]])) for number in numbers])
        for attention in ("sdpa", "eager"):
            model = checkpoint.load(str(family.folder), attn_implementation=attention).model
            assert (token_nats(model, packed) - alone).abs().max() < 1e-4 and len(alone) > 10
    settings = FitSettings(model=str(family.folder), packing=True, max_length=1024, max_steps=1)
    assert sft(settings, tmp_path / "o", data=place)["fill"] > 0.5


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_vl"])
def test_positions_of_packed_rows_are_those_the_model_gives_each_alone(
    name: str, families_folder: Path, mixture: Path
) -> None:
    if package := tiny_families.missing(name):
        pytest.skip(f"{name} needs {package}")
    family = tiny_families.load(name, families_folder)
    rows = rows_of(family, mixture)
    for number in range(len(rows)):
        row = rows.batch([[number]])
        grid = {"image_grid_thw": row["image_grid_thw"]} if "image_grid_thw" in row else {}
        own, _ = family.model.model.get_rope_index(row["input_ids"], row["mm_token_type_ids"], **grid)
        given = rows.batch([[number]], packed=True)["position_ids"]
        assert given[1:].equal(own) and given[0, 0].tolist() == list(range(row["input_ids"].shape[1]))


def test_a_row_that_sees_its_neighbour_is_found_before_training(
    family: Family, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions that do not start again; for M-RoPE and for Gemma's masks, those that transformers makes."""
    from medxiaohe.train.loop.checks import check_packing

    rows = rows_of(family, data(family, request))
    check_packing(family.model, rows)
    real = rows.batch

    def spoilt(sequences: Any, key: str = "", packed: bool = False) -> dict[str, Any]:
        out = real(sequences, key, packed)
        if packed:
            length = out["input_ids"].shape[1]
            out["position_ids"] = torch.arange(length).expand_as(out["position_ids"]).clone()
        return out

    monkeypatch.setattr(rows, "batch", spoilt)
    with pytest.raises(ModelError, match="rows packed together change each other"):
        check_packing(family.model, rows)


def test_lora_moves_the_language_model_alone_and_is_merged(
    family: Family, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    parts = Parts(language="lora", lora_r=2, projector=False)
    settings = FitSettings(
        model=str(family.folder), parts=parts, max_steps=2, learning_rate=1e-2, max_length=1024, adapter=True
    )
    sft(settings, tmp_path / "o", data=data(family, request))
    assert moved(family, tmp_path / "o") == {"language"}
    # the adapter that was left beside it, folded in by itself, gives the same weights
    merge(str(family.folder), tmp_path / "o" / "adapter", tmp_path / "merged")
    files = [folder / "model.safetensors" for folder in (tmp_path / "o" / "model", tmp_path / "merged")]
    assert io.sha256(files[0]) == io.sha256(files[1])


def test_a_language_model_in_four_bits_learns_with_lora(
    family: Family, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """QLoRA: what is saved are whole weights, moved where the adapters are and nowhere else."""
    pytest.importorskip("bitsandbytes")
    parts = Parts(language="lora", lora_r=2, projector=False)
    settings = FitSettings(
        model=str(family.folder), parts=parts, max_steps=3, learning_rate=1e-2, max_length=1024,
        quantize="4bit",
    )  # fmt: skip
    found = sft(settings, tmp_path / "o", data=data(family, request))
    small = checkpoint.load(str(family.folder), four_bit=True).model
    packed = {part_of(n) for n, w in small.named_parameters() if type(w).__name__ == "Params4bit"}
    assert packed == {"language"}
    assert found["loss_last"] < found["loss_first"] and moved(family, tmp_path / "o") == {"language"}


def test_everything_is_trained_and_recomputed_activations_change_nothing(
    family: Family, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings = FitSettings(model=str(family.folder), parts=FULL, max_steps=2, max_length=1024)
    place = data(family, request)
    kept = sft(settings, tmp_path / "kept", data=place)
    again = sft(replace(settings, gradient_checkpointing=True), tmp_path / "again", data=place)
    for name in ("loss_first", "loss_last"):
        assert kept[name] == pytest.approx(again[name], abs=2e-4)
    assert moved(family, tmp_path / "again") == (
        {"language"} if family.is_blind else {"language", "projector", "vision"}
    )


def test_pretraining_reads_documents_with_images(
    family: Family, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = data(family, request)
    summary = cpt(
        FitSettings(model=str(family.folder), parts=Parts(language="full"), max_steps=2, max_length=1024),
        tmp_path / "o",
        data=place,
    )
    assert summary["rows_with_pixels"] == (0 if family.is_blind else 2) and summary["loss_last"] > 0


def test_preferences_between_replies_are_learnt(
    family: Family, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    parts = Parts(language="lora", lora_r=2, projector=False)
    settings = DpoSettings(
        model=str(family.folder), parts=parts, max_steps=4, learning_rate=1e-2, warmup_steps=0,
        per_device_train_batch_size=6,
    )  # fmt: skip
    found = dpo(settings, tmp_path / "o", data=data(family, request))
    rows = list(io.read_jsonl(tmp_path / "o" / "metrics.jsonl"))
    # at the first step the policy is the reference: log 2 exactly, whatever the images
    assert rows[0]["loss"] == pytest.approx(0.693147, abs=1e-4) and rows[0]["margin"] == pytest.approx(
        0, abs=1e-4
    )
    assert found["loss_last"] < found["loss_first"]


def test_reinforcement_learning_samples_what_evaluation_renders(
    family: Family, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medxiaohe.train.rollouts import single_turn

    place = data(family, request)
    prompts: list[tuple[int, ...]] = []
    real = single_turn.answers

    def spied(rows: Any, *more: Any) -> Any:
        prompts.extend(row.tokens for row in rows)
        return real(rows, *more)

    monkeypatch.setattr("medxiaohe.train.rl.answers", spied)
    settings = RLSettings(
        model=str(family.folder), parts=Parts(language="lora", lora_r=2, projector=False), max_steps=2,
        per_device_train_batch_size=8, num_generations=2, max_completion_length=6, temperature=1.0,
    )  # fmt: skip
    found = rl(settings, tmp_path / "o", data=place)
    assert found["steps"] == 2 and found["rollouts"] == 16
    asked = [row.prompt.messages for row in io.read_samples(place / "prompts.jsonl")]
    assert set(prompts) == {render_prompt(messages, family.processor).tokens for messages in asked}


def test_the_policys_likelihoods_are_those_of_each_row_alone(
    family: Family, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What GRPO computes for a padded batch of all shapes, against each prompt and answer by itself."""
    from medxiaohe.train.rollouts import grpo

    caught: dict[str, Any] = {}

    def stopped(trainer: Any, *_: Any) -> None:
        batch = trainer._generate_and_score_completions(
            [{"row": i, "prompt": [{"role": "user", "content": "x"}]} for i in range(8)]
        )
        trainer._images = batch["images"]
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
        mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
        kept = batch["completion_ids"].shape[1]
        trainer.model.eval()
        with torch.no_grad():
            logps, _, _ = trainer._get_per_token_logps_and_entropies(
                trainer.model, ids, mask, kept, batch_size=3
            )
        caught.update(trainer=trainer, batch=batch, logps=logps)
        raise KeyboardInterrupt

    monkeypatch.setattr(grpo, "train", stopped)
    settings = RLSettings(
        model=str(family.folder), parts=Parts(language="lora", lora_r=2, projector=False), max_steps=1,
        per_device_train_batch_size=8, num_generations=2, max_completion_length=6,
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        rl(settings, tmp_path / "o", data=data(family, request))
    trainer, batch, logps = caught["trainer"], caught["batch"], caught["logps"]
    own = families.of(family.processor)
    for i, one in enumerate(trainer.rolled):
        ids = torch.tensor([one.tokens])
        inputs = own.joined(one.features) | own.per_token(ids, family.processor)
        with torch.no_grad():
            alone = family.model(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs).logits[0]
        exact = alone.log_softmax(-1)[one.num_prompt - 1 : -1].gather(1, ids[0, one.num_prompt :, None])[:, 0]
        assert (logps[i][batch["completion_mask"][i].bool()] - exact).abs().max() < 1e-4


def test_agents_are_trained_with_a_tool(
    family: Family, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = data(family, request)
    settings = AgenticSettings(
        model=str(family.folder), parts=Parts(language="lora", lora_r=2, projector=False), max_steps=1,
        per_device_train_batch_size=4, num_generations=2, max_completion_length=8, max_rounds=2,
        form="rwr", retriever=Retriever(path=str(place / "passages.jsonl")), max_length=2048,
    )  # fmt: skip
    found = agentic(settings, tmp_path / "o", data=place)
    assert found["steps"] == 1 and found["rollouts"] == 4


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sft", "rl"])
def test_a_killed_run_goes_on_to_the_same_bits(
    kind: str, family: Family, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of reinforcement learning too where answers with images are generated and only half used."""
    place, name = data(family, request), str(family.folder)
    parts = Parts(language="lora", lora_r=2, projector=False)

    def train(out: Path) -> None:
        with io.publish(out) as draft:
            if kind == "sft":
                settings = FitSettings(
                    model=name,
                    parts=FULL,
                    max_steps=3,
                    save_steps=1,
                    max_length=1024,
                    per_device_train_batch_size=3,
                )
                sft(settings, draft, data=place)
            else:
                rl_settings = RLSettings(
                    model=name, parts=parts, max_steps=3, save_steps=1, num_iterations=2, num_generations=2,
                    per_device_train_batch_size=4, max_completion_length=4,
                )  # fmt: skip
                rl(rl_settings, draft, data=place)

    train(tmp_path / "whole")
    real = resume._save

    def save(trainer: Any, *more: Any) -> None:
        real(trainer, *more)
        if trainer.state.global_step == 1:
            raise Killed

    with monkeypatch.context() as context:
        context.setattr(resume, "_save", save)
        with pytest.raises(Killed):
            train(tmp_path / "killed")
    train(tmp_path / "killed")
    for file in ("metrics.jsonl", "model/model.safetensors"):
        assert io.sha256(tmp_path / "whole" / file) == io.sha256(tmp_path / "killed" / file), file


def test_images_are_compared_by_what_the_model_sees(
    family: Family,
    pictures: tuple[ImageRef, ...],
    mixture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from medxiaohe.train import preferences
    from medxiaohe.train.rollouts.knowledge import vectors

    if family.is_blind:  # refused before weights are loaded
        monkeypatch.setattr(preferences.checkpoint, "load", lambda *_: pytest.fail("weights were loaded"))
        with pytest.raises(DataError, match="no vision tower"):
            preferences.preferences(
                preferences.PreferenceSettings(model=str(family.folder)), tmp_path, data=mixture
            )
        with pytest.raises(DataError, match="no vision tower"):
            vectors(pictures, family.loaded)
        return
    found = vectors([*pictures, pictures[0]], family.loaded)
    assert all(float(one @ one) == pytest.approx(1, abs=1e-5) for one in found)
    assert (found[0] == found[3]).all() and float(found[0] @ found[1]) < 0.99999


def test_a_reward_model_starts_from_the_language_half_with_its_exact_hidden_states(family: Family) -> None:
    from medxiaohe.train.reward_model import classifier

    head, tokenizer = classifier(str(family.folder))
    ids = tokenizer("The patient has fever and cough.", return_tensors="pt")["input_ids"]
    decoder = checkpoint.load(str(family.folder)).model.get_decoder()
    with torch.no_grad():
        own = getattr(head, head.base_model_prefix)(input_ids=ids).last_hidden_state
        assert (own - decoder(input_ids=ids).last_hidden_state).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_vl", "gemma3", "internvl"])
def test_a_reward_model_of_a_family_learns_and_is_loaded_again(
    name: str, families_folder: Path, tmp_path: Path
) -> None:
    from medxiaohe.train.reward_model import Learned, RewardModelSettings, reward_model

    if package := tiny_families.missing(name):
        pytest.skip(f"{name} needs {package}")
    pairs = [{"prompt": f"Question {i}?", "chosen": "Yes, a drug.", "rejected": "no"} for i in range(12)]
    io.write_jsonl(tmp_path / "pairs.jsonl", pairs)
    settings = RewardModelSettings(
        model=str(tiny_families.build(name, families_folder)),
        max_steps=3,
        learning_rate=1e-3,
        invariant=False,
    )
    found = reward_model(settings, tmp_path / "o", data=tmp_path)
    assert found["held_out"] >= 1
    (reward,) = Learned(tmp_path / "o" / "model").rewards([("Question 1?", "Yes, a drug.")])
    assert reward == reward and abs(reward) < 1e3


def test_workers_that_render_ahead_change_no_bit(tiny_vlm: Path, mixture: Path, tmp_path: Path) -> None:
    for workers in (0, 2):
        settings = FitSettings(
            model=str(tiny_vlm), parts=FULL, max_steps=3, per_device_train_batch_size=2,
            dataloader_num_workers=workers,
        )  # fmt: skip
        sft(settings, tmp_path / str(workers), data=mixture)
    files = [tmp_path / str(workers) / "model" / "model.safetensors" for workers in (0, 2)]
    assert io.sha256(files[0]) == io.sha256(files[1])


def test_rows_are_counted_without_opening_images_and_oversized_ones_dropped(
    tiny_vlm: Path, mixture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medxiaohe.train.loop import rows as rows_file

    opened: list[str] = []
    real = rows_file.images.open_image
    monkeypatch.setattr(rows_file, "COMPARED", 1)
    monkeypatch.setattr(rows_file.images, "open_image", lambda ref: (opened.append(ref.uri), real(ref))[1])
    file = tmp_path / "rows.jsonl"
    io.write_jsonl(file, list(io.read_samples(mixture / "instructions.jsonl")) * 4)
    processor = checkpoint.processor(str(tiny_vlm))
    rows = Rows(file, processor, Reading(str(tiny_vlm), 4096), "count")
    assert len(rows) == 24 and len(opened) <= 4
    for number, tokens in enumerate(rows.tokens):
        assert tokens == len(rows.row(number).tokens)
    longest = max(tokens for tokens, seen in zip(rows.tokens, rows.images, strict=True) if seen)
    reading = Reading(str(tiny_vlm), longest - 1)
    with pytest.raises(DataError, match="raise max_length, or set oversize to drop"):
        Rows(file, processor, reading, "count")
    fewer = Rows(file, processor, replace(reading, oversize="drop"), "count")
    assert fewer.index.dropped == 4 and len(fewer) == 20
    assert all(tokens < longest or not seen for tokens, seen in zip(fewer.tokens, fewer.images, strict=True))


def test_a_processor_whose_arithmetic_is_wrong_is_counted_by_its_render(
    tiny_vlm: Path, mixture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = checkpoint.processor(str(tiny_vlm))
    own = families.of(processor)
    wrong = replace(own, expanded=lambda processor, sizes: [processor.image_token] * len(sizes))
    monkeypatch.setattr(families, "of", lambda _: wrong)
    rows = Rows(mixture / "instructions.jsonl", processor, Reading(str(tiny_vlm), 4096), "count")
    assert all(tokens == len(rows.row(number).tokens) for number, tokens in enumerate(rows.tokens))


def test_images_are_made_smaller_where_the_processor_resizes_by_area(
    family: Family, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """In the tokens that are counted, in the pixels, and in what the checkpoint says to whoever loads it."""
    settings = FitSettings(
        model=str(family.folder), parts=Parts(language="lora", lora_r=2), max_steps=1, max_length=1024,
        max_pixels=64 * 64,
    )  # fmt: skip
    place = data(family, request)
    if not family.name.startswith("qwen") or family.is_blind:
        with pytest.raises(ConfigError, match="does not resize images by their area"):
            sft(settings, tmp_path / "o", data=place)
        return
    whole = sft(replace(settings, max_pixels=0), tmp_path / "whole", data=place)["tokens"]
    assert sft(settings, tmp_path / "o", data=place)["tokens"] < whole
    again = checkpoint.processor(str(tmp_path / "o" / "model"))
    assert again.image_processor.size["longest_edge"] == 64 * 64
