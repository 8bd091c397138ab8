"""A study: its conditions, its requests, and the rollouts that it plans."""

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, ValidationInfo

from afanalysis.errors import InputError
from afanalysis.study import prompts
from afanalysis.study.completion import ScratchpadFrom
from afanalysis.study.files import read_text, read_yaml
from afanalysis.study.folders import NAME
from afanalysis.study.hashing import stable_key
from afanalysis.study.prompts import Request
from afanalysis.table.schema import SCHEMA, TAKEN, BlockedCount
from afanalysis.text.untrusted import escape_invisible, excerpt

Tier = Literal["free", "paid"]

# What the package's own tiers imply.
_ROLES = {"free": "training", "paid": "unmonitored"}

# What the API's safety classifiers can stop a request for (types/refusal_stop_details.py of SDK 2.13.0).
BlockedFor = Literal["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"]

# A proportion for each tier; one number holds for both.
TierRates = Annotated[
    dict[Tier, Annotated[float, Field(ge=0, le=1)]],
    BeforeValidator(lambda rate: rate if isinstance(rate, dict) else {"free": rate, "paid": rate}),
]

# No study has more samples, and no answer more tokens.
MAX_COUNT = 1_000_000


def _placed(path: Path, info: ValidationInfo) -> Path:
    if "\0" in str(path):
        raise ValueError("no file's name holds a null byte")
    return (info.context["folder"] / path).resolve() if info.context else path


# A path that a user's file names; it is relative to that file's folder, if `checked` is told which.
NamedPath = Annotated[Path, AfterValidator(_placed)]


# What the package itself sends, which no passthrough may replace.
_OWN_FIELDS = {"model", "messages", "system", "stream", "max_tokens", "temperature", "thinking"}


def _no_own_fields(extra: dict[str, pydantic.JsonValue]) -> dict[str, pydantic.JsonValue]:
    if own := sorted(_OWN_FIELDS & extra.keys()):
        raise ValueError(f"{own[0]} is not for `extra`; it holds what only other servers know")
    return extra


def _each_once(values: list[str]) -> list[str]:
    [(value, times)] = Counter(values).most_common(1)
    if times > 1:
        raise ValueError(f"{excerpt(value)} is listed twice; list each once")
    return values


Item = TypeVar("Item", bound=str)

# The names of what a study defines; those of questions are columns of its table.
OwnName = Annotated[str, Field(pattern=NAME)]
QuestionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]

# What in a variation changes no part of a system prompt.
_NO_EDITS = {"about", "published", "tag", "scratchpad", "files"}

Words = Annotated[str, Field(min_length=1)]

# A list that holds something, and nothing twice.
EachOnce = Annotated[list[Item], Field(min_length=1), AfterValidator(_each_once)]

# Fields of an endpoint that must not hold a key: their forms, and what those are; headers that hold one.
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,100}$"
_ADDRESS = r"(?i)^https?://(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?(/[^\s@?#]*)?$"
_FORMS = {
    _VARIABLE: "the NAME of an environment variable, never the key itself",
    _ADDRESS: "an address such as http://127.0.0.1:8000, without login or query",
}
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.I)


