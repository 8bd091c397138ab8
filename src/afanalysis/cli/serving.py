"""The command that starts the stand-in: serve."""

from __future__ import annotations

import argparse
import asyncio

from afanalysis.standin.serving import serve
from afanalysis.standin.state import StandIn


def add_serve(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Serve the Messages API with simulated answers on a loopback port, until Ctrl-C. "
        "Point a client at it with ANTHROPIC_BASE_URL; any key will do."
    )
    command.add_argument("--port", type=int, default=0, metavar="N", help="default: any free port")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of the answers (default: 0)")
    command.set_defaults(action=_serve)


def _serve(options: argparse.Namespace) -> None:
    asyncio.run(serve(StandIn(options.seed), options.port))
