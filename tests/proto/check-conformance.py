#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Holds docs/conformance.md to the outcomes that the proto suites left behind.

usage: check-conformance.py TABLE RESULTS_FOLDER

Fails for a cell that names no test, for a test that did not run or failed, and for a command of
the device that has no row. A test that was skipped is listed, with its name, and does not fail.
"""

import pathlib
import re
import sys

COMMANDS = """
    GET_DISPLAY_INFO GET_EDID RESOURCE_CREATE_2D RESOURCE_UNREF SET_SCANOUT RESOURCE_FLUSH
    TRANSFER_TO_HOST_2D RESOURCE_ATTACH_BACKING RESOURCE_DETACH_BACKING GET_CAPSET_INFO GET_CAPSET
    RESOURCE_ASSIGN_UUID RESOURCE_CREATE_BLOB SET_SCANOUT_BLOB RESOURCE_MAP_BLOB
    RESOURCE_UNMAP_BLOB CTX_CREATE CTX_DESTROY CTX_ATTACH_RESOURCE CTX_DETACH_RESOURCE
    RESOURCE_CREATE_3D TRANSFER_TO_HOST_3D TRANSFER_FROM_HOST_3D SUBMIT_3D UPDATE_CURSOR
    MOVE_CURSOR
""".split()
MODES = ["null", "2d", "virglrenderer", "gfxstream"]


def read_table(path):
    """Returns {row name: [cell, ...]} of the rows of all tables, and every test named anywhere."""
    rows = {}
    text = path.read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith("|") or set(line) <= set("|-: "):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        rows[cells[0].strip("`")] = cells[1:]
    return rows, set(re.findall(r"`(/proto/[\w/-]+)`", text))


def read_results(folder):
    outcomes = {}
    for path in sorted(folder.glob("*.results")):
        for line in path.read_text(encoding="utf-8").splitlines():
            outcome, name = line.split(" ", 1)
            outcomes[name] = outcome
    return outcomes


def main():
    rows, named = read_table(pathlib.Path(sys.argv[1]))
    outcomes = read_results(pathlib.Path(sys.argv[2]))
    faults = []

    for command in COMMANDS:
        cells = rows.get(command, [])
        if len(cells) != len(MODES):
            faults.append(f"{command}: {len(cells)} cells for {len(MODES)} modes")
        for mode, cell in zip(MODES, cells):
            tests = re.findall(r"/proto/[\w/-]+", cell)
            if not any(f"/{mode}/" in test for test in tests):
                faults.append(f"{command} in {mode}: names no test of that mode")
    for test in sorted(named):
        outcome = outcomes.get(test, "not run")
        if outcome == "skip":
            print(f"skipped: {test}")
        elif outcome != "ok":
            faults.append(f"{test}: {outcome}")
    for fault in faults:
        print(fault)
    print(f"{len(named)} tests named, {len(faults)} faults")
    return 1 if faults or not named else 0


if __name__ == "__main__":
    sys.exit(main())