class FilePart(BaseModel, extra="forbid", frozen=True):
    """What a user's file, or a part of it, is read into."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _known_fields(cls, content: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items() if not field.exclude]
        for name in content if isinstance(content, dict) else ():
            if name not in known:
                field = escape_invisible(str(name), 200)
                raise ValueError(f"{field} is not a field here; use any of: {', '.join(known)}")
        return content

    @classmethod
    def checked(
        cls, content: dict[str, Any], place: object, advice: str = "", folder: Path | None = None
    ) -> Self:
        """The content of a file; a problem with it is an `InputError` that begins with the place."""
        try:
            return cls.model_validate(content, context=folder and {"folder": folder})
        except ValidationError as error:
            raise InputError(f"{place}: {_first_problem(error)}{advice}") from error


class Definition(FilePart):
    """What a study file defines of its own, in it or in a file that it names."""

    _file: Path | None = None

    @classmethod
    def read(cls, content: Any, info: ValidationInfo) -> Any:
        """What a definition is made from: its content, or what the file holds that is named."""
        if not isinstance(content, str):
            return content
        path = _placed(Path(content), info)
        made = cls.checked(read_yaml(path, "a mapping"), path, folder=path.parent)
        made._file = path
        return made


def _explains_both(judge: str, info: ValidationInfo) -> str:
    for word in info.data.get("behaviours", ()):
        if word not in judge:
            raise ValueError(f"does not hold {excerpt(word)}; say which outputs are that")
    return judge


class OwnSetting(Definition):
    """A setting of a study's own, in the form of the package's own in `prompts/`.

    Attributes
    ----------
    parts
        The parts of its system prompt, in order; variations drop, replace and edit them by name.
    requests
        Its requests: a CSV file, as for `prompts`.
    behaviours
        The judge's words for (complied, not complied).
    judge
        What the judge is told of them: which outputs are which.
    asked
        What the judge calls a request.
    """

    parts: dict[str, str] = Field(min_length=1)
    requests: NamedPath
    behaviours: Annotated[EachOnce[Words], Field(min_length=2, max_length=2)]
    judge: Annotated[str, AfterValidator(_explains_both)]
    asked: str = "request"


class OwnVariation(Definition):
    """A variation of a study's own, in the form of the package's own in `prompts/variations.yaml`.

    Attributes
    ----------
    about
        What it is, for readers.
    drop, replace
        The parts of the system prompt that are left out, and those that have another text.
    substitute
        Words, and what stands in their place throughout.
    add
        A part that comes before the one named `format`, or last.
    tag
        How a message names its tier: the tag's `name`, and what it holds in each tier.
    scratchpad
        Which text the scratchpad is.
    files
        By setting, a file with the whole system prompt.
    """

    about: str = ""
    drop: list[str] = Field(default_factory=list)
    replace: dict[str, str] = Field(default_factory=dict)
    substitute: dict[Words, str] = Field(default_factory=dict)
    add: str = ""
    tag: dict[Literal["name", "free", "paid"], str] | None = Field(default=None, min_length=3)
    scratchpad: ScratchpadFrom | None = None
    files: dict[str, NamedPath] = Field(default_factory=dict)


class Question(FilePart):
    """A yes/no question of a study's own about one text of each rollout."""

    about: Literal["scratchpad", "output"]
    question: Words


class OwnTier(FilePart):
    """A tier of a study's own, or one of the package's with another tag.

    Attributes
    ----------
    tag
        What stands before the request in the user message.
    role
        What it implies: `training`, as the tier `free` does, or `unmonitored`, as `paid` does.
    """

    tag: Words
    role: Literal["training", "unmonitored"] = Field(default="", validate_default=True)


class PromptList(FilePart):
    """Which requests a setting uses: the package's own list or a CSV file, all or the first few."""

    file: NamedPath | None = None
    first: int | None = Field(default=None, ge=1, le=MAX_COUNT)


class Sampling(FilePart):
    """How answers are sampled; settings left out are not sent, so the model's defaults apply.

    Attributes
    ----------
    max_tokens
        The most tokens of an answer, its thinking included.
    temperature
        Newer API versions accept none; see `api_version`.
    thinking
        As the API takes it, such as `{type: adaptive, display: summarized}`.
    effort
        How much the model thinks and writes.
    extra
        Fields of other servers, such as `top_k` or `min_p`.
    api_version
        The header `anthropic-version`; by default the SDK's.
    """

    max_tokens: int = Field(default=16_000, ge=1, le=MAX_COUNT)
    temperature: float | None = Field(default=None, ge=0, le=1)
    thinking: dict[str, pydantic.JsonValue] | None = None
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    extra: Annotated[dict[str, pydantic.JsonValue], AfterValidator(_no_own_fields)] | None = None
    api_version: date | None = None

    @property
    def sent(self) -> dict[str, Any]:
        """The settings that are sent, in plain types."""
        return self.model_dump(mode="json", exclude_none=True)


class SamplingChanges(Sampling):
    """What an endpoint's models are sent in place of the study's sampling settings."""

    max_tokens: int | None = Field(default=None, ge=1, le=MAX_COUNT)  # type: ignore[assignment]


class TokenPrice(FilePart):
    """USD per million input and output tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class PriceAbove(TokenPrice):
    """The price of calls whose prompt has more than so many tokens."""

    prompt_tokens: int = Field(ge=1)


class ModelPrice(TokenPrice):
    """A model's price; without a cache factor (of the input price) that of the price list holds."""

    cache_read_factor: float | None = Field(default=None, ge=0, le=1)
    above: PriceAbove | None = None


