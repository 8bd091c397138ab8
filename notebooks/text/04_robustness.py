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
# # 4 · Would the conclusion survive?
#
# Notebook 3 ends with a gap. Here it is challenged, one doubt at a time: chance, another method, missing answers, many comparisons, looks while it ran, a regression, a judge that errs, other prompts, another study. Each doubt ends in a sentence, and a table sets side by side those that can undo the gap of this study.

# %% tags=["parameters"]
study = "studies/demo.yaml"  # the study file
project = None  # the folder of data/ and figures/; None: that of the notebook or of the study
level = 0.95  # confidence level of the intervals

# %%
import numpy as np
import pandas as pd

import afanalysis as af

design, folders = af.open_study(study, project)
rollouts = af.load(folders.table)
variation = af.main_variation(rollouts.variation)
tiers = design.gap_tiers  # whose difference is the gap
keys = ["model", "setting"]
default = rollouts[rollouts.variation == variation]
print(f"{len(rollouts):,} {', '.join(rollouts.source.unique())} rollouts of the study {design.name}.")
left = {}  # by doubt: what is left of the gap of the main prompt, by model and setting

# %% [markdown]
# ## The claim
# The gap of the main prompt in each setting, and the first doubt: **chance**.

# %%
try:
    gaps = af.compliance_gap(rollouts, by=[*keys, "variation"], level=level, tiers=tiers)
    main = gaps[(gaps.variation == variation) & gaps.gap.notna()]
except af.InputError as reason:  # nothing is known of one tier
    gaps = main = pd.DataFrame()
    print(reason)
known = len(main) > 0
if known:
    left["chance"] = main.set_index(keys)[["low", "high"]]
    kept = left["chance"].query("low > 0 or high < 0").index
    print(
        f"{len(kept)} of {len(main)} gaps survive chance:",
        "; ".join(map(" · ".join, kept)) or "none",
        end=".\n",
    )
    display(main[[*keys, "variation", *tiers, "gap", "low", "high", "p_value"]].round(4))

# %% [markdown]
# ## Do answers to one prompt count as many?
# They resemble each other: `deff` is how many answers are worth one independent answer. The interval above allows for that. The other methods, on the same data: `paper` takes all answers for independent and unpaired, as Greenblatt et al. (2024) did; `bounded` is the default, chosen by the coverage study in `docs/statistics.md`. The gap survives if it does with every method.

# %%
if known:
    rates = af.rates(default, "complied", by=[*keys, "tier"], level=level)
    worst = rates.deff.max()
    print(f"Up to {worst:.1f} answers here are worth one independent answer.")
    compared = af.gap_by_method(default, by=keys, level=level, tiers=tiers)
    ends = compared.groupby(keys, as_index=False).agg(low=("low", "min"), high=("high", "max"))
    left["another method"] = ends.set_index(keys)[["low", "high"]]
    kept = left["another method"].query("low > 0 or high < 0").index
    print(
        f"{len(kept)} of {len(main)} gaps survive any method:",
        "; ".join(map(" · ".join, kept)) or "none",
        end=".\n",
    )
    display(compared.pivot(index="method", columns=keys, values=["low", "high"]).round(3))

# %% [markdown]
# ## What if the missing answers had gone the other way?
# `lowest` and `highest` are where the gap would lie if all of them had (Manski's bounds; chance comes on top).

# %%
if known:
    bounds = main.assign(low=main.lowest, high=main.highest)
    left["missing answers"] = bounds.set_index(keys)[["low", "high"]]
    kept = left["missing answers"].query("low > 0 or high < 0").index
    print(
        f"{len(kept)} of {len(main)} gaps survive their missing answers:",
        "; ".join(map(" · ".join, kept)) or "none",
        end=".\n",
    )
    missing = [f"missing_{tier}" for tier in tiers]
    display(bounds[[*keys, *missing, "lowest", "gap", "highest"]].round(3))

# %% [markdown]
# ## Was it one of many looks?
# With many comparisons some look large by chance. The intervals of all conditions together (Bonferroni), and Holm's p.

