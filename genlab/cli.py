"""The ``genlab`` command: sub-commands, their configuration, and what an error looks like.

A command is a module ``genlab/commands/<command>.py`` with a YAML file ``conf/<command>.yaml``; there is no list of
them. Its ``main`` gets each top-level key of the YAML as a keyword argument, checked against the annotation, and the
whole ``Composed`` too if it has a parameter ``composed``. ``sys.argv`` is left as it is: Lightning starts the other
processes of a distributed run with it.

Exit codes: 0 done, 1 a defect of genlab, 2 usage or configuration, 3 data, 4 checkpoint or run folder, 5 a value that
is not finite, 6 memory, disk or device, 130 Ctrl-C, 143 SIGTERM.
"""

import errno
import inspect
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from genlab.config.places import commands
from genlab.errors import GenlabError, ResourceError, UsageError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENAMETOOLONG)


@dataclass
class Line:
    """A command line, taken apart."""

    command: str = ""
    words: list[str] = field(default_factory=list)
    help: bool = False
    print_config: bool = False
    multirun: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8
    warnings.formatwarning = formatted_warning
    # Each process of DDP would warn that unused parameters were looked for in vain.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        code = dispatch(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = complain("stopped", 130)
    except BrokenPipeError:
        # Python flushes stdout once more at exit, which would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except GenlabError as error:
        code = complain(str(error), error.exit_code)
    except MemoryError as error:
        code = complain(out_of_memory(error, arguments[0]), ResourceError.exit_code)
    except OSError as error:
        if error.errno not in NO_ROOM:
            code = defect(error)
        else:
            where = f" ({error.filename})" if error.filename else ""
            code = complain(f"{error.strerror}{where}: choose another place or make room", ResourceError.exit_code)
    except Exception as error:  # the only place where a defect becomes a message
        if "OutOfMemory" in type(error).__name__ or "not enough memory" in str(error):
            code = complain(out_of_memory(error, arguments[0]), ResourceError.exit_code)
        elif "DataLoader worker" in str(error):  # torch's handler of SIGCHLD raises wherever the process is
            first = str(error).splitlines()[0]
            code = complain(f"a process that reads data was killed: {first}\ntry dataset.num_workers=0", 6)
        else:
            code = defect(error)
    return code


def dispatch(arguments: list[str]) -> int:
    """Runs a command line; errors are raised."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        from genlab.help import overview

        print(overview())
        return 0
    if arguments[0] == "--version":
        from genlab import __version__

        print(__version__)
        return 0
    if arguments[0] == "--completion":
        from genlab.completion import script

        print(script(arguments[1] if len(arguments) > 1 else ""), end="")
        return 0
    if arguments[0] == "--complete":
        from genlab.completion import complete

        print("\n".join(complete(arguments[1:])))
        return 0
    line = parse(arguments)
    if line.help:
        from genlab.help import command_help

        print(command_help(line.command))
        return 0
    if line.multirun:
        from genlab.sweep import sweep

        return sweep(line.command, line.words)
    return run(line)


def parse(arguments: list[str]) -> Line:
    """Takes a command line apart; ``--config-dir`` and ``--allow`` go to the environment, which processes inherit.

    Raises:
        UsageError: an unknown command or option.
    """
    line = Line(command=arguments[0])
    if line.command not in commands():
        from genlab.config.suggest import nearest

        raise UsageError(
            f"no command '{line.command}'{nearest(line.command, commands())}\ncommands: {', '.join(commands())}"
        )
    rest = iter(arguments[1:])
    for word in rest:
        name, equals, value = word.partition("=")
        if word in ("-h", "--help"):
            line.help = True
        elif word in ("-m", "--multirun"):
            line.multirun = True
        elif name in ("-c", "--cfg"):
            line.print_config = True
            if not equals and next(rest, "job") != "job":
                raise UsageError("--cfg prints one thing: --cfg job")
        elif name in ("-cd", "--config-dir", "--allow"):
            given = value if equals else next(rest, None)
            if not given:
                raise UsageError(f"{name} needs a value: {name}={'PACKAGE' if name == '--allow' else 'FOLDER'}")
            if name == "--allow":
                before = os.environ.get("GENLAB_ALLOW", "")
                os.environ["GENLAB_ALLOW"] = ",".join(filter(None, [before, given]))
            else:
                os.environ["GENLAB_CONFIG_DIR"] = str(Path(given).absolute())
        elif word.startswith("-") and not word.startswith("-="):
            without = f"; did you mean {word.lstrip('-')}, without dashes?" if equals else ""
            raise UsageError(
                f"no option '{word}'{without}\n"
                "there are --help, --cfg job, --multirun, --config-dir FOLDER, --allow PACKAGE"
            )
        else:
            line.words.append(word)
    return line


def run(line: Line) -> int:
    """Composes, checks and calls the command."""
    from importlib import import_module

    from genlab.config import check, compose, load

    saved = [word.removeprefix("config=") for word in line.words if word.startswith("config=")]
    if saved and line.command in ("train", "show"):
        words = [word for word in line.words if not word.startswith("config=")]
        composed = load(Path(saved[-1]), words, line.command)
    else:
        composed = compose(line.command, line.words)
    if line.print_config:
        import yaml

        print(yaml.safe_dump(composed.config, sort_keys=False, allow_unicode=True), end="")
        return 0
    check(composed)
    command = import_module(f"genlab.commands.{line.command}").main
    extra = {"composed": composed} if "composed" in inspect.signature(command).parameters else {}
    command(**composed.config, **extra)
    return 0


def formatted_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning of genlab's own is for the user: without the place in the code."""
    if Path(filename).is_relative_to(Path(__file__).parent):
        return f"genlab: warning: {message}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"


def complain(message: str, code: int) -> int:
    """Prints an error as one block and returns its exit code."""
    try:
        if os.environ.get("GENLAB_DEBUG") == "1":
            traceback.print_exc()
        print(f"genlab: {message}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return code  # stderr is closed: the code alone tells
    return code


def defect(error: BaseException) -> int:
    first = str(error).splitlines()[0] if str(error) else ""
    return complain(
        f"this is a defect of genlab: {type(error).__name__}: {first}\nGENLAB_DEBUG=1 shows where; please report it", 1
    )


def out_of_memory(error: BaseException, command: str) -> str:
    first = str(error).splitlines()[0] if str(error) else "out of memory"
    smaller = {
        "apply": "batch_size, or tile=256 for large images",
        "evaluate": "batch_size",
        "sample": "batch_size",
    }.get(command, "dataset.batch_size or model")
    return f"there is not enough memory: {first}\ntry a smaller {smaller}"
