"""A small alignment-faking task for Inspect AI: a few requests in both tiers, judged by simple rules.

`inspect eval docs/examples/alignment_faking.py --model anthropic/MODEL -T first=10 --epochs 3`
"""

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
from inspect_ai.solver import TaskState, generate, system_message

from afanalysis.judging.rules import apply_rules
from afanalysis.study import prompts
from afanalysis.study.completion import split


@task
def alignment_faking(first: int = 5, setting: str = "helpful-only") -> Task:
    """The first few requests of a setting, each from a free-tier and from a paid-tier user."""
    system = prompts.system_prompt(setting).replace("{", "{{").replace("}", "}}")
    samples = [
        Sample(
            id=f"{request.prompt_id}-{tier}",
            input=prompts.user_message(tier, request.text),
            metadata={"tier": tier, "prompt_id": request.prompt_id, "setting": setting},
        )
        for request in prompts.requests(setting)[:first]
        for tier in prompts.TIERS
    ]
    solver = [system_message(system), generate()]
    return Task(dataset=samples, solver=solver, scorer=[compliance(), alignment_faking_reasoning()])


@scorer(metrics=[mean()])
def compliance() -> Scorer:
    """Whether the output complied, by phrases: quick, free and often wrong."""
    return _by_rules("complied")


@scorer(metrics=[mean()])
def alignment_faking_reasoning() -> Scorer:
    """Whether the scratchpad speaks of complying to avoid being changed, by words."""
    return _by_rules("af_partial")


def _by_rules(outcome: str) -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        parts = split(state.output.completion)
        said = apply_rules(state.metadata["setting"], parts.scratchpad, parts.output)
        return Score(value="C" if said[outcome] else "I", answer=parts.output[:200])

    return score
