#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Holds docs/troubleshooting.md to what is really said, and to tests that there are.

usage: check-troubleshooting.py DOCUMENT SOURCE_FOLDER TESTS_FOLDER

A heading quotes a message, with an ellipsis for what varies: each piece is in a string of the
sources, or, where the heading begins with QEMU, of tests/docs/run, which sees QEMU say it. Each
/proto/... that is named is a test; that it does not fail, the proto suite says.
"""

import pathlib
import re
import sys

SHORT = 6


def strings(text):
    """C's strings, adjacent ones joined, with the texts of macros in their places."""
    macros = dict(re.findall(r'#define (\w+)\s+(?:\\\s+)?((?:"(?:[^"\\]|\\.)*"(?:\s|\\\n)*)+)', text))
    for _ in range(2):
        text = re.sub(r"\b(%s)\b" % "|".join(macros or ["(?!)"]),
                      lambda m: macros[m[1]], text)
    for literal in re.findall(r'(?:"(?:[^"\\\n]|\\.)*"\s*)+', text):
        yield "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', literal)).replace('\\"', '"')


def main():
    document, sources, tests = map(pathlib.Path, sys.argv[1:])
    said = "\n".join(s for path in sorted(sources.rglob("*.c"))
                     for s in strings(path.read_text(encoding="utf-8")))
    # What the C library says of an error, and what stands for it.
    said += "\nPermission denied\nNo such file or directory\n"
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
            for piece in re.split("…|'|: ", message):
                piece = piece.strip(" ().,")
                if len(piece) >= SHORT and piece not in where and \
                        not message.startswith(("eglinfo", "GL_")):
                    faults.append(f"nobody says \"{piece}\" ({heading})")
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
