# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Medians, ratios and their spread: on the terminal, as Markdown with plots, and raw as JSON."""
import json
import os
import platform
import statistics
import subprocess

import plots
from rows import DERIVED, TARGETS

OURS = 'ours'
REACHED, MISSED, NOT_MEASURED = 'reached', 'missed', 'not measured'


def number(value):
    """Three digits or more, whatever the size."""
    if value == 0 or abs(value) >= 1000:
        return f'{value:,.0f}'
    return f'{value:.{2 if abs(value) < 10 else 1}f}'


def read(path):
    try:
        with open(path, encoding='utf-8') as file:
            return file.read().strip()
    except OSError:
        return '?'


def cpu_model():
    for line in read('/proc/cpuinfo').splitlines():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.machine()


def version(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ''
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else ''


class Ratio:
    """Ours over a peer's, run by run: the two of one round met the machine in the same mood."""

    def __init__(self, ours, theirs):
        pairs = [a / b for a, b in zip(ours, theirs) if b]
        self.is_known = bool(pairs)
        if pairs:
            self.median = statistics.median(pairs)
            self.low, self.high = min(pairs), max(pairs)

    def __str__(self):
        if not self.is_known:
            return '—'
        return f'{self.median:.2f}× ({self.low:.2f}–{self.high:.2f})'


class Report:
    def __init__(self, args, peers, missing):
        self.args, self.peers, self.missing = args, peers, missing
        self.rows = []  # (row, runs)
        print(f'{args.runs} runs of each, in turns; medians. Ratio: ours / theirs, with the '
              'lowest and highest of a run.')

    def values(self, row_name, peer, key):
        for row, runs in self.rows:
            if row.name == row_name:
                return [run[key] for run in runs.get(peer, []) if key in run]
        return []

    def others(self, runs):
        return [name for name in runs if name != OURS]

    def lines(self, row, runs):
        """[metric, {peer: median}, {peer: Ratio}] of what there is."""
        for metric in row.metrics:
            medians, ratios = {}, {}
            for peer in runs:
                values = self.values(row.name, peer, metric.key)
                if values:
                    medians[peer] = statistics.median(values)
            for peer in self.others(runs):
                ratio = Ratio(self.values(row.name, OURS, metric.key),
                              self.values(row.name, peer, metric.key))
                if ratio.is_known:
                    ratios[peer] = ratio
            is_bad = not metric.is_shown and any(medians.values())
            if medians and (metric.is_shown or is_bad):
                yield metric, medians, ratios

    def add(self, row, runs):
        self.rows.append((row, runs))
        print(f'\n{row.title}')
        for metric, medians, ratios in self.lines(row, runs):
            cells = '  '.join(f'{peer} {number(value)}' for peer, value in medians.items())
            cells_ratio = '  '.join(f'/{peer} {ratio}' for peer, ratio in ratios.items())
            print(f'  {metric.label + (", " + metric.unit if metric.unit else ""):38} '
                  f'{cells:42} {cells_ratio}', flush=True)

    def verdicts(self):
        for target in TARGETS:
            ours = self.values(target.row, OURS, target.key)
            value, text = None, '—'
            against = target.peer or target.than
            if against:
                ratio = Ratio(ours, self.values(target.than or target.row,
                                                target.peer or OURS, target.key))
                if ratio.is_known:
                    value, text = ratio.median, str(ratio)
            elif ours:
                value = statistics.median(ours)
                text = number(value)
            if target.at_least is not None:
                is_met, bound = lambda v: v >= target.at_least, f'≥ {target.at_least:g}'
            else:
                is_met, bound = lambda v: v <= target.at_most, f'≤ {target.at_most:g}'
            unit = '×' if against else ''
            yield (target.label + (f' against {against}' if against else ''), bound + unit, text,
                   NOT_MEASURED if value is None else REACHED if is_met(value) else MISSED)
        for derived in DERIVED:
            bound = f'≤ {derived.at_most:g}'
            try:
                value = derived.compute(self.median)
            except statistics.StatisticsError:
                yield derived.label, bound, '—', NOT_MEASURED
            else:
                yield (derived.label, bound, number(value),
                       REACHED if value <= derived.at_most else MISSED)

    def median(self, row_name, peer, key):
        return statistics.median(self.values(row_name, peer, key))

    def machine(self):
        yield f'{os.cpu_count()} × {cpu_model()}; {platform.system()} {platform.release()}'
        yield (f'GPU: {"yes" if os.path.isdir("/dev/dri") else "none, OpenGL by the CPU"}; '
               f'wmem_default {read("/proc/sys/net/core/wmem_default")}, '
               f'wmem_max {read("/proc/sys/net/core/wmem_max")}')
        yield version([self.args.daemon, '--version'])
        yield version(['qemu-system-x86_64', '--version'])
        commit = version(['git', '-C', os.path.dirname(self.args.report), 'describe', '--always',
                          '--dirty'])
        yield f'commit {commit}' if commit else ''

    def markdown(self, seconds, drawn):
        yield '# Bench\n'
        yield from (f'- {line}' for line in self.machine() if line)
        yield f'- {self.args.runs} runs of each, in turns; {seconds:.0f} s in all'
        for peer in self.peers:
            commands = dict.fromkeys(filter(None, (peer.command, peer.command_3d)))
            yield f'- {peer.name}: ' + ', '.join(f'`{command}`' for command in commands)
        yield from (f'- missing: {what}' for what in self.missing)
        yield '\nMedians. Ratio: ours / theirs in the same round, lowest and highest in brackets.'
        for row, runs in self.rows:
            names = list(runs)
            others = self.others(runs)
            header = ['', *names, *(f'ours / {name}' for name in others)]
            yield f'\n## {row.title}\n'
            yield '| ' + ' | '.join(header) + ' |'
            yield '|---' * len(header) + '|'
            for metric, medians, ratios in self.lines(row, runs):
                cells = [metric.label + (f', {metric.unit}' if metric.unit else '')]
                cells += [number(medians[name]) if name in medians else '—' for name in names]
                cells += [str(ratios.get(name, '—')) for name in others]
                yield '| ' + ' | '.join(cells) + ' |'
        for title, path in drawn:
            yield f'\n## {title}\n\n![{title}]({os.path.basename(path)})'
        yield '\n## Targets\n\n| work | at least / at most | measured | |\n|---|---|---|---|'
        for label, bound, text, verdict in self.verdicts():
            word = f'**{verdict}**' if verdict == MISSED else verdict
            yield f'| {label} | {bound} | {text} | {word} |'

    def draw(self):
        """[(title, path)] of the plots that could be drawn."""
        drawn = []
        for title, function, name in (('Ratios', plots.ratios, '.ratios.svg'),
                                      ('Growth', plots.sizes, '.sizes.svg')):
            path = self.args.report + name
            if os.path.exists(path):
                os.unlink(path)
            try:
                if function(self, path):
                    drawn.append((title, path))
            except FileNotFoundError:
                self.missing.append('plots: no gnuplot (Debian: gnuplot-nox)')
                break
            except subprocess.CalledProcessError as error:
                self.missing.append(f'plot "{title}": gnuplot ended with {error.returncode}')
        return drawn

    def finish(self, seconds):
        drawn = self.draw()
        print('\nTargets')
        for label, bound, text, verdict in self.verdicts():
            if verdict != NOT_MEASURED or not self.args.only:
                print(f'  {verdict:12} {label:44} {bound:8} {text}')
        for what in self.missing:
            print(f'missing: {what}')
        path = self.args.report
        with open(path + '.md', 'w', encoding='utf-8') as file:
            file.write('\n'.join(self.markdown(seconds, drawn)) + '\n')
        with open(path + '.json', 'w', encoding='utf-8') as file:
            json.dump({row.name: runs for row, runs in self.rows}, file, indent=1)
        print(f'{seconds:.0f} s; {path}.md, .json' +
              ''.join(f', {os.path.basename(plot)}' for _, plot in drawn))
