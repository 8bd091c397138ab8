"""Imports what a notebook's kernel needs, once, for all kernels that are forked from this process.

Nothing here starts a thread or opens a file that a fork must not share.
"""

import builtins
import importlib
from types import SimpleNamespace

# pandas chooses, while it is imported, how wide it prints by whether it is in a kernel: it will be
builtins.get_ipython = lambda: SimpleNamespace(kernel=True)  # type: ignore[attr-defined]
for _name in (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "IPython.core.completer",
    "pandas",
    "duckdb",
    "pyarrow.parquet",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.backends.backend_pdf",
    "matplotlib_inline.backend_inline",
    "scipy.special",
    "scipy.stats",
    "statsmodels.genmod.generalized_linear_model",
    "statsmodels.stats.meta_analysis",
    "formulaic",
    "anthropic",
    "tornado.web",
    "tqdm",
    "jinja2",
    "afanalysis.batches",
    "afanalysis.gallery",
    "afanalysis.report",
    "afanalysis.study",
    "afanalysis.summaries",
    "afanalysis.standin.server",
):
    importlib.import_module(_name)
del builtins.get_ipython  # type: ignore[attr-defined]
