"""Shared data types of medxiaohe. Every folder uses these types and no others.

    reader  -> Sample -> filters, mixture -> Sample -> train -> a model
    Task    = samples + scorers (+ tools): the same object is a benchmark and an RL environment
    Sample.prompt -> Prompt (no gold in it) -> workflow(prompt, model, tools) -> Trace
    scorer(sample, trace) -> Score
    retrieval and tools -> Evidence -> cited by reports

This module imports the standard library only, and nothing from medxiaohe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

Role = Literal["document", "system", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = ("document", "system", "user", "assistant", "tool")
TRAINED_ROLES = ("document", "assistant")  # the only roles that carry loss

Split = Literal["", "train", "validation", "test"]
HELD_OUT: tuple[Split, ...] = ("validation", "test")  # splits that nothing is trained on
SPLITS: tuple[str, ...] = ("", "train", "validation", "test")


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Reference to an image file, frame and box; it holds no pixels, which `images.open_image` decodes.

    `uri` is a file path (absolute, or relative to the file that names it before reading).
    `sha256` is the digest of the file's bytes at ingest; a later change is an error.
    """

    uri: str
    sha256: str = ""
    frame: int | None = None  # page of a PDF, slice of a volume, frame of a video
    box: tuple[int, int, int, int] | None = None  # crop in pixels: left, top, right, bottom


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A request of a model to run a tool."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Locator:
    """Position of a piece of evidence in its source: a span of text, a box of an image, a frame, a view."""

    span: tuple[int, int] | None = None  # start and end in code points of the source's text
    box: tuple[int, int, int, int] | None = None  # left, top, right, bottom in pixels of the original image
    frame: int | None = None  # page of a PDF, slice of a volume, frame of a video; from 0
    view: str = ""  # how pixels were computed from stored values: "ct:lung/axial", "as_is"


