"""Where rollouts meet statistics: tables in, tables out."""

from afanalysis.analysis import published as published
