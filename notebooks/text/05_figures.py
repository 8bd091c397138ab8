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
# # 5 · Figures and report
#
# The findings in sentences, then the figures, each with the sentence that says what it shows (its text alternative). Each is written as SVG, PDF and PNG, with the rows behind it as CSV and how it was made as JSON; `afanalysis figure NAME --study STUDY` redraws one. A figure whose data this study does not have says why. With `study = "paper"` the figures are drawn from the published tables of Greenblatt et al. (2024). The last cell writes the report, one page that opens anywhere, and tables and numbers for LaTeX.

# %% tags=["parameters"]
study = "studies/demo.yaml"  # a study file, or "paper"
project = None  # the folder of data/ and figures/; None: that of the notebook or of the study
level = 0.95  # confidence level of the intervals

# %%
import afanalysis as af

_, folders = af.open_study(study, project)
gallery = af.Gallery(folders.study, folders.project, level=level)
try:
    estimates = gallery.estimates
    print(f"{len(estimates)} estimates, source: {', '.join(estimates.source.unique())}\n")
    print(*gallery.findings.sentence[gallery.findings.is_main], sep="\n\n")
except af.InputError as reason:  # a study of one tier has none
    print(reason)

# %% [markdown]
# ## Behaviour by tier
# What the model did in each tier; the hatched part complied with alignment-faking reasoning.

# %%
gallery.draw("behaviour_by_tier")

# %% [markdown]
# ## What scratchpads contain
# How far the reasoning goes in training, and what the output then did. Each stage counts who reached it or a later one.

# %%
gallery.draw("scratchpad_stages")

# %% [markdown]
# ## Prompt by prompt
# The same request in both tiers: a gap can be a little more compliance everywhere or much more on a few prompts.

# %%
gallery.draw("paired_prompts")

# %% [markdown]
# ## Prompt variations
# Which part of the prompt does the behaviour hang on? AF reasoning on the left, the gap on the right.

# %%
gallery.draw("variations_helpful-only")

# %%
gallery.draw("variations_animal-welfare")

# %% [markdown]
# ## AF reasoning against the gap
# On the diagonal, AF reasoning would account for the whole gap.

# %%
gallery.draw("reasoning_against_gap")

# %% [markdown]
# ## Models
# Gap and AF reasoning with the default prompt.

# %%
gallery.draw("models")

# %% [markdown]
# ## More than chance?
# The gap over models or variations with its mean, its spread, and the range in which one more would lie.

# %%
gallery.draw("gap_forest")

# %% [markdown]
# ## How far apart?
# Differences of the gap between models and between variations, and of compliance between more than two tiers.

# %%
gallery.draw("contrasts")

# %% [markdown]
# ## The study's own questions
# How often the judge answers yes to the questions that the study file adds.

# %%
gallery.draw("questions")

# %% [markdown]
# ## What is missing
# Invalid, undecided and blocked answers count nowhere; grey is where the gap would lie if all had gone one way.

# %%
gallery.draw("gap_bounds")

# %% [markdown]
# ## Before and after reinforcement learning
# Only the paper has these data: training to comply makes the model comply, and makes AF reasoning common.

# %%
gallery.draw("before_and_after_rl")

# %% [markdown]
# ## Learned from documents
# The same information given in the prompt, or by training on synthetic documents; only the paper has the latter.

# %%
gallery.draw("synthetic_documents")

# %% [markdown]
# ## Beside the paper
# Every number that this study shares with the paper, the difference, and a verdict.

# %%
gallery.draw("beside_paper")

# %% [markdown]
# ## As judged and as corrected
# Where people have labelled a part: compliance and the gap with the judge's error taken out.

# %%
gallery.draw("raw_and_corrected")

# %% [markdown]
# ## How wrong must the judge be?
# The gap that is left if the judge took this share of refusals for compliance.

# %%
gallery.draw("judge_sensitivity")

# %% [markdown]
# ## From which score on?
# Where verdicts are graded, as in many imported logs: the gap by the score from which an answer counts as complying.

# %%
gallery.draw("score_threshold")

# %% [markdown]
# ## Agreement
# Labellers with each other, and the judge with them.

# %%
gallery.draw("agreement")

# %% [markdown]
# ## The interval's method
# The same gap with every method; the coverage study in `docs/statistics.md` chose the default.

# %%
gallery.draw("interval_methods")

# %% [markdown]
# ## The next study
# How many prompts find which gap.

# %%
gallery.draw("power_curves")

# %% [markdown]
# ## Table 1
# The prompts of the paper's Table 1; only the paper has these data.

# %%
gallery.draw("paper_summary")

# %% [markdown]
# ## With and without chain of thought
# The paper's Table 5, or the study's variation without a scratchpad.

# %%
gallery.draw("chain_of_thought")

# %% [markdown]
# ## With and without AF reasoning
# How often the model did not comply, given what its scratchpad shows in the free tier.

# %%
gallery.draw("given_af_reasoning")

# %% [markdown]
# ## AF reasoning in both tiers
# Whatever the output then did: in the paid tier there is nothing to gain by faking.

# %%
gallery.draw("reasoning_by_tier")

# %% [markdown]
# ## Prefilled scratchpads
# What the paper prints of scratchpads that begin with given words.

# %%
gallery.draw("prefilled_scratchpads")

# %% [markdown]
# ## Salience
# The paper's prompts in which only one of the tiers is tagged.

# %%
gallery.draw("salience")

# %% [markdown]
# ## Lying
# Lies about the model's preferences by prompt, from the paper's Tables 4 and 6.

# %%
gallery.draw("lying")

# %% [markdown]
# ## Is it real?
# Whether the model calls the situation real, by kind of question and by question; the paper's Tables 9 to 12.

# %%
gallery.draw("situation_by_kind")

# %%
gallery.draw("situation_by_question")

# %% [markdown]
# ## Voiced preferences
# Scores before and after reinforcement learning, from the paper's Table 7.

# %%
gallery.draw("preference_scores")

# %% [markdown]
# ## Raters and classifiers
# The paper's raters beside its two classifiers.

# %%
gallery.draw("human_raters")

# %% [markdown]
# ## Report and LaTeX files
# The report's sentences are computed from the same tables. `macros.tex` has a command for every number, so that a paper's text cannot drift from its data.

# %%
written = [af.write_report(gallery), *af.write_latex(gallery)]
print(*(path.relative_to(gallery.folders.project).as_posix() for path in written), sep="\n")
