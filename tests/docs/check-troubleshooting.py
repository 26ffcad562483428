#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Holds docs/troubleshooting.md to what is really said, and to tests that there are.

usage: check-troubleshooting.py DOCUMENT SOURCE_FOLDER TESTS_FOLDER

A heading quotes a message, with an ellipsis for what varies: each piece is in a string of the
sources, or, where the heading begins with QEMU, of tests/docs/run, which sees QEMU say it. Each
/proto/... that is named is a test; that it does not fail, the proto suite says. A message is in a
string of a test, unless below it is said why there is none.

And the other way round: what the program says when it does not start is in a heading, or in
ELSEWHERE with a reason. Of wrong options, which are many, the message has to say what is allowed
instead.
"""

import itertools
import pathlib
import re
import sys

SHORT = 6

# Functions that end a start with a word, and how it begins; the first string that they are given
# is the rest.
SAYS = {"log_failure": "", "check_part": "--sandbox strict: "}
# These say more, as the start goes on; where a start can end with them.
SAYS_IN = {"src/sandbox.c": {"log_error": ""}, "src/main.c": {"log_error": ""},
           "src/probe.c": {"log_error": ""}, "src/capabilities.c": {"log_error": ""}}

NO_RESOURCES = "no descriptors, processes or memory are left: the C library's own words say so"
RUNS = "it runs by then, and the front-end is what ends"
# What no heading has.
ELSEWHERE = {
    "waiting for front-ends: …": NO_RESOURCES,
    "no file descriptor for fences: …": NO_RESOURCES,
    "no file descriptors for fences: …": NO_RESOURCES,
    "can't watch virglrenderer's fences: …": NO_RESOURCES,
    "starting a process to try the renderer in: …": NO_RESOURCES,
    "--fd …: …": NO_RESOURCES,
    "… '…': …": "what else may be wrong with a socket's path, in the C library's own words",
    "the device can't go on; the front-end is given up": RUNS,
    "serving the front-end: …": RUNS,
    "sandbox: reporting of the …: …": "it goes on without",
    "gfxstream cannot start: a process can start it once": "each one starts it once; a unit test's",
    "--sandbox strict: … (…; or use --sandbox on)": "check_part(), whose callers are looked at",
}

# Of an error, what stands for it.
BY_LIBC = ("Permission denied", "No such file or directory")
# What is handed on to what says it.
UNSEEN = ("--socket-path", *BY_LIBC)

# What an option's complaint has to say: what is right.
RIGHT = re.compile(r"allowed|required|see --help|takes no value|needs --")

ELLIPSIS = "…"
LITERAL = r'"(?:[^"\\\n]|\\.)*"'


def strings(text):
    """C's strings, adjacent ones joined, with the texts of macros in their places."""
    macros = macros_of(text)
    for _ in range(2):
        text = re.sub(r"\b(%s)\b" % "|".join(macros or ["(?!)"]),
                      lambda m: macros[m[1]], text)
    for literal in re.findall(r'(?:"(?:[^"\\\n]|\\.)*"\s*)+', text):
        yield "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', literal)).replace('\\"', '"')


def macros_of(text):
    found = re.findall(r'#define (\w+)\s+(?:\\\s+)?((?:"(?:[^"\\]|\\.)*"(?:\s|\\\n)*)+)', text)
    return {name: value.replace("\\\n", " ") for name, value in found}


def without_comments(text):
    return re.sub(rf"({LITERAL})|/\*.*?\*/", lambda m: m[1] or " ", text, flags=re.S)


def calls(text, name):
    """The arguments of each call of the function, as they are written."""
    for match in re.finditer(rf"\b{name}\(", text):
        # Where it begins, which is no call.
        if text[:match.start()].rpartition("\n")[2].startswith("static"):
            continue
        arguments, depth, start = [], 0, match.end()
        for token in re.finditer(rf"{LITERAL}|[(),]", text[start:]):
            at = match.end() + token.start()
            if token[0] == "," and depth == 0:
                arguments.append(text[start:at].strip())
                start = at + 1
            elif token[0] == "(":
                depth += 1
            elif token[0] == ")":
                depth -= 1
                if depth < 0:
                    yield arguments + [text[start:at].strip()]
                    break


def joined(text):
    """One string of the adjacent ones, or None."""
    if not re.fullmatch(rf"(?:{LITERAL}\s*)+", text):
        return None
    return "".join(s[1:-1] for s in re.findall(LITERAL, text)).replace('\\"', '"')


def values(argument, text):
    """What may stand for it: strings, where they can be seen, or an ellipsis."""
    literal = joined(argument)
    if literal is not None:
        return [literal]
    called = re.fullmatch(r"(\w+)\(.*\)", argument, re.S)
    body = called and re.search(rf"^[^\n]*\b{called[1]}\([^;{{]*\)\n{{\n(.*?)^}}$", text, re.M | re.S)
    if not body:
        return [ELLIPSIS]
    return [joined(value) or ELLIPSIS
            for value in re.findall(rf"\breturn ((?:{LITERAL}|[^;\"])*);", body[1])]