EvidenceKind = Literal[
    "passage", "relation", "region", "measurement", "calculation", "entity", "prior", "record", "turn"
]
EVIDENCE_KINDS: tuple[str, ...] = (
    "passage", "relation", "region", "measurement", "calculation", "entity", "prior", "record", "turn",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evidence:
    """A passage, region, measurement or relation that an answer may cite."""

    id: str
    text: str
    source: str
    images: tuple[ImageRef, ...] = ()
    score: float = 0.0  # of the retrieval that returned it; larger is better
    kind: EvidenceKind = "passage"
    sha256: str = ""  # of the full source that it was cut from
    at: Locator | None = None
    by: str = ""  # the step or tool that produced it
    level: str = ""  # authority, A (guideline) to E (anecdote); "" for not graded
    license: str = ""
    date: str = ""  # of the source, ISO 8601


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a tool call: what the model reads, and what the trace records."""

    call_id: str
    parts: tuple[str | ImageRef, ...]
    evidence: tuple[Evidence, ...] = ()
    error: str = ""  # shown to the model, which may recover
    data: Any = None  # the same as JSON, where the tool returned fields and not text


Part = str | ImageRef | ToolCall | ToolResult


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation: a role and its parts."""

    role: Role
    parts: tuple[Part, ...]
    error: str = ""  # why there is no reply: the model or its server failed; never part of a prompt

    def __post_init__(self) -> None:
        if isinstance(self.parts, str):  # a str is a sequence of characters, and each would be a part
            raise TypeError(
                f"Message.parts is a tuple of parts: write Message({self.role!r}, ({self.parts[:40]!r},))"
            )

    @property
    def text(self) -> str:
        """The text parts, joined by line breaks.

        Returns:
            "" where no part is text.
        """
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def images(self) -> tuple[ImageRef, ...]:
        """The images among the parts.

        Returns:
            in order; images inside tool results are not among them.
        """
        return tuple(part for part in self.parts if isinstance(part, ImageRef))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls among the parts.

        Returns:
            in order.
        """
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


@dataclass(frozen=True, slots=True)
class Prompt:
    """The part of a sample that a model may see: everything but the gold answer."""

    id: str
    messages: tuple[Message, ...]
    choices: tuple[str, ...] = ()
    # those of the sample: for the workflow, never sent unchanged
    facts: Mapping[str, Any] = field(default_factory=dict)


class Mention(NamedTuple):
    """A mention of an entity that an annotator marked; offsets are code points of `Sample.text`."""

    start: int
    end: int
    surface: str  # the text between the two
    kind: str  # as the annotator called it: "Disease", "Chemical"
    ids: str = ""  # concept ids as written: "D001943|D010051"


@dataclass(frozen=True, slots=True)
class Medical:
    """Probability that a text is about medicine, by the classifier of data.classify."""

    probability: float
    round: int


@dataclass(frozen=True, slots=True)
class Annotations:
    """Annotations of a row by people and programs, which code of medxiaohe reads; no prompt has them."""

    mentions: tuple[Mention, ...] = ()
    publication_types: tuple[str, ...] = ()  # of PubMed
    reviewed: str = ""  # who reviewed the row; "yes" where that is all there is
    nodes: tuple[str, ...] = ()  # of the tree, that the row was found or written for
    medical: Medical | None = None
    alignment: Mapping[str, Any] = field(default_factory=dict)  # what data.align checked
    # {gold, row}: what the metrics of a task file of lm-eval or lmms-eval read (tasks/_lm_eval/metrics.py)
    harness: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Origin of a synthetic row, for the checks and pages that read it; no prompt has it."""

    made: str = ""  # card, caption, choice, path
    facts: tuple[Mapping[str, Any], ...] = ()  # the row states, each with its source
    by: Mapping[str, Any] = field(default_factory=dict)  # {"writer": "template"}, or the record of a teacher
    made_of: str = ""  # id of the row it was made of
    made_of_source: str = ""
    asks: str = ""  # what a choice asks for
    options: tuple[str, ...] = ()  # ids of the entities among which to choose, in order
    answer: str = ""  # id of the entity that is right
    evidence: str = ""  # text that the answer rests on
    path: Mapping[str, Any] | None = None  # a walk through the tree
    chain: str = ""  # length of the thought: none, short, long
    gates: tuple[str, ...] = ()  # checks it passed


@dataclass(frozen=True, slots=True)
class Sample:
    """One training or evaluation item, from the reader that makes it to the loss or the score.

    A pretraining page is a Sample whose single message has the role `document`.
    An instruction ends with an `assistant` message, which is the gold answer in words;
    `target` is the gold answer as the scorer of its task wants it ("B", "yes", "7.4").
    """

    id: str
    messages: tuple[Message, ...]
    target: str = ""
    choices: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()  # ids of tree nodes mentioned
    source: str = ""  # name of the corpus or task it comes from
    license: str = ""
    patient_id: str = ""
    study_id: str = ""  # study, article or case: the unit that never straddles a split
    split: Split = ""
    meta: Mapping[str, Any] = field(
        default_factory=dict
    )  # free: no code reads a key that a user did not name
    # facts that a simulated patient or user knows and may state: never the gold
    facts: Mapping[str, Any] = field(default_factory=dict)
    annotations: Annotations = Annotations()
    provenance: Provenance = Provenance()

    @property
    def is_document(self) -> bool:
        """Whether the sample is a pretraining page.

        Returns:
            True where some message has the role `document`.
        """
        return any(message.role == "document" for message in self.messages)

    @property
    def images(self) -> tuple[ImageRef, ...]:
        """The images of all messages.

        Returns:
            in order of the messages and their parts.
        """
        return tuple(image for message in self.messages for image in message.images)

    @property
    def text(self) -> str:
        """The text of all messages, gold included.

        Returns:
            joined by line breaks.
        """
        return "\n".join(message.text for message in self.messages)

    @property
    def prompt(self) -> Prompt:
        """The sample without its gold: no final assistant message, no target, no metadata.

        Returns:
            a Prompt: id, messages, choices and facts
        """
        gold_last = bool(self.messages) and self.messages[-1].role == "assistant"
        return Prompt(self.id, self.messages[:-1] if gold_last else self.messages, self.choices, self.facts)


Need = Literal["image", "text", "prior", "none"]
Label = Literal["supported", "contradicted", "unsupported", "unjudged"]
StopReason = Literal["", "answered", "budget", "refused", "failed"]
STEP_KINDS: tuple[str, ...] = ("ask", "rank", "use", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of a claim about a patient, in fields that can be compared."""

    name: str  # of the entity, as the tree or the lexicon has it
    status: str = "present"  # present, absent, uncertain
    side: str = ""  # left, right, both
    degree: str = ""  # mild, moderate, severe
    location: str = ""  # body locations, separated by ", "
    person: str = "patient"  # or family, other
    time: str = ""  # acute, chronic
    change: str = ""  # new, larger, smaller, stable
    size_mm: float | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One checkable statement of an answer."""

    id: str
    text: str
    at: tuple[int, int] | None = None  # start and end in code points of the answer
    evidence: tuple[str, ...] = ()  # ids of Evidence it cites
    finding: Finding | None = None
    needs: Need = "text"  # what could support it


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict of one verifier on one claim."""

    claim: str  # id of the Claim
    label: Label
    evidence: tuple[str, ...] = ()  # ids of the Evidence it rests on
    by: str = ""  # name of the verifier
    why: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a workflow and its result, in the order in which requests were made."""

    n: int  # from 0
    kind: Literal["ask", "rank", "use", "note"]
    who: str  # role, or name of the tool or note
    model: str = ""
    after: tuple[int, ...] = ()  # numbers of the steps whose results it could depend on
    given: Any = None  # the request: messages, arguments
    got: Any = None  # what came back: a Message, a ToolResult, negative log-likelihoods
    tokens_in: int = 0
    tokens_out: int = 0
    digest: str = ""  # of the request, images by their bytes


@dataclass(frozen=True, slots=True)
class Trace:
    """Record of a workflow on one prompt: what we score, show and train on.

    `evidence` is derived from the messages and steps: a workflow can neither forget nor invent it.
    """

    prompt: Prompt
    messages: tuple[Message, ...]  # the whole conversation, the prompt's messages included
    error: str = ""
    steps: tuple[Step, ...] = ()
    claims: tuple[Claim, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    stop: StopReason = ""
    # digests of what produced it: model, tree, tools, stores, prompt, settings, versions
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def answer(self) -> str:
        """Text of the last assistant message.

        Returns:
            what scorers read
        """
        replies = [m.text for m in self.messages if m.role == "assistant"]
        return replies[-1] if replies else ""

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Evidence of every tool result of the steps and of the workflow's own messages, each id once.

        Returns:
            in the order in which the tools returned it
        """
        own = self.messages[len(self.prompt.messages) :]
        results = [part for message in own for part in message.parts if isinstance(part, ToolResult)]
        results = [s.got for s in self.steps if isinstance(s.got, ToolResult)] + results
        return tuple({item.id: item for result in results for item in result.evidence}.values())


Status = Literal["judged", "unparsed", "refused", "truncated", "unjudged", "error"]


@dataclass(frozen=True, slots=True)
class Score:
    """One judgement of one trace.

    `judged`: value is what the scorer says. `unparsed`, `refused` and `truncated` (the reply stops
    before its answer): the model gave no usable answer, value is 0 and the item stays in every mean.
    `unjudged`: the judge failed, value is
    None; the item is counted beside the mean and never averaged in. `error`: there is no answer,
    because the server of the model failed on this item; value is None, counted and never averaged in.
    """

    name: str
    value: float | None
    status: Status = "judged"
    parsed: str = ""  # the answer as parsed
    why: str = ""


@dataclass(frozen=True, slots=True)
class Entity:
    """A node of the Medical Entity Tree."""

    id: str
    name: str
    kind: str  # disease, anatomy, phenotype, chemical, procedure, ...
    parents: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()  # other names of the same thing: exact, lay and abbreviated ones
    definition: str = ""
    xrefs: tuple[str, ...] = ()
    source: str = ""
    license: str = ""
    lay: tuple[str, ...] = ()  # those of the synonyms that patients use
    abbreviations: tuple[str, ...] = ()  # those of the synonyms that are abbreviations
    related: tuple[str, ...] = ()  # names of related entities; not searched for in texts
    sources: tuple[str, ...] = ()  # every vocabulary that has this entity


@dataclass(frozen=True, slots=True)
class Match:
    """A mapping between two vocabularies: how two ids relate; "exact" means that they name one thing."""

    a: str
    b: str
    predicate: str = "exact"  # exact, close, broad, narrow, related
    source: str = ""
    license: str = ""


@dataclass(frozen=True, slots=True)
class Relation:
    """A fact between two entities, such as disease - has phenotype - sign, or a number about one."""

    subject: str
    predicate: str
    object: str = ""  # "" when the value is about the subject alone
    value: float | None = None  # a frequency between 0 and 1, an information content in nats
    source: str = ""
    license: str = ""


Scorer = Callable[[Sample, Trace], Score]


Effects = Literal["none", "reads", "writes"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call. Build one with `tools.tool`, not by hand; call it with
    `tools.toolbox.call_tool`."""

    name: str
    description: str
    parameters: Mapping[str, Any]  # JSON schema
    run: Callable[..., ToolResult]
    version: str = "1"
    pure: bool = True  # the same arguments give the same result, so a replay may call it again
    effects: Effects = "none"  # on anything but its result: reads or writes files or services
    example: Mapping[str, Any] = field(default_factory=dict)  # arguments that work
    # resources that `run` gets by keyword from the toolbox, never from the model: `images`, `library`
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()  # resources that have a default
    seconds: float = 30.0  # time limit of one call


class Model(Protocol):
    """A backend: answers conversations. Batched, because real engines are."""

    name: str

    def reply(self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[Message]:
        """Answer a batch of conversations.

        Args:
            conversations: each a sequence of messages that ends with what is answered.
            tools: functions that the model may call in its reply.

        Returns:
            assistant messages: text, tool calls or both; `error` says why there is none
        """
        ...


Workflow = Callable[[Sequence[Prompt], Model, Sequence[Tool]], list[Trace]]
Reader = Callable[..., Iterable[Sample]]
Filter = Callable[[Sample], str]  # the reason of the drop, or "" to keep it


@dataclass(frozen=True, slots=True)
class Task:
    """Samples plus the way to judge them. `evals` reports its scores, `train.rl` maximises them."""

    name: str
    samples: Callable[[str], Iterable[Sample]]  # split -> samples
    scorers: tuple[Scorer, ...]
    example: Sample  # one hand-made item: documentation, and what the contract tests score
    license: str
    access: Literal["public", "gated", "private"] = "public"
    tools: tuple[str, ...] = ()
    workflow: str = "answer"
    gold: Callable[[Sample], str] = lambda sample: sample.target  # an answer that must score 1
    prompt: str = ""  # name of the way to ask; `tasks.prompt_id` adds a hash of the words
    cluster: str = ""  # what patient_id or study_id stands for: patient, study, article, case, question
    splits: tuple[str, ...] = ("train", "validation", "test")  # those there are
    # split -> `tasks.fingerprint` of the data this was written with
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()  # text or image, language, suite: what results are grouped by
    # what its tools work on, by name: a value, or a function that returns it (tools.toolbox.open_tools)
    resources: Mapping[str, Any] = field(default_factory=dict)
