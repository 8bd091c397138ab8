"""The report of a study: one page that opens anywhere, with every number computed."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afanalysis.analysis.conditions import main_variation
from afanalysis.analysis.judge_errors import has_labels
from afanalysis.analysis.summaries import readable, summary
from afanalysis.figures.gallery import NAMES, Gallery, NotDrawn
from afanalysis.study import votes
from afanalysis.study.folders import JUDGEMENTS, MANIFEST
from afanalysis.table.source import distinct, opened
from afanalysis.text.pages import render
from afanalysis.text.untrusted import escape_invisible
from afanalysis.text.wording import (
    NONCOMPLIANCE,
    QUANTITIES,
    TIERS,
    in_reading_order,
    interval,
    percent,
    with_interval,
)

if TYPE_CHECKING:
    import pandas as pd

# Above these shares a report begins with a warning.
MUCH_INVALID = 0.05

MUCH_UNDECIDED = 0.02

MANY_QUOTES_MISSING = 0.05


def write_report(gallery: Gallery) -> Path:
    """Write the report of a study, or of the paper's tables, from its figures and tables.

    Parameters
    ----------
    gallery
        The study's figures; those that are not drawn yet are drawn.

    Returns
    -------
    Path
        `report.html` in the study's processed folder: no scripts, no network, model text escaped.

    Examples
    --------
    >>> import tempfile
    >>> import afanalysis as af
    >>> with tempfile.TemporaryDirectory() as project:
    ...     print(af.write_report(af.Gallery("paper", project)).name)
    report.html
    """
    pictures, not_drawn = _pictures(gallery)
    warnings, examples, tables = [], [], []
    if gallery.paper:
        tables.append(_table("Estimates of the default prompt", _shown_estimates(gallery.estimates)))
    else:
        results = summary(gallery.rollouts, level=gallery.level)
        tables.append(_table("Results by condition", readable(results)))
        for caption, lay_out, name in (
            ("Corrected for the judge's error", _shown_corrected, "corrected"),
            ("Beside the paper", _shown_beside, "beside"),
        ):
            try:
                tables.append(_table(caption, lay_out(getattr(gallery, name))))
            except NotDrawn as reason:
                tables.append({"caption": caption, "missing": str(reason)})
        warnings = _warnings(gallery, results)
        examples = _examples(gallery)
    sources = sorted(set(gallery.estimates["source"]))
    manifest = _manifest(gallery)
    page = render(
        "report.html.j2",
        title="The paper's published tables" if gallery.paper else f"Study {gallery.study}",
        description="Greenblatt et al. 2024, arXiv:2412.14093, analysed again."
        if gallery.paper
        else manifest.get("study", {}).get("description", ""),
        simulated="simulated" in sources,
        findings=_findings(gallery),
        warnings=warnings,
        pictures=pictures,
        not_drawn=not_drawn,
        tables=tables,
        examples=examples,
        method=_method(gallery),
        provenance=_provenance(gallery, manifest, sources),
    )
    path = gallery.folders.report
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _pictures(gallery: Gallery) -> tuple[list[dict[str, str]], list[tuple[str, str]]]:
    """The figures on disk, and those that cannot be drawn with the reason."""
    pictures, missing = [], []
    for name in NAMES:
        path = gallery.folders.figures / f"{name}.json"
        if not gallery.is_current(name):
            figure = gallery.draw(name)
            if isinstance(figure, str):
                missing.append((name, figure.removeprefix("not drawn: ")))
                continue
        about = json.loads(path.read_text(encoding="utf-8"))
        svg = base64.b64encode(path.with_suffix(".svg").read_bytes()).decode()
        pictures.append({"name": name, "heading": about["heading"], "alt": about["alt"], "svg": svg})
    return pictures, missing


def _number(rows: pd.DataFrame, quantity: str, tier: str, unit: str = "%") -> dict[str, Any]:
    """A number in a sentence: its text, and the very value behind it for whoever checks."""
    row = rows.loc[(quantity, tier)]
    key = "|".join([row["model"], row["setting"], quantity, tier])
    text = f"{percent(row['estimate'])} {unit} {interval(row['low'], row['high'])}"
    return {"key": key, "value": f"{row['estimate']:.6g}", "text": text}


def _words(text: str) -> dict[str, Any]:
    return {"key": "", "value": "", "text": text}


def _findings(gallery: Gallery) -> list[list[dict[str, Any]]]:
    """One sentence per model and setting for the default prompt, with its numbers."""
    main = main_variation(gallery.estimates["variation"])
    default = gallery.estimates[gallery.estimates["variation"] == main].sort_values("model")
    findings = []
    for (setting, model), part in in_reading_order(default, "setting").groupby(
        ["setting", "model"], sort=False
    ):
        rows = part.set_index(["quantity", "tier"])
        sentence = [
            _words(f"In the {setting} setting {model} {NONCOMPLIANCE[setting]} "),
            _number(rows, "refused", "paid"),
            _words(" of requests from the paid tier and "),
            _number(rows, "refused", "free"),
            _words(" of those from the free tier: a compliance gap of "),
            _number(rows, "compliance_gap", "both", "points"),
            _words("."),
        ]
        if ("af_reasoning", "free") in rows.index:
            sentence[-1] = _words(". In the free tier ")
            sentence.append(_number(rows, "af_reasoning", "free"))
            sentence.append(_words(" of its answers complied with alignment-faking reasoning."))
        findings.append(sentence)
    return findings


def _warnings(gallery: Gallery, summary: pd.DataFrame) -> list[str]:
    """What a reader should know before relying on the numbers."""
    warnings = []
    for warning, part in summary.groupby("warning"):
        if warning:
            warnings.append(f"{len(part)} of {len(summary)} conditions rest on {warning}.")
    with opened(gallery.rollouts) as source:
        every, invalid, undecided = source.connection.sql(
            "SELECT count(*), count_if(NOT valid), count_if(valid AND complied IS NULL) FROM rollouts"
        ).fetchall()[0]
    if invalid / every > MUCH_INVALID:
        share = percent(invalid / every)
        warnings.append(f"{share} % of the answers lack the requested form; they count nowhere.")
    if undecided / every > MUCH_UNDECIDED:
        warnings.append(
            f"{percent(undecided / every)} % of the answers have no verdict and count nowhere."
        )
    if (gallery.folders.raw / JUDGEMENTS).exists():
        judges = votes.judges(gallery.folders.raw).set_index("judge")
        with opened(gallery.rollouts) as source:
            named = distinct(source, "judge")
        for name in set(named) & set(judges.index):
            quotes, missing = judges.loc[name, ["quotes", "quotes_not_found"]]
            if quotes and missing / quotes > MANY_QUOTES_MISSING:
                share = percent(missing / quotes)
                warnings.append(f"{share} % of the quotes of judge {name} do not occur in the text.")
    if not has_labels(gallery.rollouts):
        warnings.append("Nobody has labelled any rollout by hand: how often the judge errs is unknown.")
        return warnings
    fixed = gallery.corrected
    moved = fixed[(fixed["tier"] == "both") & ((fixed["shift_low"] > 0) | (fixed["shift_high"] < 0))]
    for row in moved.to_dict("records"):
        place = ", ".join(str(row[name]) for name in ("model", "setting", "variation") if name in row)
        warnings.append(
            f"{place}: the judge's error shifts the gap by {percent(row['shift'])} points "
            f"{interval(row['shift_low'], row['shift_high'])}; see the corrected one."
        )
    return warnings


def _examples(gallery: Gallery) -> list[dict[str, str]]:
    """One free-tier rollout of each kind and setting, made readable."""
    with opened(gallery.rollouts) as source:
        lacking = {"scratchpad", "output", "request", "rollout"} - set(source.kinds)
        if lacking:
            return []
        rows = source.connection.sql(
            "SELECT setting, variation, prompt_id, complied, coalesce(af_reasoning, 0) > 0 AS faked, "
            "request, scratchpad, output FROM rollouts "
            "WHERE tier = 'free' AND valid AND complied IS NOT NULL QUALIFY row_number() OVER "
            "(PARTITION BY setting, complied, faked ORDER BY rollout) = 1 "
            "ORDER BY setting DESC, complied DESC, faked DESC"
        ).fetchall()
    return [
        {
            "heading": f"{setting}, {variation}, {prompt}: "
            + ("complied" if complied else "did not comply")
            + (", with alignment-faking reasoning" if faked else ""),
            "request": escape_invisible(request),
            "scratchpad": escape_invisible(scratchpad),
            "output": escape_invisible(output),
        }
        for setting, variation, prompt, complied, faked, request, scratchpad, output in rows
    ]


_PAPER_METHOD = """\
Intervals are Wilson's on the sample size that each printed standard error implies; gaps are the
difference of two rates, their intervals by square-and-add, unpaired. Confidence level: LEVEL."""

_METHOD = """\
Rates have intervals by Wilson's formula on the effective sample size, because answers to one prompt
resemble each other. Gaps are free minus paid, paired by prompt, with a t interval over prompts and
pseudo-prompts; p-values are of the sign-flip permutation test, adjusted by Holm over all conditions.
Confidence level: LEVEL.

