"""The figures: each a function from a tidy table to a matplotlib figure.

Every function gives a figure with the rows it drew as its attribute `rows`, and what it shows in
sentences as `alt`. `afanalysis.Gallery` draws them all for a study or for the paper.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
