"""Finds the sub-command, parses its arguments, runs it, and turns errors of the user into one line.

Exit status: 0 done; 1 done in part (pictures that differ or failed, a killed worker); 2 could not be done as
asked (arguments, files, a full disk, something that is not installed); 130 stopped by the user.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import sys
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor

from unirestore.version import __version__

COMMANDS = {
    "restore": "restore photos: files, folders, standard input",
    "compare": "photos and what restoring makes of them, side by side",
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
    except (NotImplementedError, RecursionError):  # RuntimeErrors too, but faults of the code
        raise
    except BrokenExecutor as error:
        print(f"unirestore {args.command}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"unirestore {args.command}: {_told(error, args)}", file=sys.stderr)
        return 2
    except UnicodeEncodeError as error:  # a ValueError that names no file
        name = str(error.object).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        print(
            f"unirestore {args.command}: {name}: the name of a file is not UTF-8; rename it",
            file=sys.stderr,
        )
        return 2
    except (ValueError, ModuleNotFoundError, RuntimeError) as error:
        print(f"unirestore {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"unirestore {args.command}: stopped; the same command continues", file=sys.stderr)
        return 130


_IN_THE_WAY = "a file stands where a folder is needed: remove it or choose another name"
_FORBIDDEN = "choose another place, or change the permissions"
_FULL = "make room and give the same command again: it continues"
_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EISDIR: "a folder stands where a file is needed: name a file",
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _FORBIDDEN,
    errno.ENOENT: "check the path",
}


def _told(error: OSError, args: argparse.Namespace) -> str:
    """One line: the file, what is wrong with it, and what to do."""
    if error.errno is None:  # raised by this package, with its own words
        return str(error)
    # of a rename, the second name is the one that the user knows
    file = error.filename2 or error.filename or getattr(args, "out", None) or "a file"
    advice = _ADVICE.get(error.errno, "check the path and the disk, then give the same command again")
    return f"{file}: {error.strerror}; {advice}"