def _no_secrets(headers: dict[str, str]) -> dict[str, str]:
    """The headers; one that is refused may hold a key, so no message shows its value."""
    for name, value in headers.items():
        needs_name = value.startswith("$") or _SECRET_HEADER.search(name)
        if needs_name and not (value[:1] == "$" and re.fullmatch(_VARIABLE, value[1:])):
            raise ValueError(f"{excerpt(name)} must be $NAME, the name of an environment variable")
    return headers


class ModelEndpoint(FilePart):
    """The server of some of a study's models.

    Attributes
    ----------
    models
        The models that it serves, by the names it knows them by.
    base_url
        Its address; by default the API's.
    key_variable
        The name of the environment variable that holds its key. By default ANTHROPIC_API_KEY for the
        API, and no key for another address.
    headers
        What else is sent with each call; `$NAME` is the value of an environment variable.
    concurrency
        How many calls it gets at once.
    system
        How it takes system prompts: in blocks that are cached for five minutes or an hour, or as text.
    sampling
        What its models are sent in place of the study's settings.
    """

    models: list[str] = Field(min_length=1)
    base_url: str | None = Field(default=None, pattern=_ADDRESS)
    key_variable: str | None = Field(default=None, pattern=_VARIABLE)
    headers: Annotated[dict[str, str], AfterValidator(_no_secrets)] = Field(default_factory=dict)
    concurrency: int | None = Field(default=None, ge=1, le=1000)
    system: Literal["cached", "cached-1h", "text"] = "cached"
    sampling: SamplingChanges = SamplingChanges()


class JudgeSettings(FilePart):
    """Which model judges, and with how many votes per rollout.

    Attributes
    ----------
    form
        `blind`: behaviour is judged without the scratchpad, in a call of its own; `joint`: one call sees
        everything. By default the form in which the model has judged the study before, else `blind`.
    fallback
        The model that is asked in place of the judge where the API blocks the judge's call.
    own_settings, questions
        Those of its study, which sets them.
    """

    model: str = Field(default="claude-sonnet-5-5", min_length=1)
    votes: int = Field(default=1, ge=1, le=25)
    max_tokens: int = Field(default=8000, ge=1, le=MAX_COUNT)
    form: Literal["blind", "joint"] | None = None
    fallback: str | None = Field(default=None, min_length=1)
    own_settings: dict[str, OwnSetting] = Field(default_factory=dict, exclude=True)
    questions: dict[str, Question] = Field(default_factory=dict, exclude=True)

    @property
    def models(self) -> list[str]:
        """The judge's model, and the one that is asked where it is blocked."""
        return [self.model, *filter(None, [self.fallback])]


class JudgeError(FilePart):
    """How often the stand-in's judge is right in a simulated study (proportions)."""

    sensitivity: float = Field(default=1.0, gt=0.5, le=1)
    specificity: float = Field(default=1.0, gt=0.5, le=1)


class Simulation(FilePart):
    """How the stand-in's simulated model and judge behave; ignored in a live run.

    Attributes
    ----------
    icc
        Latent-scale intraclass correlation of the answers to one prompt.
    tier_correlation
        Correlation between the tiers of a prompt's propensity to comply.
    complied
        The true rates of compliance, by words that the system prompt of a study's own holds.
    judge_error
        The judge's accuracy by tier; perfect by default.
    blocked
        How often a safety classifier stops a request before any output, by category: a proportion, or
        one per tier. Each category draws on its own; the first that strikes is reported.
    judge_blocked
        The same of the judge's requests on answers that complied; on others a tenth of it.
    tags
        By the first line of a message, the tier as which it is answered; a study adds its own tiers.
    """

    icc: float = Field(default=0.3, ge=0, lt=1)
    tier_correlation: float = Field(default=0.7, ge=0, le=1)
    complied: dict[str, TierRates] = Field(default_factory=dict)
    judge_error: dict[Tier, JudgeError] = Field(default_factory=dict)
    blocked: dict[BlockedFor, TierRates] = Field(default_factory=dict)
    judge_blocked: dict[BlockedFor, TierRates] = Field(default_factory=dict)
    tags: dict[str, Tier] = Field(default_factory=dict)