def messages(text, macros, name, beginning):
    """All that the calls may say, with an ellipsis for what can't be seen."""
    for _ in range(2):
        text = re.sub(r"\b(%s)\b(?=[^\n]*\n)" % "|".join(macros or ["(?!)"]),
                      lambda m: macros[m[1]], text)
    for arguments in calls(text, name):
        said = [joined(argument) for argument in arguments]
        first = next((i for i, literal in enumerate(said) if literal is not None), None)
        if first is None:
            yield " ".join(arguments)
            continue
        pieces = re.split(r"%[-+ #0]*\d*(?:\.\d+)?(?:hh|h|ll|l|z)?[a-zA-Z]", beginning + said[first])
        more = [values(argument, text) for argument in arguments[first + 1:]]
        more += [[ELLIPSIS]] * (len(pieces) - 1 - len(more))
        for chosen in itertools.product(*more[:len(pieces) - 1]):
            yield "".join(itertools.chain(*itertools.zip_longest(pieces, chosen, fillvalue="")))


def pattern_of(message):
    """A heading's: its ellipses are anything; UNSEEN is what may be one in the sources."""
    parts = re.split(f"({'|'.join((ELLIPSIS, *UNSEEN))})", message)
    return re.compile("".join(
        ".*?" if part == ELLIPSIS else
        f"(?:{re.escape(part)}|{ELLIPSIS})" if i % 2 else re.escape(part)
        for i, part in enumerate(parts)))


def unanswered(sources, headings):
    """Each message of a start that fails, and that no heading has; and excuses without a message."""
    patterns = [pattern_of(message) for heading in headings
                for message in re.findall(r"`([^`]*)`", heading)]
    excused = set()
    headers = {}
    for path in sources.rglob("*.h"):
        headers |= macros_of(path.read_text(encoding="utf-8"))
    for path in sorted(sources.rglob("*.c")):
        text = path.read_text(encoding="utf-8")
        macros = headers | macros_of(text)
        text = without_comments(text)
        where = "src/" + path.relative_to(sources).as_posix()
        for name, beginning in (SAYS | SAYS_IN.get(where, {})).items():
            for message in messages(text, macros, name, beginning):
                if message in ELSEWHERE:
                    excused.add(message)
                elif not any(pattern.match(message) for pattern in patterns):
                    yield f"{where}: no heading has \"{message}\""
        if where == "src/options.c":
            for message in messages(text, macros, "complain", ""):
                if not RIGHT.search(message) and message != ELLIPSIS:
                    yield f"{where}: it is not said what is allowed instead: \"{message}\""
    for message in ELSEWHERE.keys() - excused:
        yield f"nobody says \"{message}\" any more (ELSEWHERE)"


def pieces_of(message):
    """What is the same each time, of those that are long enough to tell something."""
    pieces = [piece.strip(" ().,") for piece in re.split("…|'|: ", message)]
    return [piece for piece in pieces if len(piece) >= SHORT]


def untested(text, quoted):
    """Each message that no test looks for, in a section that does not say why."""
    for headings, body in re.findall(r"((?:^### [^\n]*\n)+)(.*?)(?=^##|\Z)", text, re.M | re.S):
        for message in re.findall(r"`([^`]*)`", headings):
            pieces = [piece for piece in pieces_of(message) if piece not in BY_LIBC]
            longest = max(pieces, key=len, default="")
            # The guest's own, and not the program's.
            if "(No test" not in body and longest not in quoted and longest[:3] != "GL_":
                yield f"no test looks for \"{longest}\""


def main():
    document, sources, tests = map(pathlib.Path, sys.argv[1:])
    said = "\n".join(s for path in sorted(sources.rglob("*.c"))
                     for s in strings(path.read_text(encoding="utf-8")))
    said += "\n" + "\n".join(BY_LIBC) + "\n"
    by_qemu = (tests / "docs" / "run").read_text(encoding="utf-8")
    written = "\n".join(path.read_text(encoding="utf-8")
                        for path in sorted((tests / "proto").glob("test-*.c")))
    text = document.read_text(encoding="utf-8")
    faults = []

    for heading in re.findall(r"^### (.*)$", text, re.M):
        # An old version says it, which tests don't have.
        if "requires kvm" in heading:
            continue
        where = by_qemu + said if heading.startswith("QEMU: ") else said
        for message in re.findall(r"`([^`]*)`", heading):
            for piece in pieces_of(message):
                if piece not in where and not message.startswith(("eglinfo", "GL_")):
                    faults.append(f"nobody says \"{piece}\" ({heading})")
    quoted = "\n".join(s for path in sorted((tests / "proto").glob("*.c"))
                       for s in strings(path.read_text(encoding="utf-8")))
    faults += untested(text, quoted + by_qemu)
    faults += unanswered(sources, re.findall(r"^### (.*)$", text, re.M))
    for name in sorted(set(re.findall(r"`(/proto/[\w/-]+)`", text))):
        last = name.rsplit("/", 1)[1]
        if not re.search(rf'["/]{re.escape(last)}"', written):
            faults.append(f"there is no test {name}")
    for name in sorted(set(re.findall(r"`(trouble/[\w-]+)`", text))):
        if f'"{name}"' not in by_qemu:
            faults.append(f"there is no test {name}")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