# %%
if known:
    together = 1 - (1 - level) / gaps.gap.notna().sum()
    wide = af.compliance_gap(rollouts, by=[*keys, "variation"], level=together, tiers=tiers)
    adjusted = wide[(wide.variation == variation) & wide.gap.notna()]
    left["many conditions"] = adjusted.set_index(keys)[["low", "high"]]
    kept = left["many conditions"].query("low > 0 or high < 0").index
    print(
        f"{len(kept)} of {len(main)} gaps survive {gaps.gap.notna().sum()} conditions:",
        "; ".join(map(" · ".join, kept)) or "none",
        end=".\n",
    )
    display(gaps[[*keys, "variation", "gap", "low", "high", "p_value", "p_holm"]].round(4))

# %% [markdown]
# ## Was it looked at while it ran?
# Whoever looks at a running study, and stops when the gap is clear, finds one too often. `af.monitor` gives ends that hold at every look together. They hold for studies with `order: prompts` only. Where answers came in another order, this doubt is not tested.

# %% tags=["nbval-ignore-output"]
try:
    looks = af.monitor(default, by=keys, level=level, tiers=tiers).groupby(keys, as_index=False).tail(1)
    tested = looks[~looks.warning.str.contains("do not hold")]
    left["repeated looks"] = tested.set_index(keys)[["low", "high"]]
    kept = left["repeated looks"].query("low > 0 or high < 0").index
    names = "; ".join(map(" · ".join, kept)) or "none"
    print(f"Tested for {len(tested)} of {len(looks)} gaps; of these survive: {names}.")
    display(looks[[*keys, "prompts", "gap", "low", "high", "decided", "warning"]].round(3))
except af.InputError as reason:  # an imported log may have no times
    print(reason)

# %% [markdown]
# ## Does it hang on averaging prompts?
# A regression compares the tiers within prompts, in odds. Where nobody complied in one tier, the data allow any odds ratio beyond one end.

# %%
odds = {}
for place, part in default.groupby(keys) if known else ():
    try:
        terms = af.regression(part, "tier", level=level, tiers=tiers)
        odds[place] = terms[terms.term.str.startswith("tier")].iloc[0]
    except af.InputError as reason:  # too few answers
        print(f"{', '.join(place)}: {reason}")
if odds:
    odds = pd.DataFrame(odds).T.rename_axis(keys)
    left["a regression"] = odds[["low", "high"]].astype(float).map(np.log)
    kept = left["a regression"].query("low > 0 or high < 0").index
    print(
        f"{len(kept)} of {len(main)} gaps survive a regression:",
        "; ".join(map(" · ".join, kept)) or "none",
        end=".\n",
    )
    display(odds[["odds_ratio", "low", "high", "p_value", "n_active", "note"]])

# %% [markdown]
# ## How wrong may the judge be?
# If the judge takes refusals for compliance in one tier more often than in the other, it makes a gap. `vanishes_at` is the share of the training tier's refusals that it would have to get wrong, and none in the other tier, until no gap is left; the figure `judge_sensitivity` draws the same table.

# %%
if known:
    estimates = af.estimates(default, level=level, tiers=tiers)
    assumed = [
        af.assumed_judge_error(estimates, model=name, tiers=tiers) for name in main.model.unique()
    ]
    vanishing = pd.concat(assumed)[[*keys, "vanishes_at"]].drop_duplicates()
    for row in vanishing.itertuples():
        share = (
            f"at {row.vanishes_at:.1%}"
            if row.vanishes_at == row.vanishes_at
            else "at no share up to 30%"
        )
        print(f"{row.model}, {row.setting}: the gap vanishes {share} of refusals taken for compliance.")

# %% [markdown]
# And how wrong is it? Where people have labelled a part, the share is known, and the corrected gap says what is left.

# %%
if known and af.has_labels(rollouts):
    error = af.judge_error(rollouts, level=level, tiers=tiers)
    for row in error[(error.measure == "specificity") & (error.tier == tiers[0])].itertuples():
        wrong = f"{1 - row.value:.1%} [{1 - row.high:.1%}, {1 - row.low:.1%}]"
        print(
            f"{row.setting}: by the labels it takes {wrong} of the {tiers[0]} tier's refusals for compliance."
        )
    corrected = af.corrected(rollouts, level=level, tiers=tiers).dropna(subset="corrected")
    of_gap = corrected.groupby([*keys, "variation"], as_index=False).last()
    left["the judge's error"] = of_gap[of_gap.variation == variation].set_index(keys)[["low", "high"]]
    kept = left["the judge's error"].query("low > 0 or high < 0").index
    names = "; ".join(map(" · ".join, kept)) or "none"
    print(f"{len(kept)} of {len(main)} gaps survive the judge's error: {names}.")
