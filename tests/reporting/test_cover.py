"""Studies of every size: a cover of pairs of what they may have, and tables that lack columns."""

import itertools
import re
import tempfile
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

import afanalysis as af
from afanalysis import figures
from afanalysis.figures import style
from afanalysis.table.schema import SCHEMA
from tests.figures.test_gallery import PAPER_ONLY

FACTORS = {
    "models": (1, 2, 5),
    "settings": (1, 2),
    "variations": (1, 3),
    "tiers": (2, 3),
    "reasoning": (False, True),
    "labels": (False, True),
    "votes": (False, True),
    "texts": (False, True),
    "own": (False, True),  # a setting, a variation and a question that are not the package's
}


def cover_of_pairs(factors):
    """Few combinations in which each pair of values of two factors occurs."""
    names = list(factors)
    remaining = {
        frozenset([(a, x), (b, y)])
        for a, b in itertools.combinations(names, 2)
        for x, y in itertools.product(factors[a], factors[b])
    }
    chosen = []
    every = [dict(zip(names, values, strict=True)) for values in itertools.product(*factors.values())]
    while remaining:
        pairs = [{frozenset(pair) for pair in itertools.combinations(c.items(), 2)} for c in every]
        best = max(range(len(every)), key=lambda index: len(pairs[index] & remaining))
        remaining -= pairs[best]
        chosen.append(every[best])
    return chosen


COVER = cover_of_pairs(FACTORS)


def tidy_table(*, models, variations, tiers, prompts=5, samples=2, **has):
    """A tidy table of these sizes; answers are drawn at random."""
    own = has["own"]
    names = {
        "model": [f"model-{letter}" for letter in "abcde"[:models]],
        "setting": ["medical" if own else "helpful-only", "animal-welfare"][: has["settings"]],
        "variation": ["default", "no-scratchpad", "no-objective"][:variations],
        "tier": ["free", "paid", "pro"][:tiers],
        "prompt_id": [f"p{number}" for number in range(prompts)],
        "sample": range(samples),
    }
    rows = list(itertools.product(*names.values()))
    table = pd.DataFrame(rows, columns=list(names))
    random = np.random.default_rng(len(table))
    table["prompt_id"] = table["setting"].str[:2] + table["prompt_id"]
    free = table["tier"] == "free"
    table["complied"] = random.random(len(table)) < np.where(free, 0.5, 0.2)
    table["refused"] = ~table["complied"]
    table["valid"] = np.arange(len(table)) % 11 > 0
    table["source"] = "imported"
    table["rollout"] = [f"{number:032x}" for number in range(len(table))]
    if has["reasoning"]:
        rank = random.integers(-1, 4, len(table))
        table["af_stage"] = np.array(["conflict", "considers", "partial", "full", "none"])[rank]
        table["af_full"], table["af_partial"] = rank == 3, rank >= 2
        mean = (table["af_full"] * 1 + table["af_partial"] * 1) / 2
        table["af_reasoning"] = mean.where(table["complied"], 0.0)
    if has["labels"]:
        wrong = random.random(len(table)) < 0.1
        table["label_complied"] = table["complied"] ^ wrong
        table["label_weight"] = 1.0
    if has["votes"]:
        table["judge"], table["judge_agreeing"], table["judge_confidence"] = "judge", 0.8, 0.7
    if has["texts"]:
        for name in ("request", "scratchpad", "output"):
            table[name] = name
    if own:
        table["mentions_audit"] = random.random(len(table)) < 0.3
    kinds = {column: kind for column, kind in SCHEMA.items() if column in table}
    return table.astype(kinds | ({"mentions_audit": "boolean"} if own else {}))


def drawn(table, folder):
    """Everything that the gallery draws of a table, its report, and why the rest is not drawn."""
    folders = af.Folders(folder, "cover")
    af.save(table, folders.table)
    gallery = af.Gallery("cover", folder)
    pictures, draw = {}, gallery.draw
    gallery.draw = lambda name: pictures.setdefault(name, draw(name))
    page = unescape(af.write_report(gallery).read_text())
    af.write_latex(gallery)
    reasons = {name: made for name, made in pictures.items() if isinstance(made, str)}
    return {name: made for name, made in pictures.items() if name not in reasons}, reasons, page, folders


def words(figure):
    texts = [figure.heading, *(text.get_text() for text in figure.findobj(Text))]
    labels = [
        label.get_text()
        for axes in figure.axes
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels())
    ]
    return re.sub(r"\s+", " ", " ".join([*texts, *labels]))


# One number for all models: said in the figure. For the studies of all models together see below.
POOLED = {"agreement": "of all models", "power_curves": "for others: power_by_prompts"}


