#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Tables, in Markdown, of how back-ends take the attacks; see scripts/attacks.

usage: attacks-table.py LIST BACK-END...

LIST holds what --list printed, and each file that is called like a back-end what --compare did.
"""

import sys

# In the order of what is worse; see attacks_compare.h.
VERDICTS = {
    'expected': 'answered as expected',
    'otherwise': 'answered in another way',
    'leaked': 'leaks',
    'stalled': 'hangs',
    'died': 'dies',
    'n/a': 'lacks what is attacked',
}
SURVIVED = ('expected', 'otherwise')
HARM = ('leaked', 'stalled', 'died')


def read(path):
    """The rows of a file of columns."""
    with open(path, encoding='utf-8', errors='replace') as file:
        return [line.rstrip('\n').split('\t') for line in file]


def row(*cells):
    return '| ' + ' | '.join(str(cell) for cell in cells) + ' |'


def head(*cells):
    return [row(*cells), '|' + ' --- |' * len(cells)]


def said(verdict):
    return 'hung' if verdict == 'stalled' else verdict


def cell(verdicts):
    """A number: so many as expected. What was otherwise is said."""
    if not verdicts:
        return '–'
    counts = {name: verdicts.count(name) for name in VERDICTS if name in verdicts}
    parts = [str(counts.pop('expected'))] if 'expected' in counts else []
    return ', '.join(parts + [f'{n} {said(name)}' for name, n in counts.items()])


def totals(attacks, backends):
    of_each = [[found[a][0] for a in attacks if a in found] for found in backends.values()]
    yield from head('', *backends)
    yield row('survived', *(f'{sum(v in SURVIVED for v in verdicts)} of '
                            f'{sum(v != "n/a" for v in verdicts)}' for verdicts in of_each))
    for name, words in VERDICTS.items():
        yield row(words, *(verdicts.count(name) for verdicts in of_each))


def groups(attacks, backends):
    yield from head('attacks', 'number', *backends)
    of_group = {}
    for name in attacks:
        of_group.setdefault(name.split('/')[0], []).append(name)
    for group, names in of_group.items():
        names = [n for n in names if any(n in found for found in backends.values())]
        if names:
            yield row(f'`{group}`', len(names),
                      *(cell([found[n][0] for n in names if n in found])
                        for found in backends.values()))


def harm(attacks, backends):
    """Each attack that some back-end leaks, hangs or dies at, and how."""
    yield from head('attack', 'what it does', *backends)
    for name, does in attacks.items():
        ends = [found.get(name, ('–', '')) for found in backends.values()]
        if any(verdict in HARM for verdict, _ in ends):
            yield row(f'`{name}`', does,
                      *(f'{verdict}: {why}' if verdict == 'died' else said(verdict)
                        for verdict, why in ends))


def main():
    attacks = {name: does for name, does, _ in read(sys.argv[1])}
    backends = {path: {name: (verdict, why) for name, verdict, why in read(path)}
                for path in sys.argv[2:]}
    for table in (totals, groups, harm):
        print('\n'.join(table(attacks, backends)), end='\n\n')


if __name__ == '__main__':
    main()