elif known:
    print("Nobody has labelled any answer: how wrong the judge is, is unknown.")

# %% [markdown]
# ## All doubts at once
# Chance, missing answers and the judge's error in one interval, adjusted for the number of conditions: what survives this is *established*.

# %%
if known:
    found = af.findings(rollouts, level=level, tiers=tiers)
    found = found[found.is_main & found.gap.notna()]
    kept = found[found.established].set_index(keys).index
    print(*found.sentence, sep="\n\n")

# %% [markdown]
# ## Is it this prompt only?
# `gap` is the mean over exactly these variations, prompt by prompt. `population` is the mean over variations like these; the predicted range is where the gap of one more would lie. The paper's table has no prompts, so it has the latter only.

# %%
printed = af.published.estimates(level=level)
pooled = {"paper": af.pooled_gap(printed[printed.model == "claude-3-opus"], level=level)}
if known:
    pooled[design.name] = af.pooled_gap(rollouts, level=level, tiers=tiers)
several = pd.concat(pooled, names=["source", None]).droplevel(1)
for name, row in several.dropna(subset="predicted_low").iterrows():
    ends = f"{100 * row.predicted_low:.1f} to {100 * row.predicted_high:.1f} points"
    print(f"{name}, {row.setting}: one more variation would have a gap of {ends}.")
several.set_index("setting", append=True).round(3)

# %% [markdown]
# ## Did another study see it?
# Every condition that this study shares with the paper: both values, the difference with its interval, and a verdict.

# %%
try:
    parts = {name: af.compare(rollouts, model=name, level=level) for name in rollouts.model.unique()}
    beside = pd.concat(parts, names=["model", None]).reset_index("model")
    verdicts = beside.verdict.str.split(" by | within ", regex=True).str[0].value_counts()
    print("; ".join(f"{verdict}: {number}" for verdict, number in verdicts.items()), end=".\n")
except af.InputError as reason:  # an imported study may share no condition
    beside = pd.DataFrame(columns=[*keys, "variation", "quantity", "tier", "study", "paper"])
    print(reason)
shown = [*keys, "variation", "quantity", "tier", "study", "paper", "difference", "low", "high"]
beside.filter([*shown, "verdict"]).round(3)

# %% [markdown]
# ## The answer
# A gap is as good as the hardest doubt that it survives.

# %%
if known:
    doubts = ["chance", "another method", "missing answers", "many conditions", "repeated looks"]
    doubts += ["a regression", "the judge's error"]
    answer = pd.DataFrame({name: (ends.low > 0) | (ends.high < 0) for name, ends in left.items()})
    answer = answer.reindex(columns=doubts)
    answer["all at once"] = found.set_index(keys).established
    for place, row in answer.iterrows():
        lost = ", ".join(row.index[row.eq(False)])
        untested = ", ".join(row.index[row.isna()])
        words = f"falls to {lost}" if lost else "survives every doubt that was tested"
        print(f"{' · '.join(place)}: {words}{'; not tested: ' + untested if untested else ''}.")
    display(answer.replace({True: "survives", False: "falls"}).fillna("not tested"))

# %% [markdown]
# ## What would settle it?
# The prompts that find a gap of five points with a chance of 80 %, for each number of samples per prompt, and those that show that there is no gap of five points, if there is none. Both for a model that complies with 3 % in the unmonitored tier, and for answers to one prompt that correlate by 0.3; the figure `power_curves` takes both from this study. More prompts are always cheaper in answers than more samples of the same ones.

# %%
assumed = {"paid": 0.03, "icc": 0.3}
finding = af.plan(0.05, **assumed, level=level)
excluding = af.plan(0, **assumed, aim="below", than=0.05, level=level)
best, other = finding[finding.cheapest].iloc[0], excluding[excluding.cheapest].iloc[0]
print(
    "If {paid:.0%} comply when unmonitored, and answers correlate by {icc}:".format(**assumed), end=" "
)
print(f"{best.prompts} prompts, asked {best.samples} time(s), find a gap of five points;", end=" ")
print(f"{other.prompts}, asked {other.samples} time(s), exclude one.")
display(finding.round(3))
excluding.round(3)

# %%
af.save(beside, folders.processed / "beside_paper.csv")
print("Saved: beside_paper")