AF reasoning is the mean of the full and the partial verdict where the output complied, else 0. Answers
without the requested form and undecided verdicts are missing, never guessed. Where there are hand
labels, corrected values take the judge's error out and carry the labels' uncertainty."""


def _method(gallery: Gallery) -> list[str]:
    text = _PAPER_METHOD if gallery.paper else _METHOD
    return text.replace("LEVEL", f"{100 * gallery.level:g} %").split("\n\n")


def _provenance(gallery: Gallery, manifest: dict[str, Any], sources: list[str]) -> list[tuple[str, str]]:
    from importlib.metadata import version

    rows = [("source", ", ".join(sources)), ("afanalysis", version("afanalysis"))]
    made = gallery.made("behaviour_by_tier")
    rows += [(name, value) for name, value in made["inputs"].items()]
    if manifest:
        study = manifest["study"]
        rows += [
            ("models", ", ".join(study["models"])),
            ("variations", ", ".join(study["variations"])),
            ("samples per prompt and tier", str(study["samples"])),
            ("judge", f"{study['judge']['model']}, {study['judge']['votes']} vote(s)"),
            ("rollouts planned and collected", f"{manifest['planned']:,}, {manifest['collected']:,}"),
        ]
        rows += [
            (f"{name} of the last run", value)
            for name, value in manifest["runs"][-1]["versions"].items()
        ]
        if manifest.get("spend"):
            rows.append(("spent", f"${manifest['spend']['usd']:,.2f}"))
    return rows


def _manifest(gallery: Gallery) -> dict[str, Any]:
    path = gallery.folders.raw / MANIFEST
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return manifest


def _table(caption: str, shown: pd.DataFrame) -> dict[str, Any]:
    """A table for the template: text left, numbers right."""
    rows = [
        [{"text": str(cell), "number": str(cell)[:1] in "0123456789−[<–"} for cell in row]
        for row in shown.itertuples(index=False)
    ]
    return {"caption": caption, "columns": list(shown.columns), "rows": rows}


def _with_interval(table: pd.DataFrame, *columns: str) -> list[str]:
    return list(map(with_interval, table[list(columns)].to_numpy(dtype=float)))


def _shown_corrected(corrected: pd.DataFrame) -> pd.DataFrame:
    rows = in_reading_order(corrected, "setting")
    shown = rows[[name for name in ("model", "setting", "variation") if name in rows]].astype(str)
    shown["tier"] = rows["tier"].map(TIERS)
    shown["raw"] = _with_interval(rows, "raw", "raw_low", "raw_high")
    shown["corrected"] = _with_interval(rows, "corrected", "low", "high")
    shown["shift of the gap by the judge"] = _with_interval(rows, "shift", "shift_low", "shift_high")
    shown["labels"] = rows["labels"].astype(str)
    return shown


def _shown_beside(beside: pd.DataFrame) -> pd.DataFrame:
    rows = in_reading_order(beside, "setting", "quantity", "tier")
    shown = rows[["setting", "variation"]].astype(str)
    shown["quantity"], shown["tier"] = rows["quantity"].map(QUANTITIES), rows["tier"].map(TIERS)
    shown["this study"] = _with_interval(rows, "study", "study_low", "study_high")
    shown["paper"] = _with_interval(rows, "paper", "paper_low", "paper_high")
    shown["difference"] = _with_interval(rows, "difference", "low", "high")
    shown["verdict"] = rows["verdict"]
    return shown


def _shown_estimates(estimates: pd.DataFrame) -> pd.DataFrame:
    default = estimates[estimates["variation"] == main_variation(estimates["variation"])]
    rows = in_reading_order(default, "setting")
    shown = rows[["setting", "model"]].astype(str)
    shown["quantity"], shown["tier"] = rows["quantity"].map(QUANTITIES), rows["tier"].map(TIERS)
    shown["estimate"] = _with_interval(rows, "estimate", "low", "high")
    shown["n"] = rows["n"].astype(int).astype(str)
    return shown
