"""The one file that says everything about a conversion: TOML, a table a stage, every key checked by name."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_type_hints

from spikingbrain.convert.hybrid.form import Alternating, Hybrid, Parallel
from spikingbrain.convert.measure.program_tasks import TASKS
from spikingbrain.convert.trunk.reach import Reach, reach_of
from spikingbrain.rules import ConfigError, require, require_choice, require_count, require_positive

FORMS = {
    "evicted": ("mixer", "salience", "recall", "programs", "spikes", "spike_distil"),
    "alternating": ("alternating", "export"),
    "parallel": ("parallel", "export"),
}
"""By form, the tables that belong to some forms only."""

GGUF_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1")


@dataclass(frozen=True, kw_only=True)
class Data:
    packages: tuple[str, ...] = ()
    """Debian packages to train on."""
    held_out_packages: tuple[str, ...] = ()
    """Debian packages that only evaluation reads."""
    files: tuple[str, ...] = ()
    """More training text: files or folders, see `data/text/documents.py`."""
    held_out_files: tuple[str, ...] = ()
    text_field: str = "text"
    """Where records of JSON lines and parquet have their text."""
    source_field: str = "source"
    """Where they have what held-out documents are told apart by, if at all."""
    most_characters: int = 2_500_000
    """Of one package, so that none outweighs the others."""
    languages: tuple[str, ...] = ("english",)
    """Whose documents are taken from packages: `english`, `chinese`."""
    chat_kinds: tuple[str, ...] = ("english",)
    """What chats are about, one kind after another: see `data/questions.py`."""
    chats: int = 48
    """That the teacher writes for training."""
    chat_tokens: int = 1_088
    held_out_chats: int = 52
    held_out_chat_tokens: int = 704
    temperature: float = 0.8
    """At which chats are sampled."""
    copies: int = 0
    """Conversations about facts that were told long before, see `data/copies.py`."""
    copies_between: tuple[int, ...] = (620, 1_600)
    """Least and most tokens of training text between a fact and the question; the window should be shorter."""


@dataclass(frozen=True, kw_only=True)
class Shares:
    """What a stage reads beside documents."""

    chat_share: float = 0.0
    """Of sequences that are chats."""
    copies_share: float = 0.0
    """Of sequences that are conversations about facts told long before (`data.copies`); `distil` learns their answers only."""


@dataclass(frozen=True, kw_only=True)
class Mixer:
    window: int = 512
    kept: int = 4
    sink_cap: int = 2_048
    salient: int = 256
    salience_half_life: int = 2_048


@dataclass(frozen=True, kw_only=True)
class Salience(Shares):
    """What is read to find out which tokens will be asked for."""

    sequences: int = 48
    tokens: int = 2_048
    """Of one sequence."""


@dataclass(frozen=True, kw_only=True)
class Training(Shares):
    steps: int
    sequences: int
    """Of one step."""
    tokens: int
    """Of one sequence."""
    rate_factor: float
    """Scales all learning rates."""


@dataclass(frozen=True, kw_only=True)
class Supervised:
    """Fine-tuning on given answers; without steps it is passed by. Other fields are as in `Training`."""

    steps: int = 0
    sequences: int = 2
    tokens: int = 2_048
    rate_factor: float = 0.1
    files: tuple[str, ...] = ()
    """Conversations: JSON lines or parquet, see `data/conversations.py`."""
    messages_field: str = "messages"
    """Where a record has its messages."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    documents: int = 20
    document_tokens: int = 4_096
    chats: int = 50
    teacher_tokens: int = 2_048
    """How much of a text the teacher reads, whose cost grows with the square."""
    far_documents: int = 4
    far_positions: tuple[int, ...] = (8_192, 32_768, 200_000)
    """How much other text `far` reads before the documents."""
    ablation_documents: int = 0
    """That `ablate` reads, as far as the teacher does; without any it is passed by."""


@dataclass(frozen=True, kw_only=True)
class Recall:
    needles: int = 10
    """Numbers that are told and asked for, at each distance."""
    distances: tuple[int, ...] = (100, 300, 1_000, 3_000)
    """Tokens between the two."""


@dataclass(frozen=True, kw_only=True)
class Programs:
    """Small functions that the model writes and that are run; without any the stage is passed by."""

    count: int = 0
    tokens: int = 320
    """Of an answer, at most."""


