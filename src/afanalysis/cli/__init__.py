"""The command line: parse, call, print."""

import argparse
import contextlib
import importlib
import inspect
import sys
from collections.abc import Container

from afanalysis import __version__
from afanalysis.errors import InputError, NotebookFailed
from afanalysis.text.untrusted import VisibleOutput, escape_invisible

# Every command with its module and its line in the list of commands. A module is imported only when one
# of its commands is used, so that `--help` and a run with nothing to do are quick.
COMMANDS = {
    "new": ("running", "make a project: notebooks, a study, folders for data and figures"),
    "run": ("running", "run all notebooks, from collection through figures"),
    "sweep": ("sweeping", "run many variants of a study, or of one notebook"),
    "collect": ("asking", "sample a study's rollouts"),
    "judge": ("asking", "judge a study's rollouts"),
    "check": ("asking", "compare the API with what this package believes of a study's models"),
    "check-judge": ("asking", "test whether transcripts can give the judge orders (prompt injection)"),
    "sample-for-labels": ("exchanging", "draw rollouts for people to label"),
    "add-labels": ("exchanging", "read in a completed label sheet"),
    "rates": ("showing", "print the headline table of a rollouts file, or the paper's"),
    "figure": ("showing", "redraw one figure"),
    "import": ("exchanging", "make a study from another tool's logs"),
    "export": ("showing", "write a study for other tools and people"),
    "serve": ("asking", "start the stand-in, for trying out clients"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        The exit code: 0, 1 for a notebook that failed, 2 for bad input, 3 for calls that have yet to be
        made, 130 for Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = build_parser(arguments[:1]).parse_args(arguments)
    try:
        # what is printed holds names and messages of strangers' files and servers
        with contextlib.redirect_stdout(VisibleOutput(sys.stdout)):
            return options.action(options) or 0
    except BrokenPipeError:  # the reader of a pipe, such as head, has gone
        sys.stderr.close()
    except (InputError, NotebookFailed, OSError) as error:
        print(f"afanalysis: {escape_invisible(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        print("afanalysis: stopped; everything done so far is kept", file=sys.stderr)
        return 130
    return 0


def build_parser(complete: Container[str]) -> argparse.ArgumentParser:
    """The parser, in which the commands named in `complete` have their arguments.

    A command is a function of its module; its docstring is the description, and the module's `ARGUMENTS`
    has what it takes.
    """
    parser = argparse.ArgumentParser(
        prog="afanalysis",
        description="Collect, judge and analyse alignment-faking experiments: how a model behaves when "
        "it believes that the chat is used for training (free tier) and when it does not (paid tier).",
        epilog="Without --live nothing leaves this machine and nothing is spent: answers come from a "
        "local stand-in, and everything made from them is marked 'simulated'.",
    )
    parser.add_argument("--version", action="version", version=f"afanalysis {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, (module_name, summary) in COMMANDS.items():
        command = subparsers.add_parser(name, help=summary)
        if name in complete:
            module = importlib.import_module(f"afanalysis.cli.{module_name}")
            action = getattr(module, f"run_{name}".replace("-", "_"))
            command.description = inspect.getdoc(action)
            command.set_defaults(action=action)
            for names, settings in module.ARGUMENTS[name]:
                command.add_argument(*names.split(), **settings)
    return parser
