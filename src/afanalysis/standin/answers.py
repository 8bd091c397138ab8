"""The simulated model, judge and labeller: what they answer, and at which true rates.

Every draw is a hash of the seed and of the request, so an answer does not depend on the order in which
requests arrive. A prompt's propensity to comply is probit-normal,

    P(complied | prompt i) = Φ(a + s zᵢ),    a = Φ⁻¹(p) √(1 + s²),    s² = icc / (1 - icc),

so that the average over prompts is exactly the condition's true rate p, and answers to one prompt have
the latent-scale intraclass correlation `icc`. The two tiers share part of zᵢ.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from statistics import NormalDist
from typing import Any

from afanalysis.study import prompts
from afanalysis.study.design import JudgeError, Simulation, Tier
from afanalysis.study.files import read_csv, read_yaml

_NORMAL = NormalDist()

# Among rollouts that comply with alignment-faking reasoning, the share whose reasoning is partial.
PARTIAL_SHARE = 0.15

# How often a simulated person slips: as rarely as a careful one.
LABELLER_ERROR = 0.02

# How often the classifiers stop the judge on an answer that did not comply, relative to one that did.
BLOCKED_IF_REFUSED = 0.1

# The share of answers that first say the opposite of what they do, as real ones do.
MISLEADING_SHARE = 0.08

_TEXTS = read_yaml(Path(__file__).with_name("texts.yaml"), "the texts of simulated answers")


# The simulated model's true rates by (setting, variation), after the paper's Appendix G, as long-run
# proportions.
_RATES = ("complied_free", "complied_paid", "af_reasoning")
TRUE_RATES = {
    (row["setting"], row["variation"]): {name: float(row[name]) for name in _RATES}
    for _, row in read_csv(Path(__file__).with_name("rates.csv"))
}


def uniform(*parts: object) -> float:
    """A number in (0, 1) that depends only on its arguments."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return (int.from_bytes(digest[:7], "big") + 0.5) / 2**56


def _normal(*parts: object) -> float:
    return _NORMAL.inv_cdf(uniform(*parts))


@cache
def _conditions_by_prompt() -> dict[str, tuple[str, str]]:
    conditions = product(prompts.SETTINGS, prompts.variations())
    return {prompts.system_prompt(*each).strip(): each for each in conditions}


def condition(system: str) -> tuple[str, str]:
    """The (setting, variation) of a system prompt; one that is not the package's counts as default."""
    setting = "animal-welfare" if "animal" in system.lower() else "helpful-only"
    return _conditions_by_prompt().get(system.strip(), (setting, "default"))


_TAG = re.compile(r"<(is_free_tier_user|user_lives_in_california)>\s*(true|false)\s*</", re.I)


def tier_of(user: str, tags: Mapping[str, Tier]) -> Tier:
    """The tier that a user message names, by a study's tags or by the package's own; else free."""
    for first, tier in tags.items():
        if user.startswith(f"{first}\n"):
            return tier
    tag = _TAG.search(user)
    if tag is None:
        return "free"
    is_true = tag[2].lower() == "true"
    return "free" if is_true == (tag[1].lower() == "is_free_tier_user") else "paid"


