"""What is written for LaTeX is set by LaTeX, within the text's width."""

import re
import shutil
import subprocess

import pandas as pd
import pytest

import afanalysis as af

PAPER = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage{booktabs}
\input{macros.tex}
\begin{document}
\noindent A gap of \GAP{} \GAPCI.

\begin{table}\input{rates.tex}\end{table}
\begin{table}\input{gaps.tex}\end{table}

\noindent\input{results.tex}
\end{document}
"""


def hard(rollouts):
    """Two models, three variations, three tiers of one's own, and names that LaTeX trips over."""
    models = ["50%_off", "organisation/an-open-model-with-a-name-70b_instruct"]
    every = pd.concat([rollouts.assign(model=name) for name in models])
    every = pd.concat(
        [every.assign(variation=name) for name in ("a&b", "very_long_name_without_a_gap", "é#$")]
    )
    more = every[every["tier"] == "paid"].assign(tier="educational-institutions")
    return pd.concat([every, more]).replace({"tier": {"free": "pro_rata", "paid": "enterprise"}})


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no TeX is installed")
@pytest.mark.parametrize("is_hard", [False, True])
def test_tables_and_macros_compile_and_fit(reported, tmp_path, monkeypatch, is_hard):
    rollouts = af.load(reported.processed / "rollouts.parquet")
    rollouts = hard(rollouts).drop(columns="rollout") if is_hard else rollouts
    af.save(rollouts, af.Folders(tmp_path, "small").table)
    if is_hard:
        monkeypatch.setattr(af.Gallery, "tiers", ("pro_rata", "enterprise"))
    gallery = af.Gallery("small", tmp_path)
    folder = af.write_latex(gallery)[0].parent
    names = re.findall(r"\\newcommand\{\\(gap\w*?)\}", (folder / "macros.tex").read_text())
    paper = PAPER.replace("GAP", names[0])
    (folder / "main.tex").write_text(paper, "utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    log = (folder / "main.log").read_text("latin-1")
    assert done.returncode == 0, log[-2000:]
    assert r"Overfull \hbox" not in log


def test_every_macro_is_listed_with_its_value(reported):
    macros, listed = (
        path.read_text("utf-8") for path in af.write_latex(af.Gallery("small", reported.project))[:2]
    )
    pairs = re.findall(r"\\newcommand\{(.+?)\}\{(.+)\}", macros)
    assert len(pairs) == macros.count("newcommand") > 10
    assert all(f"| {name} | {value} |" in listed for name, value in pairs)
