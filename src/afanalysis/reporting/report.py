"""The report of a study: one page that opens anywhere, with every number computed."""

import base64
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from afanalysis.analysis import published
from afanalysis.analysis.left_out import answer_counts
from afanalysis.analysis.left_out import readable as readable_counts
from afanalysis.analysis.paper import headline, headline_by_method
from afanalysis.analysis.quantities import readable, summary
from afanalysis.errors import InputError
from afanalysis.figures.gallery import Gallery
from afanalysis.study import votes
from afanalysis.study.files import as_written, read_json, write_text
from afanalysis.study.folders import JUDGEMENTS, MANIFEST
from afanalysis.study.paper_tables import TABLES
from afanalysis.table.source import distinct, opened
from afanalysis.text import wording
from afanalysis.text.pages import render
from afanalysis.text.untrusted import escape_invisible
from afanalysis.text.wording import in_words, percent

# Above this share a report begins with a warning.
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
    Of the paper, whose figures take half a minute to draw:

    >>> import afanalysis as af
    >>> af.write_report(af.Gallery("paper", ".")).name  # doctest: +SKIP
    'report.html'
    """
    path = gallery.folders.raw / MANIFEST
    manifest = read_json(path)
    content: dict[str, Any] = {"answers": None, "counts": None, "warnings": [], "examples": []}
    if gallery.paper:
        sources = sorted(set(gallery.estimates["source"]))
        default = gallery.estimates.query("variation == 'default'").dropna(subset="estimate")
        tables = {"Estimates of the default prompt": in_words(default, ["setting"])}
        tables |= _tables_of_the_paper(gallery.level)
    else:
        sources = distinct(gallery.rollouts, "source")
        results = _or_reason(lambda: summary(gallery.rollouts, **gallery.how))
        beside = ["model", "setting", "quantity", "tier"]
        sections = {
            "Corrected for the judge's error": lambda: in_words(gallery.corrected, ["setting"]),
            "Beside the paper": lambda: in_words(gallery.beside.drop(columns="assumes"), beside),
        }
        tables = {"Results by condition": results if isinstance(results, str) else readable(results)}
        tables |= {title: _or_reason(section) for title, section in sections.items()}
        counts = answer_counts(gallery.rollouts)
        warnings = _warnings(gallery, results, counts)
        if gallery.lacking:
            taken = ", ".join(f"{name} ({usual})" for name, usual in gallery.lacking.items())
            warnings.insert(0, f"The table lacks these columns; each is taken for the usual: {taken}.")
        if ended := manifest.get("ended"):
            warnings.insert(0, f"Looked at while it ran. {ended} Other intervals ignore the looks.")
        content = {"answers": readable_counts(counts), "counts": counts, "warnings": warnings}
        content |= {"examples": _examples(gallery), "results": results}
    content["pictures"], content["not_drawn"] = _pictures(gallery)
    with as_written(path):
        content["description"] = manifest.get("study", {}).get("description", "")
        content["provenance"] = _provenance(gallery, manifest, sources)
    page = render(
        "report.html.j2",
        gallery=gallery,
        simulated="simulated" in sources,
        findings=_or_reason(lambda: gallery.findings.to_dict("records")),
        tables=tables,
        wording=wording,
        escape_invisible=escape_invisible,
        **content,
    )
    return write_text(gallery.folders.report, page)


def _tables_of_the_paper(level: float) -> dict[str, pd.DataFrame]:
    """Other intervals of the headline, what differs, what is drawn, where the numbers stand."""
    pairings = headline(level).dropna(subset=["widest_low"])
    every = pd.concat({file: published.table(name) for name, file in TABLES.items()}, names=["file"])
    sources = every.groupby(["file", "source"], sort=False).size().rename("rows").reset_index()
    return {
        "The helpful-only headline by method": in_words(headline_by_method(level), []),
        "The gap, by how the answers of its tiers are paired": in_words(pairings, ["setting"]),
        "Where the text and the tables differ (in a text copy; to be checked against the PDF)": (
            published.discrepancies(level).drop(columns="level")
        ),
        "Every figure and table of the paper": published.table("index").drop(columns="row"),
        "Where the numbers stand": sources.astype(str),
    }


def _or_reason(section: Callable[[], Any]) -> Any:
    """A section of the report, or why the study has none."""
    try:
        return section()
    except InputError as reason:
        return str(reason)


def _pictures(gallery: Gallery) -> tuple[list[dict[str, str]], list[tuple[str, str]]]:
    """The figures on disk, and those that cannot be drawn with the reason."""
    pictures, missing = [], []
    for name in gallery.names:
        path = gallery.folders.figures / f"{name}.json"
        if not gallery.is_current(name) and isinstance(reason := gallery.draw(name), str):
            missing.append((name, reason.removeprefix("not drawn: ")))
            continue
        about = read_json(path)
        svg = base64.b64encode(path.with_suffix(".svg").read_bytes()).decode()
        pictures.append({"name": name, "heading": about["heading"], "alt": about["alt"], "svg": svg})
    return pictures, missing


def _warnings(gallery: Gallery, summary: pd.DataFrame | str, answers: pd.DataFrame) -> list[str]:
    """What a reader should know before relying on the numbers."""
    table = pd.DataFrame({"warning": []}, dtype=str) if isinstance(summary, str) else summary
    warnings: list[str] = []
    for rows, places in ((table, "conditions"), (answers, "conditions and tiers")):
        remarks = rows["warning"].map(wording.split_remarks).explode()
        remarks = remarks.str.replace(r" \(.*\)$", "", regex=True)
        warnings += [
            f"In {number} of {len(rows)} {places}: {remark}."
            for remark, number in remarks[remarks != ""].value_counts().items()
            if not any(remark in said for said in warnings)
        ]
    if (gallery.folders.raw / JUDGEMENTS).exists():
        judges = votes.judges(gallery.folders.raw).set_index("judge")
        for name in set(distinct(gallery.rollouts, "judge")) & set(judges.index):
            quotes, missing = judges.loc[name, ["quotes", "quotes_not_found"]]
            if quotes and missing / quotes > MANY_QUOTES_MISSING:
                share = percent(missing / quotes)
                warnings.append(f"{share} % of the quotes of judge {name} do not occur in the text.")
    return warnings


def _examples(gallery: Gallery) -> list[tuple[Any, ...]]:
    """One rollout in training of each kind and setting."""
    with opened(gallery.rollouts) as source:
        if {"scratchpad", "output", "request", "rollout"} - set(source.kinds):
            return []
        faked = "coalesce(af_reasoning, 0) > 0" if "af_reasoning" in source.kinds else "false"
        sql = Path(__file__).with_name("examples.sql").read_text(encoding="utf-8")
        return source.connection.execute(sql.format(faked=faked), [gallery.tiers[0]]).fetchall()


def _provenance(gallery: Gallery, manifest: dict[str, Any], sources: list[str]) -> dict[str, str]:
    rows = {"source": ", ".join(sources), "afanalysis": version("afanalysis")}
    rows |= gallery.made("behaviour_by_tier")["inputs"]
    if manifest:
        study, versions = manifest["study"], manifest["runs"][-1]["versions"]
        rows |= {
            "models": ", ".join(study["models"]),
            "variations": ", ".join(study["variations"]),
            "samples per prompt and tier": str(study["samples"]),
            "judge": f"{study['judge']['model']}, {study['judge']['votes']} vote(s)",
            "rollouts planned and collected": f"{manifest['planned']:,}, {manifest['collected']:,}",
        }
        rows |= {f"{name} of the last run": value for name, value in versions.items()}
        if manifest.get("spend"):
            rows["spent"] = f"${manifest['spend']['usd']:,.2f}"
    return rows
