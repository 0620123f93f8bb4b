"""What ``--help`` prints: read from the YAML files and docstrings, so nothing is imported or kept twice."""

import ast
import re
from pathlib import Path

import yaml

from genlab.config.places import commands, config_dir, find, options

OPTIONS = """options:
  -h, --help            this page
  --cfg job             print the configuration and stop
  -m, --multirun        run every combination of values like model=vae,dcgan seed=1,2
  --config-dir FOLDER   your own YAML files beside genlab's: FOLDER/model/NAME.yaml
  --allow PACKAGE       let YAML files name classes of your own package"""

FOOT = """Values: key=value changes, +key=value adds, ~key removes.
Exit codes: 0 done, 2 usage or configuration, 3 data, 4 checkpoint or run folder, 5 a value that is not finite,
6 memory, disk or device, 130 Ctrl-C, 143 SIGTERM."""


def first_line(path: Path) -> str:
    """The first sentence of a Python module, which is not imported."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path.is_file() else None
    return (docstring or "").split("\n")[0]


def first_comment(path: Path) -> str:
    """The first comment of a YAML file that is not Hydra's."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.removeprefix("#").strip()
    return ""


def overview() -> str:
    """The page of ``genlab --help``."""
    folder = Path(__file__).parent / "commands"
    width = max(map(len, commands()))
    lines = [
        "Train, sweep, resume, sample and evaluate generative models.",
        "",
        "usage: genlab COMMAND [key=value …]",
        "",
    ]
    lines += ["commands:"]
    for name in commands():
        about = first_line(folder / f"{name}.py") or first_comment(config_dir() / f"{name}.yaml")
        lines.append(f"  {name:<{width}}  {about}".rstrip())
    lines += ["", "  genlab COMMAND --help   groups, keys and default values of a command"]
    lines += [
        '  genlab --completion SHELL   for bash, zsh or fish: eval "$(genlab --completion bash)"',
        "  genlab --version",
    ]
    return "\n".join([*lines, "", FOOT])


def command_help(command: str) -> str:
    """The page of ``genlab COMMAND --help``."""
    path = find("", command)
    assert path is not None
    usage = f"usage: genlab {command}"
    keys = body(path)
    if command != "train" and "train" in str(default_list(path)):
        train = config_dir() / "train.yaml"
        keys, groups = f"{body(train)}\n\n{keys}", chosen(train)
    else:
        groups = chosen(path)
    positional = next((key for key in ("run", "action") if re.search(rf"^{key}:", keys, re.MULTILINE)), None)
    words = f" {positional.upper()}" if positional else ""
    parts = [first_comment(path), f"{usage}{words} [key=value …]"]
    if groups:
        lines = [f"  {group:<12} {', '.join(options(group))}  [{option}]" for group, option in groups.items()]
        lines += [f"  {'+experiment':<12} {', '.join(options('experiment'))}"] if options("experiment") else []
        parts.append(
            "\n".join(
                ["groups, with what is chosen if you do not (a model chooses its data set and optimizer):", *lines]
            )
        )
    parts.append("keys and default values:\n" + indent(keys))
    for group, option in groups.items():
        if (file := find(group, option)) is not None:
            parts.append(f"with {group}={option}:\n" + indent(body(file) if group == "model" else nested(group, file)))
    return "\n\n".join([*parts, OPTIONS, FOOT])


def default_list(path: Path) -> list[object]:
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("defaults", [])


def chosen(path: Path) -> dict[str, str]:
    """The option of each group in a defaults list."""
    return {
        str(group): str(option)
        for entry in default_list(path)
        if isinstance(entry, dict)
        for group, option in entry.items()
        if "override" not in str(group)
    }


def body(path: Path) -> str:
    """A YAML file with its comments, without its defaults list and head."""
    text = re.sub(r"^defaults:\n(?:[ \t]+.*\n|\n(?=[ \t]))*", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return re.sub(r"\A(?:#.*\n|\n)*", "", text).rstrip()


def nested(group: str, path: Path) -> str:
    return f"{group}:\n" + indent(body(path))


def indent(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())
