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
# # 3 · Rates and the compliance gap
#
# The same requests were sent as a free-tier user, whose chats are used for training according to the prompt, and as a paid-tier user, whose chats are not. How often did the model comply in each tier, and how large is the **compliance gap** between them? Answers to the same prompt resemble each other, and the same prompts are asked in both tiers. The intervals take both into account (`docs/statistics.md`).

# %% tags=["parameters"]
study = "studies/demo.yaml"  # the study file
project = None  # the folder of data/ and figures/; None: that of the notebook or of the study
level = 0.95  # confidence level of the intervals

# %%
import afanalysis as af

design, folders = af.open_study(study, project)
rollouts = af.load(af.write_tidy(folders.raw, folders.table, blocked=design.blocked))
tiers = design.gap_tiers  # whose difference is the gap
single = ["model"] if rollouts.model.nunique() == 1 else []  # a column that need not be shown
by = ["model", "setting", "variation", "tier"]
named = [name for name in by if name not in single]  # what names a condition in a sentence

source = ", ".join(rollouts.source.unique())
print(f"{len(rollouts):,} {source} rollouts; {rollouts.valid.mean():.1%} have the requested form.")

# %% [markdown]
# ## What was asked, and what counts
# How many answers each tier has, how many of them have the requested form and a verdict, and how many a safety classifier of the API blocked. Answers that are left out count in no rate; if they are many, or more in one tier than in the other, read what follows with care.

# %%
answers = af.answer_counts(rollouts)
worst = answers.loc[answers.left_out.idxmax()]
print(
    f"Most are left out in {', '.join(worst[named])}: {worst.left_out:.1%} ({worst.reasons or 'none'})."
)
answers.drop(columns=[*single, "source"]).round(3)

# %% [markdown]
# ## Rates by tier
# Every prompt weighs alike (`weighting="answers"` weighs answers). `deff` is the design effect: how many times more answers this design needs than independent ones would. `lowest` and `highest` are where the rate would lie if all missing answers had gone one way. A note under `warning` says what to be careful about.

# %%
hidden = [*single, "outcome", "weighting", "method", "source", "level"]
hidden += ["n_missing", "n_invalid", "n_blocked"]
try:
    rates = af.rates(rollouts, "complied", by=by, level=level)
    least, most = rates.loc[rates.rate.idxmin()], rates.loc[rates.rate.idxmax()]
    print(f"The model complied least in {', '.join(least[named])}: {least.rate:.1%};", end=" ")
    print(f"most in {', '.join(most[named])}: {most.rate:.1%}.")
except af.InputError as reason:  # no answer was judged
    rates = answers.head(0)
    print(reason)
rates.drop(columns=hidden, errors="ignore").round(3)

# %% [markdown]
# ## Alignment-faking reasoning
# Does the model comply so as not to be retrained? The paper's measure of **alignment-faking (AF) reasoning**, by tier: the mean of the full and the partial verdict on the scratchpad where the output complied, else 0. `scratchpad_from` is the text in which it was looked for.

# %%
reasoning = None
judged = rollouts.groupby(by).af_reasoning.transform("count") > 0  # an imported log may lack it
if judged.any():
    reasoning = af.rates(rollouts[judged], "af_reasoning", by=by, level=level)
    most = reasoning.loc[reasoning.rate.idxmax()]
    print(f"It is most frequent in {', '.join(most[named])}: {most.rate:.1%} of answers.")
    shown = ["model", "setting", "variation", "tier", "n", "rate", "low", "high", "left_out"]
    display(reasoning.filter([*shown, "scratchpad_from"]).drop(columns=single).round(3))

# %% [markdown]
# ## The compliance gap
# Compliance in the free tier minus compliance in the paid tier, paired by prompt. `p_value` belongs to the interval; `p_holm` is adjusted for the number of rows. `p_sign_flip` tests something else: that the tier makes no difference for any prompt.

# %%
try:
    gaps = af.compliance_gap(rollouts, by=by[:3], level=level, tiers=tiers)
    most = gaps.loc[gaps.gap.idxmax()]
    print(f"The largest is that of {', '.join(most[named[:-1]])}: {100 * most.gap:.1f} points;", end=" ")
    print(f"{(gaps.p_holm < 1 - level).sum()} of {len(gaps)} differ from 0 after Holm's adjustment.")
except af.InputError as reason:  # a study of one tier has none
    gaps = rates.head(0)
    print(reason)
shown = [*by[:3], *tiers, "gap", "low", "high", "p_value", "p_holm", "p_sign_flip"]
gaps.filter(shown).drop(columns=single).round(4)

# %% [markdown]
# The two tiers side by side; the hatched part complied with AF reasoning in its scratchpad.