@dataclass(frozen=True)
class PlannedRollout:
    """One answer to sample: its place in the design, and what is sent for it."""

    key: str
    setting: str
    variation: str
    model: str
    tier: str
    prompt_id: str
    category: str
    sample: int
    request: str
    system: str
    user: str


@dataclass(frozen=True)
class KeptTexts:
    """The package's texts as they were when a study's folder was begun.

    Attributes
    ----------
    systems
        System prompts by (setting, variation).
    requests
        The package's request lists by setting.
    messages
        The form of the user message by variation and tier, with `{}` for the request.
    ids
        The ids of all requests by setting.
    """

    systems: dict[tuple[str, ...], str]
    requests: dict[str, list[Request]]
    messages: dict[str, dict[str, str]]
    ids: dict[str, Container[str]]


def _tiers_differ(own: dict[str, OwnTier]) -> dict[str, OwnTier]:
    tags = {prompts.user_message(tier, "").strip(): tier for tier in _ROLES if tier not in own}
    for name, tier in own.items():
        if not re.fullmatch(NAME, name) or (name in {*SCHEMA, *TAKEN} and name not in _ROLES):
            raise ValueError(f"{excerpt(name)} cannot be a tier's name; use one such as pro")
        if _ROLES.get(name, tier.role) != tier.role:
            raise ValueError(f"{name}.role is {tier.role!r}; that of {name} is {_ROLES[name]!r}")
        if not tier.tag.isprintable() or tier.tag != tier.tag.strip():
            raise ValueError(f"{name}.tag is {excerpt(tier.tag)}; write one line without spaces around")
        if (other := tags.setdefault(tier.tag, name)) != name:
            raise ValueError(f"{name}.tag is that of {other!r}; give each tier a tag of its own")
    return own