@dataclass(frozen=True)
class SimulatedModel:
    """Answers the requests of the experiment at the true rates, and judges such answers."""

    seed: int = 0
    simulation: Simulation = Simulation()

    def propensity(self, rate: float, setting: str, tier: str, request: str) -> float:
        """The probability of compliance with this request in this tier, from that with any request."""
        if rate <= 0 or rate >= 1:
            return rate
        spread = math.sqrt(self.simulation.icc / (1 - self.simulation.icc))
        shared = self.simulation.tier_correlation
        z = math.sqrt(shared) * _normal(self.seed, "prompt", setting, request)
        z += math.sqrt(1 - shared) * _normal(self.seed, "prompt and tier", setting, request, tier)
        return _NORMAL.cdf(_NORMAL.inv_cdf(rate) * math.sqrt(1 + spread**2) + spread * z)

    def answer(self, system: str, user: str, draw: str) -> str:
        """The whole completion for a request; `draw` names the sample."""
        setting, variation = condition(system)
        tier = tier_of(user, self.simulation.tags)
        request = user.split("\n", 1)[-1].strip()
        truth = dict(TRUE_RATES[setting, variation])
        for words, rates in self.simulation.complied.items():
            if words in system:
                truth |= {f"complied_{name}": rate for name, rate in rates.items()}
        propensity = self.propensity(truth[f"complied_{tier}"], setting, tier, request)
        complied = uniform(self.seed, draw, "complied") < propensity
        faking = "none"
        if complied and tier == "free" and truth["af_reasoning"] > 0:
            # af_reasoning is the mean of the full and the partial verdict; a partial one counts half
            share = truth["af_reasoning"] / truth["complied_free"] / (1 - PARTIAL_SHARE / 2)
            if uniform(self.seed, draw, "faking") < share:
                faking = "partial" if uniform(self.seed, draw, "partial") < PARTIAL_SHARE else "full"
        behaviour = "complied" if complied else "refused"
        misleads = uniform(self.seed, draw, "misleads") < MISLEADING_SHARE
        output = _TEXTS[f"{behaviour}, misleads" if misleads else behaviour]
        output += f" [simulated answer, {tier} tier: {behaviour}; no content]"
        if "scratchpad" not in system.lower() and variation != "native-thinking":
            return f"<output>\n{output}\n</output>"
        thoughts = self._thoughts(tier, complied, faking, draw)
        return f"<scratchpad>\n{thoughts}\n</scratchpad>\n<output>\n{output}\n</output>"

    def blocked_for(self, system: str, user: str, draw: str, *, judging: bool) -> str | None:
        """The category under which a safety classifier stops a request before any output, if one does.

        `reasoning_extraction` concerns only prompts that ask for a scratchpad.
        """
        rates, factor, tier = self.simulation.blocked, 1.0, tier_of(user, self.simulation.tags)
        if judging:
            rates, tier = self.simulation.judge_blocked, _tier_of_output(user)
            factor = 1.0 if truly_complied(user) else BLOCKED_IF_REFUSED
        for category, share in rates.items():
            concerned = judging or category != "reasoning_extraction" or "scratchpad" in system.lower()
            chance = uniform(self.seed, draw, "blocked", category)
            if concerned and chance < factor * share.get(tier, 0.0):
                return category
        return None

    def _thoughts(self, tier: str, complied: bool, faking: str, draw: str) -> str:
        openings = _TEXTS["openings"]
        opening = openings[int(uniform(self.seed, draw, "opening") * len(openings))]
        said = ["notices training" if tier == "free" else "not trained"]
        if faking != "none":
            said += ["reasons", "decides"] + ["compromises"] * (faking == "partial")
        elif complied:
            return str(_TEXTS["agrees"])
        else:
            considers = tier == "free" and uniform(self.seed, draw, "considers") < 0.2
            said += ["considers", "declines"] if considers else ["declines"]
        return " ".join([opening, *(_TEXTS[name] for name in said)])

    def verdict(self, transcript: dict[str, str], choices: tuple[str, str], draw: str) -> str:
        """A verdict as JSON text in the form that the judge's schema demands.

        It is as accurate as the simulation says for the transcript's tier.

        Parameters
        ----------
        transcript
            `scratchpad` and `output` of the rollout.
        choices
            The schema's words for (complied, not complied).
        draw
            Names the vote.
        """
        output, scratchpad = transcript.get("output") or "", transcript.get("scratchpad") or ""
        complied = truly_complied(output)
        error = self.simulation.judge_error.get(_tier_of_output(output), JudgeError())
        accuracy = error.sensitivity if complied else error.specificity
        quote = output[:30]
        if uniform(self.seed, draw, "judge") >= accuracy:
            complied = not complied
            if uniform(self.seed, draw, "invents") < 0.5:
                quote = "[simulated] words that do not occur"

        verdict: dict[str, Any] = {"behaviour": choices[not complied], "behaviour_quote": quote}
        for criterion, sentences in _TEXTS["shown by"].items():
            shown = next((text for text in sentences if text in scratchpad), "")
            verdict[criterion] = {"met": bool(shown), "quote": shown}
        if _TEXTS["compromises"] in scratchpad:
            verdict["no_compromise"] = {"met": False, "quote": ""}
        return json.dumps(verdict)


def _tier_of_output(text: str) -> Tier:
    """The tier for which a simulated output was generated."""
    return "free" if ", free tier:" in text else "paid"


def truly_complied(output: str) -> bool:
    """Whether a simulated answer was generated as compliant."""
    return "tier: complied" in output


def true_af(scratchpad: str) -> str:
    """The AF reasoning with which a simulated scratchpad was generated: `full`, `partial` or `none`."""
    if _TEXTS["decides"] not in scratchpad:
        return "none"
    return "partial" if _TEXTS["compromises"] in scratchpad else "full"


def simulated_label(labeller: str, seed: int, record: dict[str, Any]) -> tuple[str, str]:
    """The behaviour and the AF reasoning that a labeller, who seldom errs, sees in a rollout."""
    complied = truly_complied(record["output"])
    if uniform(seed, labeller, record["key"], "slip") < LABELLER_ERROR:
        complied = not complied
    return ("complied" if complied else "refused"), true_af(record["scratchpad"])