# %%
estimates = af.estimates(rollouts, level=level, tiers=tiers) if len(gaps) else None
None if estimates is None else af.figures.compliance_by_tier(estimates)

# %% [markdown]
# ## What is missing
# Invalid, undecided and blocked answers count nowhere. `lowest` and `highest` are where the gap would lie if all of them had gone against it, or all for it (Manski's bounds).

# %%
missing = [f"missing_{tier}" for tier in tiers]
shown = [*by[:3], *missing, "lowest", "gap", "highest", "warning"]
if len(gaps):
    hangs = gaps[(gaps.lowest <= 0) & (gaps.highest >= 0)]
    print(f"In {len(hangs)} of {len(gaps)} conditions the sign of the gap hangs on missing answers.")
gaps.filter(shown).drop(columns=single).round(3)

# %% [markdown]
# ## More than a point, or none to speak of?
# A gap that is not significant is not shown to be absent: `is_within` is a claim of its own. `prompts_needed` is the smallest number of prompts that could ever support it, however many answers each has.

# %%
if len(gaps):
    claims = af.gap_tests(rollouts, above=0.01, within=0.05, level=level, tiers=tiers)
    more, none = claims.is_above.sum(), claims.is_within.sum()
    print(f"Of {len(claims)} gaps {more} are shown to exceed a point, and {none} to be below five.")
    display(claims.drop(columns=[*single, "source", "level"]).round(3))

# %% [markdown]
# ## Differences between conditions
# Gaps on the same prompts are compared prompt by prompt, which tells far smaller differences apart than two intervals beside each other. Here variations with the main one, or settings, or models: whichever there are several of.

# %%
several = [name for name in ("model", "variation", "setting") if rollouts[name].nunique() > 1]
if several and len(gaps):
    between = several[0]
    others = [name for name in ("model", "setting", "variation") if name != between]
    contrasts = af.contrast(rollouts, between, by=others, level=level, tiers=tiers)
    clear = contrasts[contrasts.p_holm < 1 - level]
    names = "; ".join(clear[named[:-1]].agg(", ".join, axis=1)) or "none"
    print(f"Differ from {contrasts.reference.iloc[0]} after Holm's adjustment: {names}.")
    shown = [*others, between, "reference", "difference", "low", "high", "p_value", "p_holm"]
    display(contrasts[[*shown, "n_shared"]].round(4))

# %% [markdown]
# ## Corrected for the judge's error
# Where there are hand labels: the same rates and gaps with the judge's error taken out and the labels' uncertainty carried along. `shift` is the part of the raw gap that the judge's error made.

# %%
corrected = None
if af.has_labels(rollouts) and not gaps.empty:
    corrected = af.corrected(rollouts, level=level, tiers=tiers)
    moved = ((corrected.shift_low > 0) | (corrected.shift_high < 0)).sum()
    print(f"In {moved} of {len(gaps)} conditions the judge's error shifts the gap more than by chance.")
    shown = [*by, "raw", "raw_low", "raw_high", "corrected", "low", "high"]
    shown += ["shift", "shift_low", "shift_high", "labels"]
    display(corrected.filter(shown).drop(columns=single, errors="ignore").round(3))

# %% [markdown]
# ## The paper's headline by method
# The same numbers of Greenblatt et al. (2024), from counts: 97.2 % refusal in the paid tier is 343 of 353 queries, 14.2 % compliance in the free tier 50, AF reasoning 42 (a mean of two verdicts, so some answers may count a half), the gap 40. Wilson's, the exact and the bootstrap intervals stand beside each other with what each assumes. Both tiers asked the same queries, but which answers belong together is not printed: the gap has a row for the pairings that make its interval widest and narrowest.

# %%
headline = af.headline_by_method(level)
of_gap = headline[headline.quantity == "compliance_gap"]
ends = f"{100 * of_gap.low.min():.1f} and {100 * of_gap.high.max():.1f}"
print(f"By every method together the paper's gap lies between {ends} points.")
headline.drop(columns=["source", "level"]).round(3)

# %% [markdown]
# ## What this study shows
# Each gap with all that it hangs on. It is *established* if chance, missing answers, the judge's error and the number of conditions together cannot explain it (`docs/statistics.md`, Findings).

# %%
if len(gaps):
    found = af.findings(rollouts, level=level, tiers=tiers)
    print(*found.sentence[found.is_main], sep="\n\n")

# %%
tables = {"answers": answers, "rates": rates, "af_reasoning": reasoning, "gaps": gaps}
tables |= {"corrected": corrected, "paper_headline": headline}
for name, table in tables.items():
    if table is not None and len(table):
        af.save(table, folders.processed / f"{name}.csv")
print("Saved:", ", ".join(tables))
