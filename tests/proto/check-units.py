#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Holds what is installed for systemd and libvirt to what these make of it; prints TAP.

usage: check-units.py --binary FILE --docs FILE --discovery FILE UNIT...

A unit is the file that is installed; its folder's name says whose it is, the system's or a user's.
ANALYZE names systemd-analyze; empty: what takes it is skipped.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# QEMU's own; files are taken in the order of their names.
PEER = "50-qemu-gpu.json"
INSTANCE = "vm1"


class Results:
    def __init__(self):
        self.count, self.failed = 0, 0

    def add(self, wrong, name):
        """wrong: what is, or nothing."""
        self.count += 1
        self.failed += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {self.count} - {name}")
        for line in str(wrong or "").splitlines():
            print(f"# {line}")

    def skip(self, reason, name):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {reason}")


def installed_binary(units):
    """The path that the units start."""
    for unit in units:
        found = re.search(r"^ExecStart=(\S+)", unit.read_text(), re.M)
        if found:
            return found[1]
    raise ValueError("no unit starts anything")


def check_discovery(path, binary):
    """As QEMU's docs/interop/vhost-user.json has it."""
    entry = json.loads(path.read_text())
    if set(entry) != {"description", "type", "binary"}:
        return f"other members: {entry}"
    if entry["type"] != "gpu" or entry["binary"] != binary or not os.path.isabs(binary):
        return f"not this program: {entry}, {binary}"
    if not path.name < PEER or not path.name.endswith(".json"):
        return f"{path.name} does not come before {PEER}"
    return None


def analyze(arguments, folder):
    """(status, all it says), of nobody's units but those in folder and systemd's own."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
    env |= {"XDG_RUNTIME_DIR": str(folder), "HOME": str(folder), "SYSTEMD_COLORS": "0",
            "SYSTEMD_LOG_TARGET": "console"}
    done = subprocess.run([os.environ["ANALYZE"], *arguments], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def placed(units, old_binary, binary, folder):
    """Units in a folder, which start what has been built."""
    for unit in units:
        text = unit.read_text().replace(f"ExecStart={old_binary}", f"ExecStart={binary}")
        (folder / unit.name).write_text(text)
    return [str(folder / unit.name.replace("@.", f"@{INSTANCE}.")) for unit in units]


def check_verify(manager, paths, folder):
    # The manual page is not installed yet.
    status, text = analyze(["verify", f"--{manager}", "--man=no", *paths], folder)
    return f"status {status}\n{text}" if status != 0 or text else None


def systemd_version(folder):
    return int(re.search(r"\d+", analyze(["--version"], folder)[1])[0])


def check_score(manager, path, folder, docs):
    """What docs say for this version of systemd; for one that they don't know, the best of them
    and a half."""
    status, text = analyze(["security", f"--{manager}", "--offline=true", "--no-pager", path],
                           folder)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", text)
    if status != 0 or not found:
        return f"status {status}\n{text}"
    score, version = float(found[1]), systemd_version(folder)
    known = {int(v): float(s) for v, m, s in re.findall(
        r"^\| systemd (\d+) \| (\w+) \| ([\d.]+) \|$", docs, re.M) if m == manager}
    print(f"# systemd {version}, {manager}: {score}")
    if not known:
        return f"docs have no score of the {manager}'s"
    if version in known:
        return None if score == known[version] else f"{score}, {known[version]} in the docs"
    return None if score <= max(known.values()) + 0.5 else f"{score}, {known} in the docs"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--docs", type=pathlib.Path, required=True)
    parser.add_argument("--discovery", type=pathlib.Path, required=True)
    parser.add_argument("units", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    results = Results()
    binary = installed_binary(args.units)
    docs = args.docs.read_text()

    results.add(check_discovery(args.discovery, binary), "discovery file")
    for manager in sorted({unit.parent.name for unit in args.units}):
        units = [unit for unit in args.units if unit.parent.name == manager]
        names = f"verify ({manager})", f"score ({manager})"
        if not os.environ.get("ANALYZE"):
            for name in names:
                results.skip("systemd-analyze is not there (Debian: systemd)", name)
            continue
        folder = pathlib.Path(tempfile.mkdtemp(prefix="units-"))
        try:
            paths = placed(units, binary, args.binary.resolve(), folder)
            results.add(check_verify(manager, paths, folder), names[0])
            service = next(path for path in paths if path.endswith(".service"))
            results.add(check_score(manager, service, folder, docs), names[1])
        finally:
            shutil.rmtree(folder)
    print(f"1..{results.count}")
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
