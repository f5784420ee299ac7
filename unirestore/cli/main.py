"""Finds the sub-command, parses its arguments, runs it, and turns errors of the user into one line."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor

from unirestore.version import __version__

COMMANDS = {
    "degrade": "spoil a folder of photos by a recipe, or replay a manifest",
    "depth": "write the depth of photos with a model of transformers",
    "dataset": "build a data set of pairs: folders or WebDataset shards",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (None: that of the process); returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="unirestore", description="Image restoration for people and detectors."
    )
    parser.add_argument("--version", action="version", version=f"unirestore {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in argv if word in COMMANDS), None)
    for name, what in COMMANDS.items():
        if name != chosen:  # only the chosen one is imported: --help stays quick
            commands.add_parser(name, help=what, add_help=False)
            continue
        module = importlib.import_module(f"{__package__}.{name}")
        sub = commands.add_parser(
            name, help=what, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except (ValueError, FileNotFoundError, ModuleNotFoundError, NotADirectoryError, PermissionError) as error:
        print(f"unirestore {args.command}: {error}", file=sys.stderr)
        return 2
    except BrokenExecutor as error:
        print(f"unirestore {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"unirestore {args.command}: stopped; the same command continues", file=sys.stderr)
        return 130
