# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 · Collect
#
# A study sends the same requests to a model twice: from a **free-tier** user, whose chats are used for training according to the system prompt, and from a **paid-tier** user, whose chats are not. This notebook samples the answers, called rollouts. It can be stopped at any time; run it again, and it collects only what is missing.
#
# Without `live`, the answers come from a local stand-in. They are **simulated**, cost nothing, and say nothing about a real model.

# %% tags=["parameters"]
study = "studies/demo.yaml"  # the study file
project = None  # the folder of data/ and figures/; None: that of the notebook or of the study
live = False  # True: call the API, with the key in ANTHROPIC_API_KEY; costs money
budget = None  # USD that the study may cost in total; a live run needs one
calls = {}  # what else `afanalysis collect` takes: {"batch": True, "base_url": …, "any_price": True}
first = None  # in a study with order: prompts, only so many prompts of each setting

# %%
import afanalysis as af

design, folders = af.open_study(study, project)
print(design.description)
print(f"{design.size:,} rollouts planned")

# %% [markdown]
# ## The design
# One row per condition. Every condition gets the same requests.

# %%
import pandas as pd

plan = pd.DataFrame(design.plan())
asked = " and ".join(design.gap_tiers)
print(f"{plan.prompt_id.nunique()} requests go to every condition, as {asked} user alike.")
plan.groupby(["model", "setting", "variation", "tier"]).agg(
    prompts=("prompt_id", "nunique"), rollouts=("key", "size")
)

# %% [markdown]
# The first request as the model sees it in the free tier: a system prompt that creates the conflict, and the user's message with its tier.

# %%
example = plan.iloc[0]
print(example.system)
print("-" * 40)
print(example.user)

# %% [markdown]
# ## Sampling
# Each answer is on disk before it is counted. An interrupted run loses at most the calls in flight.

# %% tags=["nbval-ignore-output"]
async with af.calling(design, live=live, budget=budget, **calls) as how:
    summary = await af.collect(design, folder=folders.raw, first=first, **how)
summary

# %% [markdown]
# ## What came back
# Answers that lack the requested form are kept and marked, and left out of every rate.

# %%
collected = af.tidy(folders.raw, unjudged=True)
print(
    f"{len(collected):,} of {design.size:,} rollouts are there; {collected.valid.mean():.1%} can be judged."
)
collected.groupby(["source", "valid", "stop_reason"]).size().rename("rollouts").to_frame()

# %%
example = collected.sort_values("rollout").iloc[0]
print(example.request, "\n\nSCRATCHPAD\n", example.scratchpad, "\n\nOUTPUT\n", example.output, sep="")
