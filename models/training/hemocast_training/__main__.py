"""Command line: `python3 -m hemocast_training <command>`; every command lives in its own module and adds its own parser."""

from __future__ import annotations

import argparse
import importlib
import sys

from . import DISCLAIMER

COMMANDS = {
    "simulate": "hemocast_training.simulate.cohort",
    "montage": "hemocast_training.montage",
    "acceptance": "hemocast_training.acceptance",
    "sandbox-patients": "hemocast_training.sandbox_patients",
    "train": "hemocast_training.train",
    "average": "hemocast_training.average",
    "ablate": "hemocast_training.ablate",
    "rivals": "hemocast_training.rivals",
    "conditional": "hemocast_training.conditional",
    "evaluate": "hemocast_training.evaluate",
    "prepare": "hemocast_training.prepare",
    "finetune": "hemocast_training.finetune",
    "export": "hemocast_training.export",
    "golden": "hemocast_training.golden",
    "steadiness": "hemocast_training.steadiness",
}


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Parser with every command, or with only `command` so that one command never pays for another's imports."""
    parser = argparse.ArgumentParser(prog="python3 -m hemocast_training", description=DISCLAIMER)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="{" + ",".join(COMMANDS) + "}")
    for name, module in COMMANDS.items():
        if command is None or name == command:
            importlib.import_module(module).add_parser(subparsers)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 when it succeeded, 1 when it was refused with a message on stderr, 2 for wrong usage."""
    argv = sys.argv[1:] if argv is None else argv
    command = next((word for word in argv if word in COMMANDS), None)
    if command is None:
        usage = argparse.ArgumentParser(prog="python3 -m hemocast_training", description=DISCLAIMER)
        usage.add_argument("command", choices=list(COMMANDS))
        usage.parse_args(argv)
    arguments = build_parser(command).parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except (ValueError, FileNotFoundError) as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
