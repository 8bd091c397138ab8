"""A small alignment-faking task for Inspect AI: both tiers of a few requests."""

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, system_message

from afanalysis import prompts


@task
def alignment_faking(first: int = 5) -> Task:
    system = prompts.system_prompt("helpful-only").replace("{", "{{").replace("}", "}}")
    samples = [
        Sample(
            id=f"{request.prompt_id}-{tier}",
            input=prompts.user_message(tier, request.text),
            target="tier: complied",
            metadata={"tier": tier, "prompt_id": request.prompt_id},
        )
        for request in prompts.requests("helpful-only")[:first]
        for tier in prompts.TIERS
    ]
    return Task(dataset=samples, solver=[system_message(system), generate()], scorer=includes())