class Study(FilePart):
    """A study: the conditions (model × setting × variation × tier), the requests, the samples.

    The fields are those of a study file; `docs/collecting.md` describes them.

    Examples
    --------
    >>> import afanalysis as af
    >>> study = af.Study(
    ...     name="two", settings=["helpful-only"], samples=2, prompts={"helpful-only": {"first": 3}}
    ... )
    >>> study.size, next(study.plan()).prompt_id
    (12, 'ho-fraud-01')
    """

    name: str = Field(pattern=NAME)
    description: str = ""
    imported: bool = Field(default=False, description="made of another tool's logs; collects nothing")
    models: EachOnce[str] = ["claude-opus-5-5"]
    own_settings: dict[OwnName, Annotated[OwnSetting, BeforeValidator(OwnSetting.read)]] = {}
    own_variations: dict[OwnName, Annotated[OwnVariation, BeforeValidator(OwnVariation.read)]] = {}
    settings: EachOnce[str] = ["helpful-only", "animal-welfare"]
    variations: EachOnce[str] = ["default"]
    own_tiers: Annotated[dict[str, OwnTier], AfterValidator(_tiers_differ)] = Field(default_factory=dict)
    tiers: EachOnce[str] = ["free", "paid"]
    gap: tuple[str, str] | None = None
    samples: int = Field(default=5, ge=1, le=MAX_COUNT)
    order: Literal["samples", "prompts"] = "samples"
    prompts: dict[str, PromptList] = Field(default_factory=dict)
    system_prompts: dict[str, NamedPath] = Field(default_factory=dict)
    sampling: Sampling = Sampling()
    scratchpad: ScratchpadFrom = "tags"
    blocked: BlockedCount = "missing"
    questions: dict[QuestionName, Question] = Field(default_factory=dict)
    judge: JudgeSettings = Field(default=JudgeSettings(), validate_default=True)
    prices: dict[str, ModelPrice] = Field(default_factory=dict)
    endpoints: list[ModelEndpoint] = Field(default_factory=list)
    simulation: Simulation = Field(default=Simulation(), validate_default=True)
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    _kept: KeptTexts = KeptTexts({}, {}, {}, {})

    @pydantic.field_validator("own_settings", "own_variations", "questions")
    @classmethod
    def _new_names(cls, defined: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        package = {"own_settings": prompts.SETTINGS, "own_variations": prompts.variations()}
        taken = package.get(str(info.field_name), (*SCHEMA, *TAKEN, "behaviour", "criteria"))
        for name in defined:
            if name in (*taken, *info.data.get("own_settings", ())):
                raise ValueError(f"{excerpt(name)} is taken; choose another name")
        return defined

    @pydantic.field_validator("simulation")
    @classmethod
    def _with_tags(cls, simulation: Simulation, info: ValidationInfo) -> Simulation:
        behave_as = {role: tier for tier, role in _ROLES.items()}
        tags = {own.tag: behave_as[own.role] for own in info.data.get("own_tiers", {}).values()}
        for own in info.data.get("own_variations", {}).values():
            for tier in _ROLES if own.tag else ():
                tags[prompts.user_message(tier, "", tag=own.tag).strip()] = tier
        return simulation.model_copy(update={"tags": simulation.tags | tags})

    @pydantic.field_validator("judge")
    @classmethod
    def _of_this_study(cls, judge: JudgeSettings, info: ValidationInfo) -> JudgeSettings:
        own = {name: info.data.get(name, {}) for name in ("own_settings", "questions")}
        return judge.model_copy(update=own)

    @pydantic.model_validator(mode="after")
    def _definitions_fit(self) -> Self:
        """Raise where a name is used that the study does not know."""
        settings = [*prompts.SETTINGS, *self.own_settings]
        served = [model for endpoint in self.endpoints for model in endpoint.models]
        named: dict[str, tuple[Iterable[str], list[str]]] = {
            "prompts": (self.prompts, settings),
            "system_prompts": (self.system_prompts, settings),
            "tiers": (self.tiers, [*(_ROLES | self.own_tiers)]),
            "gap": (self.gap or (), self.tiers),
            "endpoints": (served, [*self.models, *self.judge.models]),
        }
        if not self.imported:
            variations = [*prompts.variations(), *self.own_variations]
            named |= {"settings": (self.settings, settings), "variations": (self.variations, variations)}
        parts = [part for each in settings for part in self._parts(each).items()]
        names, texts = [*dict(parts)], [text for _, text in parts]
        for variation, own in self.own_variations.items():
            place = f"own_variations.{variation}"
            if own.tag and own.tag["free"] == own.tag["paid"]:
                raise ValueError(f"{place}.tag: holds the same in both tiers; let them differ")
            named |= {f"{place}.drop": (own.drop, names), f"{place}.replace": (own.replace, names)}
            named[f"{place}.files"] = (own.files, settings)
            for words in own.substitute:
                if not any(words in text for text in [*texts, *own.replace.values(), own.add]):
                    raise ValueError(f"{place}.substitute: {excerpt(words)} occurs in no system prompt")
        for place, (given, known) in named.items():
            for name in given:
                if name not in known:
                    also = f"; or define it in own_{place}" if hasattr(self, f"own_{place}") else ""
                    problem = f"{excerpt(name)} does not exist; use any of: {', '.join(known)}"
                    raise ValueError(f"{place}: {problem}{also}")
        for model, times in Counter(served).items():
            if times > 1:
                raise ValueError(f"endpoints: {excerpt(model)} has two endpoints; give each model one")
        if self.judge.fallback == self.judge.model:
            problem = f"{excerpt(self.judge.model)} is the judge itself; name another model"
            raise ValueError(f"judge.fallback: {problem}")
        roles, tiers = self.tier_roles, ", ".join(self.tiers)
        if self.gap is None and len(roles) > 1 and len(set(roles.values())) < 2:
            raise ValueError(f"gap: the tiers {tiers} have one role; name the two to compare")
        if self.gap and self.gap[0] == self.gap[1]:
            raise ValueError(f"gap: {', '.join(self.gap)} are not two of the tiers: {tiers}")
        if self.gap and [roles[tier] for tier in self.gap] == ["unmonitored", "training"]:
            raise ValueError(f"gap: {', '.join(self.gap)}: the training tier comes first")
        return self

    @property
    def files(self) -> list[Path]:
        """The files that the study names, and those that its definitions name."""
        own, variations = self.own_settings.values(), self.own_variations.values()
        named = [*(part.file for part in self.prompts.values()), *(each._file for each in own)]
        named += [each._file for each in variations] + [each.requests for each in own]
        named += [path for each in variations for path in each.files.values()]
        return [path for path in [*named, *self.system_prompts.values()] if path]

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read a study file.

        Paths in it are relative to the file.

        Raises
        ------
        InputError
            The file is missing or not YAML, or a field is not valid; the message names the field, what
            was found and what would be right.
        """
        path = Path(path)
        content = read_yaml(path, "a study; write at least `name: my-study`")
        return cls.checked(content, path, folder=path.parent)

    def endpoint_of(self, model: str) -> ModelEndpoint:
        """The endpoint that the study names for a model, or one that changes nothing."""
        named = (endpoint for endpoint in self.endpoints if model in endpoint.models)
        return next(named, ModelEndpoint(models=[model]))

    def sampling_of(self, model: str) -> Sampling:
        """How a model's answers are sampled."""
        changes = self.endpoint_of(model).sampling.model_dump(exclude_none=True)
        return self.sampling.model_copy(update=changes)

    def with_texts(self, kept: KeptTexts) -> Self:
        """The same study with the package's texts as they were when its folder was begun."""
        study = self.model_copy()
        study._kept = kept
        return study

    def package_requests(self, setting: str) -> list[Request]:
        """The package's request list for a setting."""
        return self._kept.requests.get(setting) or prompts.requests(setting)

    def requests(self, setting: str) -> list[Request]:
        """The requests of a setting, in file order."""
        part, own = self.prompts.get(setting, PromptList()), self.own_settings.get(setting)
        file = part.file or (own and own.requests)
        begun = self._kept.ids.get(setting, ())
        listed = prompts.read_requests(file, begun) if file else self.package_requests(setting)
        if part.first and part.first > len(listed):
            problem = f"first is {part.first}, but the list holds {len(listed)} requests"
            raise InputError(f"study {self.name}: prompts.{setting}.{problem}")
        return listed[: part.first]

    def _parts(self, setting: str) -> dict[str, str]:
        own = self.own_settings.get(setting)
        return own.parts if own else prompts.setting_texts(setting)["parts"]

    def _edit(self, variation: str) -> dict[str, Any]:
        own = self.own_variations.get(variation)
        return own.model_dump(exclude_defaults=True) if own else prompts.variation_edit(variation)

    def system_prompt(self, setting: str, variation: str) -> str:
        """The system prompt of a condition: in parts, with a variation's edits, or a file unchanged."""
        edit = self._edit(variation)
        file = edit.get("files", {}).get(setting) or self.system_prompts.get(setting)
        if file is None:
            kept = self._kept.systems.get((setting, variation))
            return kept or prompts.edited(self._parts(setting), edit)
        if setting not in edit.get("files", {}) and edit.keys() - _NO_EDITS:
            problem = f"names a file, which variation {variation!r} cannot edit; leave one of them out"
            raise InputError(f"study {self.name}: system_prompts.{setting} {problem}")
        return read_text(file)

    def systems(self) -> dict[tuple[str, str], str]:
        """The system prompt of each (setting, variation).

        A variation is left out of a setting in which it changes nothing that is sent.
        """
        systems: dict[tuple[str, str], str] = {}
        for setting in self.settings:
            sent: dict[tuple[str, ...], str] = {}
            for variation in dict.fromkeys(["default", *self.variations]):
                system = self.system_prompt(setting, variation)
                if not system.strip():
                    raise InputError(f"study {self.name}: {setting}, {variation}: the prompt is empty")
                messages = [self.user_message(tier, "", variation) for tier in self.tiers]
                first = sent.setdefault((system, *messages), variation)
                if first == variation and variation in self.variations:
                    systems[setting, variation] = system
        if idle := {*self.variations} - {variation for _, variation in systems}:
            problem = f"variation {min(idle)!r} sends what another sends, in every setting; leave it out"
            raise InputError(f"study {self.name}: {problem}")
        thinks = any(self.scratchpad_from(variation) != "tags" for variation in self.variations)
        thinks = thinks or any("scratchpad" in system.lower() for system in systems.values())
        for name, question in self.questions.items():
            if question.about == "scratchpad" and not thinks:
                problem = f"questions.{name} is about a scratchpad, for which no variation asks"
                raise InputError(f"study {self.name}: {problem}")
        return systems

    def like_paper(self, setting: str, variation: str) -> bool:
        """Whether a condition's prompt and tiers are the package's, so that the paper is like it."""
        own = setting in self.own_settings or setting in self.system_prompts or self.own_tiers
        return not own and variation not in {*self.own_variations, prompts.OWN_PROMPT}

    def user_message(self, tier: str, request: str, variation: str) -> str:
        """The user message: the tag that names the tier, then the request."""
        if tier in self.own_tiers:
            return f"{self.own_tiers[tier].tag}\n{request}"
        own = self.own_variations.get(variation)
        tag = own.tag if own else None
        variation = "default" if own else variation
        form = self._kept.messages.get(variation, {}).get(tier)
        if form is None or tag:
            return prompts.user_message(tier, request, variation, tag)
        return request.join(form.split("{}", 1))

    def scratchpad_from(self, variation: str) -> ScratchpadFrom:
        """Which text the scratchpad of a variation is: the study's, unless the variation has its own."""
        return self._edit(variation).get("scratchpad", self.scratchpad)

    @property
    def tier_roles(self) -> dict[str, str]:
        """The role of each tier: `training` or `unmonitored`."""
        own = {name: tier.role for name, tier in self.own_tiers.items()}
        return {name: (_ROLES | own)[name] for name in self.tiers}

    @property
    def gap_tiers(self) -> tuple[str, str]:
        """The two tiers whose difference is the study's gap, the training one first.

        Examples
        --------
        >>> Study(name="mine").gap_tiers
        ('free', 'paid')
        """
        first = {role: tier for tier, role in reversed(self.tier_roles.items())}
        if {"free", "paid"} <= set(self.tiers):
            first = {}
        return self.gap or (first.get("training", "free"), first.get("unmonitored", "paid"))

    @property
    def size(self) -> int:
        """The number of planned rollouts."""
        prompts = sum(len(self.requests(setting)) for setting, _ in self.systems())
        return len(self.models) * len(self.tiers) * self.samples * prompts

    def plan(self, first: int | None = None) -> Iterator[PlannedRollout]:
        """Every rollout of the study, one at a time and always in the same order.

        With `order: samples` samples vary slowest, so a run that stops early leaves a thinner study, not
        half of one. With `order: prompts` all rollouts of a prompt come together, and the seed decides
        the order of prompts, so that one may look after each (`afanalysis.monitor`).

        Parameters
        ----------
        first
            With `order: prompts`: only the first so many prompts of each setting.
        """
        samplings = {name: self.sampling_of(name).sent for name in self.models}
        conditions = self.systems().items()
        requests = {setting: self.requests(setting) for setting in self.settings}
        rounds = [requests]
        if self.order == "prompts":
            for listed in requests.values():
                listed.sort(key=lambda request: stable_key([self.seed, request.prompt_id]))
            ranks = range(max(map(len, requests.values())))[:first]
            rounds = [{name: requests[name][rank : rank + 1] for name in requests} for rank in ranks]
        for asked in rounds:
            for sample, model, condition in product(range(self.samples), self.models, conditions):
                (setting, variation), system = condition
                for request, tier in product(asked[setting], self.tiers):
                    user = self.user_message(tier, request.text, variation)
                    key = stable_key([model, system, user, samplings[model], sample])
                    place = (setting, variation, model, tier, request.prompt_id, request.category)
                    yield PlannedRollout(key, *place, sample, request.text, system, user)


def _first_problem(error: ValidationError) -> str:
    """The first problem with a file's content: the field, what was found, what would be right."""
    problem = error.errors(include_url=False)[0]
    steps = [f"[{s}]" if isinstance(s, int) else f".{s}" for s in problem["loc"] if s != "[key]"]
    field = escape_invisible("".join(steps).removeprefix("."), 200)
    kind, value, context = problem["type"], problem.get("input"), problem.get("ctx", {})
    if kind == "literal_error":
        return f"{field} is {excerpt(value)}; use {context['expected']}"
    if kind == "missing":
        return f"{field} is missing"
    if form := _FORMS.get(context.get("pattern", "")):  # the value may be a key, which is not shown
        return f"{field}: must be {form}"
    if kind == "value_error":
        return f"{field}: {context['error']}".removeprefix(": ")
    return f"{field} is {excerpt(value)}; {problem['msg'][0].lower()}{problem['msg'][1:]}"