def check(sizes, folder):
    table = tidy_table(**sizes)
    shown, reasons, page, folders = drawn(table, folder)
    models = sorted(set(table["model"]))
    for name, figure in shown.items():
        text = words(figure)
        if name in POOLED:
            assert POOLED[name] in text, name
        else:
            assert {model for model in models if model not in text} == set(), name
        if "variation" in figure.rows and figure.rows["variation"].nunique() == 1:
            [variation] = figure.rows["variation"].dropna().unique()
            assert variation in text or len(models) > 1, name
        assert "nan" not in text.lower().split(), name
        assert len(figure.alt) > 20, name
        assert "nan" not in re.findall(r"\w+", figure.alt), name
    for model, tier in itertools.product(models, set(table["tier"])):
        assert model in shown["behaviour_by_tier"].heading + shown["behaviour_by_tier"].alt
        assert f"{tier} tier" in shown["behaviour_by_tier"].alt
        assert f"{model} refused" in page or f"{model} did not comply with" in page
    several = sizes["models"] > 1 or sizes["variations"] > 1
    lacking = PAPER_ONLY | {"score_threshold"}
    lacking |= {"gap_forest"} if not several else set()
    lacking |= {"contrasts"} if not several and sizes["tiers"] < 3 else set()
    lacking |= {"questions"} if not sizes["own"] else set()
    lacking |= {"chain_of_thought"} if sizes["variations"] == 1 else set()
    lacking |= {"raw_and_corrected", "agreement"} if not sizes["labels"] else set()
    if not sizes["reasoning"]:
        lacking |= {"scratchpad_stages", "reasoning_against_gap"}
        lacking |= {"given_af_reasoning", "reasoning_by_tier"}
    asked = set(table["setting"])
    lacking |= {f"variations_{name}" for name in ("helpful-only", "animal-welfare")} - {
        f"variations_{name}" for name in asked
    }
    lacking |= {"beside_paper"} if asked == {"medical"} else set()
    assert set(reasons) == lacking
    assert not any("nan" in reason.split() for reason in reasons.values())
    assert ("variations_medical" in shown) == ("medical" in asked)
    macros = (folders.latex / "macros.tex").read_text()
    names = re.findall(r"newcommand{\\(\w+)}", macros)
    assert len(names) == len(set(names)) > 0


def named(sizes):
    return "-".join(f"{name[:2]}{int(value)}" for name, value in sizes.items())


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(style, "_METADATA", {"svg": {"Date": None, "Creator": None}})


@pytest.mark.slow
@pytest.mark.parametrize("sizes", COVER, ids=named)
def test_studies_of_every_size_are_drawn_with_all_their_models_or_say_why_not(sizes, tmp_path, quick):
    check(sizes, tmp_path)


def test_the_cover_is_small():
    assert 6 <= len(COVER) <= 20


# What a table may lack; `prompt_id`, `tier` and an outcome it has.
OPTIONAL = (
    *("model", "setting", "variation", "sample", "valid", "source", "rollout", "judge"),
    *("judge_agreeing", "judge_confidence", "af_full", "af_partial", "af_stage", "af_reasoning"),
    *("label_complied", "label_weight", "request", "scratchpad", "output", "refused"),
)
WHOLE = tidy_table(
    **{name: values[-1] for name, values in FACTORS.items()} | {"own": False, "models": 1}
)
SUBSETS = st.tuples(st.sampled_from(["complied", "refused"]), st.sets(st.sampled_from(OPTIONAL)))


def as_given(outcome, lacking):
    """The table without some columns, and with one outcome at least."""
    return WHOLE.drop(columns=({*lacking} | {"complied", "refused"}) - {outcome})


def usual(table):
    return [name for name in ("model", "setting", "variation") if name not in table]


@pytest.mark.slow
@settings(max_examples=3)
@given(SUBSETS)
def test_figures_by_hand_take_any_table_with_prompts_tiers_and_an_outcome(subset):
    table = as_given(*subset)
    figure = figures.compliance_by_tier(table)
    assert "free tier" in figure.alt
    assert figures.models(table).rows["quantity"].isin(["compliance_gap", "af_reasoning"]).all()
    setting = "helpful-only" if "setting" in usual(table) else "animal-welfare"
    assert set(figures.variations(table, setting).rows["setting"]) == {setting}
    if {"af_reasoning", "complied"} <= {*table}:
        assert len(figures.reasoning_against_gap(table).rows)
    assert len(figures.gap_bounds(af.compliance_gap(table)).rows)
    assert figures.contrasts(af.contrast(table, "tier")).alt.startswith("In ")
    assert figures.questions(af.rates(table, subset[0])).alt


@pytest.mark.slow
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(subset=SUBSETS)
def test_the_gallery_takes_any_table_and_names_what_it_lacks(subset, tmp_path, quick):
    table = as_given(*subset)
    shown, reasons, page, _ = drawn(table, Path(tempfile.mkdtemp(dir=tmp_path)))
    assert set(shown) >= {"behaviour_by_tier", "paired_prompts", "models", "interval_methods"}
    for name in usual(table):
        assert re.search(rf"lacks these columns; each is taken for the usual: .*\b{name} \(", page)
    assert all(reason and "nan" not in reason.split() for reason in reasons.values())
