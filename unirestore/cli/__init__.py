"""The command line: `unirestore restore | compare | degrade | depth | dataset`, or `python -m unirestore.cli`.

A sub-command is a module of this folder with `add_arguments(parser)` and `run(args) -> int`; its docstring is
its manual. A new one is a module and a line in `COMMANDS`.
"""

from .main import COMMANDS, main

__all__ = ["COMMANDS", "main"]