@dataclass(frozen=True, kw_only=True)
class Spikes(Shares):
    ks: tuple[float, ...] = (0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0)
    """That every site is tried with: a token's threshold is `mean(|x|) / k`."""
    budgets: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
    """Divergences, nats a token, that all sites together may cost: a point of the curve each."""
    chosen: float = 0.02
    """The budget of the spiking variant that is exported."""
    sequences: int = 4
    """That trials read."""
    tokens: int = 1_024
    """Of one sequence."""
    chat_share: float = 0.4
    documents: int = 6
    """Held out, whose perplexity each point of the curve gives."""
    document_tokens: int = 2_048


@dataclass(frozen=True, kw_only=True)
class SpikeDistil(Shares):
    """Training through spikes; without points it is passed by."""

    active: tuple[float, ...] = ()
    """Shares of the multiply-accumulates that thresholds leave active, falling: a point of the curve each, trained one after another."""
    steps: int = 100
    """Of each point."""
    sequences: int = 1
    """Of one step."""
    tokens: int = 512
    """Of one sequence, at most the window."""
    rate_factor: float = 1.0
    chat_share: float = 0.3
    matrices: bool = False
    """Whether the scales of the matrices are trained beside the norms (`trunk/tuning.py`)."""
    chosen: float = 0.0
    """The point that is exported as the spiking variant; 0 for none: the calibrated one is."""


@dataclass(frozen=True, kw_only=True)
class Export:
    type: str = "bf16"
    """Of the matrices in the GGUF."""


