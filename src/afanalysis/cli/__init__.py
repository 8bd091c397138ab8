"""The command line: parse, call, print."""

from __future__ import annotations

import argparse
import sys

from afanalysis import __version__
from afanalysis.cli import asking, exchange, labelling, running, showing
from afanalysis.errors import InputError, NotebookFailed


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; exits with 0, with 2 for bad input, with 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        options.action(options)
    except InputError as error:
        print(f"afanalysis: {error}", file=sys.stderr)
        return 2
    except NotebookFailed as error:
        print(f"afanalysis: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("afanalysis: stopped; what was done so far is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has gone
        sys.stderr.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="afanalysis",
        description="Collect, judge and analyse alignment-faking experiments: how a model behaves when "
        "it believes that it is trained on a chat (free tier) and when not (paid tier).",
        epilog="Without --live nothing leaves this machine and nothing is spent: answers come from a "
        "local stand-in and everything made from them says 'simulated'.",
    )
    parser.add_argument("--version", action="version", version=f"afanalysis {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    for group in (running, asking, exchange, labelling, showing):
        group.add_commands(commands)
    return parser
