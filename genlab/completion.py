"""Tab completion: the scripts for the shells, and what they ask for."""

import os
from pathlib import Path

from genlab.config.places import GROUPS, commands, find, folders, options
from genlab.errors import UsageError

SCRIPTS = {
    "bash": r"""
_genlab() {
    local line="${COMP_LINE:0:$COMP_POINT}" words current
    read -r -a words <<< "$line"
    [[ "$line" == *" " ]] && words+=("")
    current="${words[${#words[@]}-1]}"
    local IFS=$'\n'
    COMPREPLY=($("${words[0]}" --complete "${words[@]:1}" 2>/dev/null))
    # Readline replaces only what follows the last = or :.
    local before="${current%"${current##*[=:]}"}"
    [[ -n "$before" ]] && COMPREPLY=("${COMPREPLY[@]#"$before"}")
    [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" != *= ]] && COMPREPLY[0]+=" "
    return 0
}
complete -o nospace -o default -F _genlab genlab
""",
    "zsh": r"""
#compdef genlab
_genlab() {
    local -a found ends open
    found=("${(@f)$(${words[1]} --complete "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
    ends=(${(M)found:#*=})
    open=(${found:#*=})
    (( $#ends )) && compadd -S '' -- $ends
    (( $#open )) && compadd -- $open
    (( $#ends + $#open )) || _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u; }
compdef _genlab genlab
""",
    "fish": r"""
function __genlab_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] --complete $words[2..-1] 2>/dev/null
end
complete -c genlab -f -a '(__genlab_complete)'
""",
}

FLAGS = ("--help", "--cfg=job", "--multirun", "--config-dir=", "--allow=")


def script(shell: str) -> str:
    """What a shell evaluates to complete ``genlab``.

    Raises:
        UsageError: no such shell.
    """
    if shell not in SCRIPTS:
        raise UsageError(f"--completion {shell}: expected one of {', '.join(SCRIPTS)}")
    return SCRIPTS[shell].lstrip()


def complete(words: list[str]) -> list[str]:
    """What the last of the words may become; the others are those before it, without ``genlab``.

    Names of groups and keys end in ``=``.
    """
    current = words[-1] if words else ""
    if len(words) <= 1:
        return _starting([*commands(), "--help", "--version", "--completion"], current)
    command = words[0]
    if command not in commands():
        return []
    for word in words[1:-1]:
        if word.startswith("--config-dir="):
            os.environ["GENLAB_CONFIG_DIR"] = str(Path(word.removeprefix("--config-dir=")).absolute())
    if current.startswith("-"):
        return _starting(FLAGS, current)
    sign = current[: len(current) - len(current.lstrip("+~"))]
    key, equals, value = current[len(sign) :].partition("=")
    if equals:
        *before, last = value.split(",")
        head = f"{sign}{key}=" + "".join(f"{item}," for item in before)
        return [f"{head}{option}" for option in _starting(_values(command, key, words[1:-1]), last)]
    names = [f"{name}=" for name in _keys(command, words[1:-1])]
    if _has_groups(command):
        names += [
            f"{group}="
            for group in GROUPS
            if group != "experiment" and any(folder.joinpath(group).is_dir() for folder in folders())
        ]
    if sign == "+" or not sign:
        names += ["+experiment="] if not sign and _has_groups(command) else ["experiment="]
    found = _starting(names, current[len(sign) :]) if sign else _starting(names, current)
    return [f"{sign}{name.rstrip('=') if sign == '~' else name}" for name in found]


def _starting(names: list[str] | tuple[str, ...], start: str) -> list[str]:
    """The names that go on from ``start``, up to the next dot."""
    depth = start.count(".")
    shown: dict[str, None] = {}
    for name in names:
        if name.startswith(start):
            stem = name.rstrip("=")
            parts = stem.split(".")
            shown[name if len(parts) <= depth + 1 or "=" not in name else ".".join(parts[: depth + 1]) + "."] = None
    return sorted(shown)


def _values(command: str, key: str, words: list[str]) -> list[str]:
    if key in GROUPS and _has_groups(command):
        return options(key)
    value = _at(_config(command, words), key)
    return ["true", "false"] if isinstance(value, bool) else []


def _keys(command: str, words: list[str]) -> list[str]:
    from genlab.config.explain import flat_keys

    config = _config(command, words)
    return [key for key in flat_keys(config) if not isinstance(_at(config, key), dict) and "_target_" not in key]


def _config(command: str, words: list[str]) -> dict[str, object]:
    """The configuration of the groups chosen so far."""
    from omegaconf import OmegaConf

    from genlab.config.compose import raw
    from genlab.config.explain import faults
    from genlab.config.words import key_of

    chosen = [word for word in words if key_of(word) in GROUPS]
    for attempt in (chosen, []):
        try:
            config = OmegaConf.to_container(raw(command, attempt), resolve=False)
        except faults():
            continue
        assert isinstance(config, dict)
        return {str(name): value for name, value in config.items() if name != "hydra"}
    return {}


def _at(config: object, key: str) -> object:
    for part in key.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    return config


def _has_groups(command: str) -> bool:
    path = find("", command)
    return path is not None and "defaults:" in path.read_text(encoding="utf-8")
