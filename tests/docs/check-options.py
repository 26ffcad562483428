#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Holds manual, README and completions to the options and commands that a program has.

usage: check-options.py PROGRAM MANUAL COMPLETIONS_FOLDER [README]

What --help lists, each of the others must have, with the same short name, value and default; what
they have besides, the program must know (--socket-fd is an old name that --help leaves out). Of
the shells that are installed, each is asked what it completes. Prints TAP.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


class Option:
    def __init__(self, short, value, default):
        self.short, self.value, self.default = short, value, default


def output(argv, **kwargs):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, **kwargs).stdout


def help_options(program):
    options = {}
    for line in output([program, "--help"]).splitlines():
        m = re.match(r"  (?:(-\w), )?(--[\w-]+)(?:=(\S+))?\s+(.*)", line)
        if m:
            default = re.search(r"\[(\S+)\]$", m[4])
            options[m[2]] = Option(m[1], m[3], default and default[1])
    return options


def manual_options(text):
    """By the headings of its section OPTIONS, and what stands indented below each."""
    options = {}
    section = re.search(r"^# OPTIONS$(.*?)^# ", text, re.M | re.S)[1]
    for m in re.finditer(r"^(\*-.*)\n((?:\t.*\n|\n)*)", section, re.M):
        short = re.search(r"\*(-\w)\*", m[1])
        default = re.search(r"Default: (\S+?)\.?$", m[2], re.M)
        for name, value in re.findall(r"\*(--[\w-]+)\*(?:=_(\w+)_)?", m[1]):
            options[name] = Option(short and short[1], value or None, default and default[1])
    # Alternative names that are told of in an option's text alone.
    for name in re.findall(r"^\t.*\*(--[\w-]+)\* is the same", section, re.M):
        options[name] = None
    return options


def readme_names(text):
    section = re.search(r"^### Options$(.*?)^#", text, re.M | re.S)[1]
    return set(re.findall(r"`(--[\w-]+)",
                          "\n".join(line.split("|")[1] for line in section.splitlines()
                                    if line.startswith("|"))))


# What is asked of a shell: words, of which the last is to be completed, and what comes of it.
COMPLETED = {
    "vhost-device-gpu": (("--gpu-mode 2", "2d"), ("-c virgl,ve", "virgl,venus")),
    "vhost-device-gpuctl": (("scr", "screenshot"), ("--vm 2 log de", "debug")),
}


def completed_by_bash(program, file, words):
    return output(["bash", "-c", """. "$1"
        COMP_WORDS=("${@:3}") COMP_CWORD=$(($# - 3))
        "_${2//-/_}"; printf '%s\\n' "${COMPREPLY[@]}"
        """, "bash", file, program, program, *words])


def completed_by_fish(program, file, words):
    # It makes folders in its home.
    with tempfile.TemporaryDirectory() as home:
        return output(["fish", "--no-config", "-c", "source $argv[1]; complete -C \"$argv[2..-1]\"",
                       file, program, *words], env={"HOME": home, "PATH": "/usr/bin:/bin"})


# zsh completes in a terminal alone: it is only asked whether it can read the file.
def read_by_zsh(file):
    return output(["zsh", "-nf", file])


class Checks:
    def __init__(self):
        self.count = self.n_failed = 0

    def result(self, name, faults):
        self.count += 1
        self.n_failed += bool(faults)
        print(f"{'not ok' if faults else 'ok'} {self.count} - {name}")
        for fault in faults:
            print(f"# {fault}")

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}")


def missing(have, want, where):
    return [f"{where} lacks {name}" for name in sorted(want - have)]


def unknown(program, names, options, where):
    """What the program itself does not know."""
    return [f"{where}: there is no {name}" for name in sorted(names - set(options))
            if "Unknown option" in output([program, name])]


def differences(manual, options):
    for name, option in options.items():
        other = manual.get(name)
        if other is None:
            continue
        for what in ("short", "value", "default"):
            here, there = getattr(option, what), getattr(other, what)
            # A default in words can't be compared.
            if here != there and not (what == "default" and None in (here, there)):
                yield f"{name}: {what} {there} in the manual, {here} in --help"


def check_shell(checks, shell, ask, program, file, options):
    if not shutil.which(shell):
        checks.skip(f"{shell} completes", f"{shell} is not installed")
        return
    faults = missing(set(re.findall(r"^--[\w-]+", ask(program, file, ["--"]), re.M)), options, shell)
    for words, completed in COMPLETED[program]:
        out = ask(program, file, words.split())
        if not re.search(rf"^{completed}\b", out, re.M):
            faults.append(f"{shell} does not complete {words} by {completed}: {out}")
    checks.result(f"{shell} completes", faults)


def check_readme(checks, program, text, options):
    found = readme_names(text)
    checks.result("README.md has them all", missing(found, set(options), "README.md"))
    checks.result("README.md has no others", unknown(program, found, options, "README.md"))


def check_commands(checks, program, texts):
    """Each is a word of each text."""
    section = re.search(r"^Commands:\n((?:  .*\n)+)", output([program, "--help"]), re.M)
    if section:
        commands = re.findall(r"^  (\S+)", section[1], re.M)
        checks.result("commands are everywhere", [
            f"{where} lacks {command}" for command in commands for where, text in texts.items()
            if not re.search(rf"\b{command}\b", text)])


def main():
    program, manual, folder, *readme = sys.argv[1:]
    name = pathlib.Path(program).name
    folder = pathlib.Path(folder)
    options = help_options(program)
    names = set(options)
    # GOption's own are no less ours.
    checks = Checks()
    checks.result("--help has options", [] if {"--version", "--help"} <= names else [names])

    texts = {"the manual": pathlib.Path(manual).read_text(encoding="utf-8")}
    in_manual = manual_options(texts["the manual"])
    checks.result("the manual has them all", missing(set(in_manual), names, "the manual"))
    checks.result("the manual has no others",
                  unknown(program, set(in_manual), options, "the manual"))
    checks.result("the manual says the same", list(differences(in_manual, options)))
    if readme:
        check_readme(checks, program, pathlib.Path(readme[0]).read_text(encoding="utf-8"), options)

    for shell in ("bash", "zsh", "fish"):
        file = folder / f"{name}.{shell}"
        text = texts[file.name] = file.read_text(encoding="utf-8")
        found = set(re.findall(r"--[a-z][\w-]*\w", text))
        if shell == "fish":
            found = {"--" + name for name in re.findall(r"-l ([\w-]+)", text)}
        short = set(re.findall(r"(?<![\w-])-(?:s )?(\w)\b", text))
        checks.result(f"{shell}'s completion has them all",
                      missing(found, names, file.name) +
                      [f"{file.name} lacks {o.short}" for o in options.values()
                       if o.short and o.short[1] not in short])
        checks.result(f"{shell}'s completion has no others",
                      unknown(program, found, options, file.name))
    check_commands(checks, program, texts)
    check_shell(checks, "bash", completed_by_bash, name, str(folder / f"{name}.bash"), names)
    check_shell(checks, "fish", completed_by_fish, name, str(folder / f"{name}.fish"), names)
    if shutil.which("zsh"):
        out = read_by_zsh(str(folder / f"{name}.zsh"))
        checks.result("zsh reads its completion", [out] if out else [])
    else:
        checks.skip("zsh reads its completion", "zsh is not installed")
    print(f"1..{checks.count}")
    return 1 if checks.n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