@dataclass(frozen=True, kw_only=True)
class TeamSettings:
    shard: bool = False
    """Whether the processes of `torchrun` share out all weights in the training stages, or each holds them all."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    name: str
    """Of the model that comes of it."""
    teacher: Path
    """A Hugging Face folder or a GGUF; relative paths start at the settings' folder."""
    work: Path
    """Where every stage keeps what it made."""
    transfer: Training
    distil: Training
    sft: Supervised = field(default_factory=Supervised)
    form: str = "evicted"
    """What becomes of attention: `evicted` keeps it as a window with a trained branch; see `hybrid/form.py` for the others."""
    seed: int = 0
    data: Data = field(default_factory=Data)
    mixer: Mixer = field(default_factory=Mixer)
    salience: Salience = field(default_factory=Salience)
    alternating: Alternating = field(default_factory=Alternating)
    parallel: Parallel = field(default_factory=Parallel)
    evaluation: Evaluation = field(default_factory=Evaluation)
    recall: Recall = field(default_factory=Recall)
    programs: Programs = field(default_factory=Programs)
    spikes: Spikes = field(default_factory=Spikes)
    spike_distil: SpikeDistil = field(default_factory=SpikeDistil)
    export: Export = field(default_factory=Export)
    team: TeamSettings = field(default_factory=TeamSettings)

    def __post_init__(self) -> None:
        require_choice("form", self.form, list(FORMS))
        require_choice("export.type", self.export.type, GGUF_TYPES)
        if self.hybrid is not None:
            self.hybrid.check(self.form)
        stages: list[tuple[str, Training | Supervised]] = [("transfer", self.transfer), ("distil", self.distil)]
        if self.sft.steps != 0:
            require(len(self.sft.files) > 0, "sft.files", "at least one where there are steps", self.sft.files)
            stages.append(("sft", self.sft))
        for table, training in stages:
            require_count(f"{table}.steps", training.steps, least=0)
            require_count(f"{table}.sequences", training.sequences)
            require_count(f"{table}.tokens", training.tokens, least=max(self.begin, self.reach.kept) + 2, most=self.reach.sink_cap + 1)
            require_positive(f"{table}.rate_factor", training.rate_factor)
        trained = "at least 1 in a training stage where the form is another than evicted"
        require(self.is_trained or self.hybrid is None, "transfer.steps", trained, self.transfer.steps)
        self._check_shares()
        require_count("salience.sequences", self.salience.sequences)
        require_count("programs.count", self.programs.count, least=0, most=len(TASKS))
        if self.programs.count > 0:
            require_count("programs.tokens", self.programs.tokens, most=self.reach.window // 2)
        self._check_spike_distil()
        shared = set(self.data.packages) & set(self.data.held_out_packages)
        require(not shared, "data.held_out_packages", "other packages than data.packages", sorted(shared))

    def _check_shares(self) -> None:
        between = self.data.copies_between
        least_and_most = len(between) == 2 and 0 < between[0] < between[1]
        require(least_and_most, "data.copies_between", "two counts of tokens, the second greater", between)
        require_count("data.copies", self.data.copies, least=0)
        for table in ("salience", "transfer", "distil", "spikes", "spike_distil"):
            shares, name = cast(Shares, getattr(self, table)), f"{table}.copies_share"
            require(0 <= shares.chat_share <= 1, f"{table}.chat_share", "from 0 to 1", shares.chat_share)
            require(0 <= shares.copies_share <= 1 - shares.chat_share, name, "from 0 to what chats leave", shares.copies_share)
            require(shares.copies_share == 0 or self.data.copies > 0, name, "0 where data.copies is", shares.copies_share)

    def _check_spike_distil(self) -> None:
        stage = self.spike_distil
        falling = all(before > after for before, after in pairwise((1.0, *stage.active, 0.0)))
        require(falling, "spike_distil.active", "falling shares between 0 and 1", stage.active)
        require(stage.chosen in (0, *stage.active), "spike_distil.chosen", f"0 or one of {list(stage.active)}", stage.chosen)
        if not stage.active:
            return
        require_count("spike_distil.steps", stage.steps)
        require_count("spike_distil.sequences", stage.sequences)
        require_count("spike_distil.tokens", stage.tokens, least=2, most=self.reach.window)
        require_positive("spike_distil.rate_factor", stage.rate_factor)

    @property
    def hybrid(self) -> Hybrid | None:
        """The form, unless it is `evicted`."""
        return {"alternating": self.alternating, "parallel": self.parallel}.get(self.form)

    @property
    def reach(self) -> Reach:
        return Reach(**asdict(self.mixer)) if self.hybrid is None else reach_of(self.hybrid.window, self.hybrid.kept)

    @property
    def is_trained(self) -> bool:
        """Whether any stage trains. Else only what is fitted by other means is new: which evicted tokens are kept exactly."""
        return self.transfer.steps + self.distil.steps + self.sft.steps > 0

    @property
    def begin(self) -> int:
        """The first position at which the model may differ from the teacher."""
        return self.reach.window + self.reach.kept if self.hybrid is None else 0


def read_settings(path: Path) -> Settings:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(str(path), "a TOML file", str(error)) from error
    for key in ("teacher", "work"):
        if isinstance(values.get(key), str):
            values[key] = str(path.parent / values[key])
    settings: Settings = _made(Settings, values, "")
    for table in {table for tables in FORMS.values() for table in tables} - set(FORMS[settings.form]):
        require(table not in values, table, f"absent where the form is '{settings.form}'", values.get(table))
    return settings


def _made(kind: Any, values: Mapping[str, Any], at: str) -> Any:  # noqa: ANN401 (one of the dataclasses above)
    """A dataclass of a table; its fields' types say what a value must be."""
    known, hints = {each.name: each for each in fields(kind)}, get_type_hints(kind)
    for name in values:
        require(name in known, f"{at}{name}", f"one of {sorted(known)}", values[name])
    for name, each in known.items():
        required = each.default is MISSING and each.default_factory is MISSING
        require(name in values or not required, f"{at}{name}", "given", None)
    return kind(**{name: _value(hints[name], value, f"{at}{name}") for name, value in values.items()})


def _value(hint: Any, value: Any, name: str) -> Any:  # noqa: ANN401
    if hasattr(hint, "__dataclass_fields__"):
        require(isinstance(value, dict), name, "a table", value)
        return _made(hint, value, f"{name}.")
    if hint is Path:
        require(isinstance(value, str), name, "a path", value)
        return Path(value)
    if hint == tuple[str, ...]:
        require(isinstance(value, list) and all(isinstance(item, str) for item in value), name, "a list of strings", value)
        return tuple(value)
    if hint == tuple[float, ...]:
        require(isinstance(value, list) and all(type(item) in (int, float) for item in value), name, "a list of numbers", value)
        return tuple(float(item) for item in value)
    if hint == tuple[int, ...]:
        require(isinstance(value, list) and all(type(item) is int for item in value), name, "a list of integers", value)
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    require(type(value) is hint, name, f"a value of type {hint.__name__}", value)
    return value
