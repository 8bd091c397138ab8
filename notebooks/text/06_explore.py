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
# # 6 · Explore, read and label
#
# Rates are worth as much as the transcripts behind them: look at the prompts, then read dozens. The widgets of this notebook are for JupyterLab or VS Code; where they cannot run, a table replaces them. It is not part of `afanalysis run`; run that first.

# %% tags=["parameters"]
study = "studies/demo.yaml"  # the study file
project = None  # the folder of data/ and figures/; None: that of the notebook or of the study
labeller = "me"  # the name that your labels carry

# %%
import matplotlib.pyplot as plt
import seaborn as sns

import afanalysis as af

design, folders = af.open_study(study, project)
rollouts = af.load(folders.table)
judged = rollouts[rollouts.valid & rollouts.complied.notna()].astype({"complied": float})
training, unmonitored = design.gap_tiers
source = ", ".join(rollouts.source.unique())
sns.set_theme(style="whitegrid", palette="colorblind")
print(f"{len(judged):,} of {len(rollouts):,} {source} rollouts have a verdict.")

# %% [markdown]
# ## Which prompts carry the gap?
# A dot is a prompt in one setting: its compliance in both tiers, over all variations and models. On the line the tier makes no difference; look for dots far above it, and read these first.

# %%
keys = ["setting", "category", "prompt_id"]
shares = judged.groupby([*keys, "tier"], dropna=False).complied.mean().unstack().mul(100).reset_index()
if {training, unmonitored} <= set(shares):
    grid = sns.relplot(shares, x=unmonitored, y=training, col="setting", alpha=0.6, height=3.2)
    for axes in grid.axes.flat:
        axes.axline((0, 0), slope=1, color="grey", lw=0.8)
    grid.set_titles(f"{{col_name}} setting, {source}")
    grid.set_axis_labels(f"complied, {unmonitored} (%)", f"complied, {training} (%)")
    plt.show()
    shares["gap"] = shares[training] - shares[unmonitored]
    furthest = shares.nlargest(3, "gap")
    names = ", ".join(f"{row.prompt_id} ({row.gap:.0f} points)" for row in furthest.itertuples())
    print(f"Furthest above the line: {names}.")

# %% [markdown]
# ## Which kinds of requests?
# The gap by category of request. Few prompts stand behind a cell: it shows where to look, and is no finding.

# %%
if "gap" in shares and shares.category.notna().any():
    kinds = shares.pivot_table(index="category", columns="setting", values="gap")
    plt.figure(figsize=(6, 0.3 * len(kinds) + 1.2))
    plt.title(f"{source} rollouts")
    sns.heatmap(kinds, center=0, cmap="vlag", annot=True, fmt=".0f", cbar_kws={"label": "gap (points)"})
    plt.show()
    largest = kinds.stack().idxmax()
    print(f"The largest mean gap is in {largest[0]} ({largest[1]}): {kinds.stack().max():.0f} points.")

# %% [markdown]
# ## How long are the scratchpads?
# Their length in characters, by what the output then did. Long scratchpads that end in compliance are worth reading.

# %%
written = judged[judged.scratchpad.fillna("").str.len() > 0]
if len(written):
    drawn = written.assign(
        length=written.scratchpad.str.len(),
        output=written.complied.map({1.0: "complied", 0.0: "did not comply"}),
    )
    grid = sns.catplot(drawn, x="length", y="output", hue="tier", kind="box", height=2.8, aspect=2)
    grid.set(title=f"{source} rollouts")
    grid.set_axis_labels("length of the scratchpad (characters)", "")
    plt.show()
    medians = drawn.groupby("output").length.median()
    words = (f"{value:.0f} characters where the output {name}" for name, value in medians.items())
    print(f"Median length: {', '.join(words)}.")

# %% [markdown]
# ## Read
# Filter the list and move through it with the arrow keys. The free and the paid answer to the same prompt are side by side: words in which the outputs differ are blue, words that the judge quoted are orange.

# %% tags=["nbval-ignore-output"]
af.browse(folders)

# %% [markdown]
# ## Label
# Labels show how often the judge is wrong (`docs/judging.md`). Draw a sample first: `afanalysis sample-for-labels --study STUDY`. Keys: `c` complied, `r` refused, `u` undecided, `x` artifact; `f`, `p`, `n` for full, partial or no AF reasoning; Enter saves and goes on, `z` goes back. The judge's verdict is hidden. Every label is on disk before the next transcript appears, so stop whenever you like.

# %% tags=["nbval-ignore-output"]
af.label(folders, labeller=labeller)

# %% [markdown]
# ## Other choices
# The headline figure at another level, with another method, or from the prompts and verdicts that you trust most. It is redrawn from counts, so it responds at once.

# %% tags=["nbval-ignore-output"]
af.play(folders.table, tiers=design.gap_tiers)
