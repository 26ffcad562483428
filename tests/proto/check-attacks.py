#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Holds a document to the attacks that there are.

usage: check-attacks.py DOCUMENT PROGRAM...

Fails for an attack that the document names, as `group/name` or `group/*`, and no PROGRAM lists,
and for a group that it does not name at all: what is not there can't have been shown.
"""

import pathlib
import re
import subprocess
import sys


def list_attacks(programs):
    for program in programs:
        done = subprocess.run([program, '--list'], capture_output=True, text=True, check=True)
        for line in done.stdout.splitlines():
            yield line.split('\t')[0]


def main():
    attacks = set(list_attacks(sys.argv[2:]))
    groups = {name.split('/')[0] for name in attacks}
    text = pathlib.Path(sys.argv[1]).read_text(encoding='utf-8')
    named = set(re.findall(r'`(\w+/(?:\w+|\*))`', text))
    faults = [f'{name}: no such attack' for name in sorted(named - attacks)
              if not (name.endswith('/*') and name[:-2] in groups)]
    faults += [f'{group}: not named' for group in sorted(groups)
               if not any(name.startswith(group + '/') for name in named)]
    for fault in faults:
        print(fault)
    print(f'{len(attacks)} attacks, {len(named)} named, {len(faults)} faults')
    return 1 if faults or not named else 0


if __name__ == '__main__':
    sys.exit(main())
