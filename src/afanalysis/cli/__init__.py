"""The command line: parse, call, print."""

import argparse
import contextlib
import importlib
import inspect
import sys
import tomllib
from collections import ChainMap
from collections.abc import Container
from pathlib import Path
from types import ModuleType
from typing import Any

from afanalysis import __version__
from afanalysis.errors import InputError, NotebookFailed
from afanalysis.text.untrusted import VisibleOutput, escape_invisible

_CONTENT = tomllib.loads(Path(__file__).with_name("commands.toml").read_text(encoding="utf-8"))
COMMANDS: dict[str, dict[str, Any]] = _CONTENT["commands"]

# What several commands take.
GROUPS: dict[str, dict[str, Any]] = _CONTENT["groups"]


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
        if not 0 < getattr(options, "level", 0.95) < 1:
            raise InputError(f"--level is {options.level}; it must lie in (0, 1), as 0.95 does")
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

    A command is a function of its module, which is imported only when the command is used, so that
    `--help` and a run with nothing to do are quick. The function's docstring is the description.
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
    for name, about in COMMANDS.items():
        command = subparsers.add_parser(name, help=about["summary"])
        if name in complete:
            module = importlib.import_module(f"afanalysis.cli.{about['module']}")
            action = getattr(module, f"run_{name}".replace("-", "_"))
            command.description = inspect.getdoc(action)
            command.epilog = f"For example: {'; '.join(about['examples'])}"
            command.set_defaults(action=action)
            groups = [GROUPS[group] for group in about.get("groups", ())]
            for names, settings in ChainMap(about.get("arguments", {}), *groups).items():
                command.add_argument(*names.split(), **_settings(settings, module))
    return parser


def _settings(given: dict[str, Any], module: ModuleType) -> dict[str, Any]:
    """The settings of an argument as argparse takes them."""
    settings = given | {"type": _TYPES[given["type"]]} if "type" in given else dict(given)
    if settings.get("choices") == "FORMATS":
        listed = "; ".join(f"{name}: {meaning}" for name, meaning in module.FORMATS.items())
        settings |= {"choices": list(module.FORMATS), "help": listed}
    return settings if "metavar" in given else settings | {"action": "store_true"}


def _two_tiers(text: str) -> tuple[str, ...]:
    tiers = tuple(text.split(","))
    if len(tiers) != 2:
        raise argparse.ArgumentTypeError(f"{text!r} are not two tiers; write them as in pro,enterprise")
    return tiers


_TYPES = {"path": Path, "int": int, "float": float, "tiers": _two_tiers}
