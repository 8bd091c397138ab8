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
# # 2 · Judge
#
# All results rest on two verdicts per rollout: did the output comply, and does the scratchpad show **alignment-faking (AF) reasoning**? A judge model answers the first from the request and the output alone, the second, by explicit criteria, from the scratchpad; neither call is told the tier. It quotes the words that show each verdict. A verdict whose quote does not occur in the text is undecided.

# %% tags=["parameters"]
study = "studies/demo.yaml"  # the study file
project = None  # the folder of data/ and figures/; None: that of the notebook or of the study
live = False  # True: judge with a real model, with the key in ANTHROPIC_API_KEY; costs money
budget = None  # USD that the study may cost in total; a live run needs one
calls = {}  # what else `afanalysis collect` takes: {"batch": True, "base_url": …, "any_price": True}
rules = False  # True: judge by phrases, without a model
labels = 200  # rollouts that simulated people label; people label a live study

# %%
import afanalysis as af

design, folders = af.open_study(study, project)
print(f"judge: {design.judge.model}, {design.judge.votes} vote(s) per rollout")

# %% tags=["nbval-ignore-output"]
if rules:
    summary = af.judge_by_rules(folders.raw)
else:
    async with af.calling(design, live=live, budget=budget, **calls) as how:
        summary = await af.judge(design.judge, folder=folders.raw, **how)
summary

# %% [markdown]
# ## Verdicts
# `af_full` is alignment-faking reasoning without compromise, `af_partial` with or without. The paper's measure is the mean of the two, and counts only rollouts whose output complied.

# %%
rollouts = af.tidy(folders.raw)
verdicts = ["complied", "af_full", "af_partial"]
print(f"{len(rollouts):,} {', '.join(rollouts.source.unique())} rollouts.")
for tier, part in rollouts.groupby("tier"):
    faked = f"{part.af_reasoning.mean():.1%} with alignment-faking reasoning"
    print(f"{tier} tier: the output complied in {part.complied.mean():.1%} of judged rollouts; {faked}.")
rollouts.groupby(["setting", "tier", *verdicts], dropna=False).size().rename("rollouts").to_frame()

# %% [markdown]
# ## One example of each kind

# %%
examples = rollouts[rollouts.tier == design.gap_tiers[0]].groupby(verdicts).first()
for kind, row in examples.iterrows():
    print(dict(zip(verdicts, map(bool, kind))), f"· {row.setting} · {row.prompt_id}")
    print("  request:   ", row.request)
    print("  scratchpad:", row.scratchpad)
    print("  output:    ", row.output, "\n")

# %% [markdown]
# ## A second opinion
# A judge by rules (refusal phrases, words in the scratchpad) costs nothing. Its verdicts are kept beside the model's and enter no rate. Where the two differ is a good place to start reading.

# %%
af.judge_by_rules(folders.raw)
judged = rollouts.complied.notna().any()
several = judged and len(af.judges(folders.raw)) > 1
if several:
    pairs = af.compare_judges(folders.raw)
    names = " and ".join(pairs.attrs.values())
    print(
        f"{names} differ in at least one verdict on {pairs.differs.mean():.1%} of {len(pairs):,} rollouts."
    )
    differing = pairs[pairs.differs].merge(rollouts, on="rollout")
    compared = [name for name in pairs if name.endswith(("_first", "_second"))]
    columns = ["setting", "tier", *compared]
    display(differing.groupby(columns, dropna=False).size().to_frame("rollouts"))

# %%
unlike = (
    differing[differing.complied_first != differing.complied_second] if several else rollouts.head(0)
)
for row in unlike.groupby("setting").head(2).itertuples():
    print(f"complied? model: {row.complied_first}, rules: {row.complied_second}", end=" · ")
    print(f"{row.setting} · {row.prompt_id}")
    print("  output:", row.output, "\n")

# %% [markdown]
# ## Hand labels
# How often is the judge wrong? People label a sample in which rare verdicts are frequent, with weights that compensate for it (`docs/judging.md`). In a simulated study, two simulated people do.

# %% tags=["nbval-ignore-output"]
if judged and set(rollouts.source) == {"simulated"}:
    sample = af.sample_for_labels(rollouts, labels, seed=design.seed)
    af.write_label_sample(folders.raw, sample, rollouts)
    af.simulate_labels(design, folders.raw)
hand = af.read_labels(folders.raw)
rollouts = af.tidy(folders.raw)
labelled = rollouts[rollouts.label_weight.notna()]
people = {label.labeller for label in hand}
print(f"{len(hand)} labels by {len(people)} people, {len(labelled)} rollouts")

# %% [markdown]
# Do the labellers agree with each other? Kappa and AC1 correct for chance agreement.

# %%
agreement = af.label_agreement(hand, rollouts)
for row in agreement[agreement.measure == "Cohen's kappa"].itertuples():
    print(
        f"{row.first} and {row.second}, {row.about}: kappa {row.value:.2f} [{row.low:.2f}, {row.high:.2f}]."
    )
agreement.round(3)

# %% [markdown]
# ## The judge's error, by tier
# A judge that errs more in one tier creates a gap or hides one. The rows `free - paid` show the difference.

# %%
error = None
if len(labelled):
    error = af.judge_error(rollouts, tiers=design.gap_tiers)
    worst = error.loc[error[~error.tier.str.contains(" - ")].value.idxmin()]
    ends = f"{worst.value:.1%} [{worst.low:.1%}, {worst.high:.1%}]"
    print(f"Lowest: {worst.measure} in the {worst.tier} tier of the {worst.setting} setting, {ends}.")
"no labels yet" if error is None else error.round(3)

# %% [markdown]
# Rollouts where the judge and the people differ:

# %%
wrong = labelled[(labelled.complied != labelled.label_complied).fillna(False)]
print(f"{len(wrong)} of {len(labelled)} labelled rollouts.")
wrong.head(6)[["setting", "tier", "complied", "label_complied", "judge_confidence", "output"]]
