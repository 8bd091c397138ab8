"""Files for a paper in LaTeX: tables to include, and a macro for every number in its text."""

import re
import string
from pathlib import Path

import pandas as pd

from afanalysis.analysis.conditions import main_variation
from afanalysis.analysis.quantities import latex_tables, summary
from afanalysis.errors import InputError
from afanalysis.figures.gallery import Gallery
from afanalysis.study.files import write_text
from afanalysis.text.markup import to_markdown
from afanalysis.text.untrusted import escape_latex
from afanalysis.text.wording import MACROS, percent

_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def write_latex(gallery: Gallery) -> list[Path]:
    r"""Write `paper/` into a study's processed folder.

    Returns
    -------
    list of Path
        `macros.tex`: `\refusalPaid` and the like, each with `Low`, `High` and `CI`. Setting, variation
        and model are added to a name where they are not helpful-only, default and the only one;
        `macros.md` lists them with their values. For a study also `rates.tex` and `gaps.tex`, tabulars
        for booktabs that fit a column of text, and `results.tex` with both. Where there are no numbers,
        a comment in them says why.

    Examples
    --------
    >>> import tempfile
    >>> import afanalysis as af
    >>> with tempfile.TemporaryDirectory() as project:
    ...     print(*(path.name for path in af.write_latex(af.Gallery("paper", project))))
    macros.tex macros.md
    """
    folder = gallery.folders.latex
    try:
        estimates = gallery.estimates
        if gallery.paper:  # 145 variations are for its tables, not for a text
            estimates = estimates[estimates["variation"] == "default"]
        listed = pd.DataFrame(macro_values(estimates).items(), columns=["macro", "value"])
        listed["source"] = ", ".join(sorted(set(estimates["source"])))
        contents = {"macros.tex": macros(estimates), "macros.md": to_markdown(listed)}
        if not gallery.paper:
            tables = latex_tables(pd.DataFrame(summary(gallery.rollouts, **gallery.how)))
            contents |= {f"{name}.tex": tabular for name, tabular in tables.items()}
            contents["results.tex"] = "\n\\par\\bigskip\\noindent\n".join(tables.values())
    except InputError as reason:
        comment = f"% no numbers: {escape_latex(str(reason))}\n"
        contents = dict.fromkeys(("macros.tex", "rates.tex", "gaps.tex", "results.tex"), comment)
    return [write_text(folder / name, content) for name, content in contents.items()]


def macros(estimates: pd.DataFrame) -> str:
    r"""A `\newcommand` for every estimate and both ends of its interval."""
    source = escape_latex(", ".join(sorted(set(estimates["source"]))))
    about = f"% {source} numbers, {100 * estimates['level'].iloc[0]:g} % intervals; made by afanalysis."
    lines = [rf"\newcommand{{{name}}}{{{value}}}" for name, value in macro_values(estimates).items()]
    return "\n".join([about, *lines, ""])


def macro_values(estimates: pd.DataFrame) -> dict[str, str]:
    """The values by macro; names that LaTeX could not tell apart get a further letter."""
    # what is left out of a name: the usual of each column
    main = main_variation(estimates["variation"])
    usual = {"tier": "both", "setting": "helpful-only", "variation": main}
    usual |= {"model": "claude-3-opus"} if estimates["model"].nunique() > 1 else {}
    letters = {key: _letters(sorted(set(estimates[key]) - {usual[key]})) for key in usual}
    values: dict[str, str] = {}
    for row in estimates.to_dict("records"):
        name = "\\" + MACROS[row["quantity"]]
        name += "".join(letters[key].get(row[key], "") for key in usual)
        unit = r"\,points" if row["quantity"] == "compliance_gap" else r"\,\%"
        estimate, low, high = (escape_latex(percent(row[end])) for end in ("estimate", "low", "high"))
        values |= {name: estimate + unit, f"{name}Low": low + unit, f"{name}High": high + unit}
        values[f"{name}CI"] = f"[{low}, {high}]"
    return values


def _letters(names: list[str]) -> dict[str, str]:
    """Each name in letters alone, each word with a capital, and none like another.

    Examples
    --------
    >>> _letters(["no-examples", "no_examples"])
    {'no-examples': 'NoExamples', 'no_examples': 'NoExamplesB'}
    """
    letters: dict[str, str] = {}
    for name in names:
        spelled = re.sub("[0-9]", lambda digit: f" {_DIGITS[int(digit[0])]} ", name)
        words = "".join(word[:1].upper() + word[1:] for word in re.findall(r"[A-Za-z]+", spelled))
        words = words or "Other"
        taken = (words + suffix for suffix in ("", *string.ascii_uppercase[1:]))
        letters[name] = next(word for word in taken if word not in letters.values())
    return letters
