#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Runs every kind of work on every back-end found, in turns, and reports; see scripts/bench."""
import argparse
import glob
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import report
from rows import ROWS

QEMU = '/usr/lib/qemu/vhost-user-gpu'
LIMIT_S = 600
FLOOR_3D = 'floor-3d'


@dataclass(frozen=True)
class Peer:
    name: str
    command: str
    command_3d: str = ''


def find_peers(args):
    """Ours first; what is not there is said."""
    daemon = shlex.quote(args.daemon)
    peers = [Peer('ours', f'{daemon} -s @SOCK@ --gpu-mode 2d',
                  f'{daemon} -s @SOCK@ --gpu-mode virglrenderer')]
    missing = []
    has_gpu = bool(glob.glob('/dev/dri/renderD*'))
    if os.access(QEMU, os.X_OK):
        peers.append(Peer('qemu', f'{QEMU} -s @SOCK@', f'{QEMU} -v -s @SOCK@' if has_gpu else ''))
        if not has_gpu:
            missing.append("QEMU's back-end in 3D: it needs a render node, and there is none")
    else:
        missing.append(f"QEMU's back-end: no {QEMU} (Debian: qemu-system-gui)")
    rust = shutil.which('vhost-device-gpu')
    if rust:
        peers.append(Peer('rust-vmm', f'{rust} -s @SOCK@ --gpu-mode null',
                          f'{rust} -s @SOCK@ --gpu-mode virglrenderer'))
    else:
        missing.append("rust-vmm's vhost-device-gpu: not on PATH "
                       '(where Rust is: cargo install vhost-device-gpu)')
    for text in args.peer:
        name, _, command = text.partition('=')
        name, _, kind = name.partition(':')
        peers.append(Peer(name, command if kind != '3d' else '', command if kind == '3d' else ''))
    return peers, missing


def call(args, row, name, command):
    """One run; its results, or None and a word on standard error."""
    seconds = row.quick_seconds if args.quick else row.seconds
    argv = [args.bench, '--seconds', str(seconds)]
    if row.counts_calls:
        argv.append('--calls')
    if args.let_sleep or row.lets_sleep:
        argv.append('--let-sleep')
    argv.append(name)
    if command:
        argv.append(command)
    if name == FLOOR_3D:
        argv = [os.path.join(os.path.dirname(args.bench), 'virgl-floor'), str(seconds)]
    env = dict(os.environ, TMPDIR=args.tmp)
    if not glob.glob('/dev/dri/renderD*'):
        env['LIBGL_ALWAYS_SOFTWARE'] = '1'
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, env=env,
                              check=False)
    except subprocess.TimeoutExpired:
        print(f'{row.name}: no end after {LIMIT_S} s: {command}', file=sys.stderr)
        return None
    if done.returncode != 0:
        print(f'{row.name}: {command}: exit {done.returncode}: {done.stderr.strip()}',
              file=sys.stderr)
        return None
    return {key: float(value) for key, value in map(str.split, done.stdout.splitlines())}


def contenders(row, peers):
    """Who takes part: (name, the bench's row, command)."""
    found = []
    for peer in peers[:1] if row.is_ours else peers:
        command = peer.command_3d if row.needs_3d else peer.command
        if command:
            found.append((peer.name, row.command, command))
    if row.floor:
        found.append(('floor', row.floor, None))
    return found


def measure(args, row, peers):
    """{peer: [results of one run, ...]}; runs alternate A B A B."""
    runs = {}
    n_runs = min(args.runs, row.runs) if row.runs else args.runs
    for _ in range(n_runs):
        for name, bench_row, command in contenders(row, peers):
            results = call(args, row, bench_row, command)
            runs.setdefault(name, [])
            if results is not None:
                runs[name].append(results)
    return runs


def main():
    parser = argparse.ArgumentParser(prog='scripts/bench')
    parser.add_argument('--bench', required=True, help=argparse.SUPPRESS)
    parser.add_argument('--daemon', required=True, help=argparse.SUPPRESS)
    parser.add_argument('--report', required=True, help=argparse.SUPPRESS)
    parser.add_argument('--quick', action='store_true', help='a look, in under two minutes')
    parser.add_argument('--runs', type=int, help='of each back-end and work [5; 2 if quick]')
    parser.add_argument('--only', help='these rows, comma separated')
    parser.add_argument('--list', action='store_true', help='name the rows')
    parser.add_argument('--let-sleep', action='store_true',
                        help='let the CPUs go idle; in a virtual machine that swamps all else')
    parser.add_argument('--peer', action='append', default=[], metavar='NAME=COMMAND',
                        help='one more back-end; @SOCK@ in the command is its socket')
    args = parser.parse_args()
    if args.list:
        print('\n'.join(f'{row.name:18} {row.title}' for row in ROWS))
        return 0
    args.runs = args.runs or (2 if args.quick else 5)
    wanted = args.only.split(',') if args.only else [
        row.name for row in ROWS if not row.is_extra and not (args.quick and row.is_long)]
    unknown = set(wanted) - {row.name for row in ROWS}
    if unknown:
        parser.error(f'no such row: {", ".join(sorted(unknown))}')
    peers, missing = find_peers(args)
    started = time.monotonic()
    out = report.Report(args, peers, missing)
    out.missing += [f'{row.title}: not in a quick look (--only {row.name})' for row in ROWS
                    if row.is_long and row.name not in wanted and not args.only]
    with tempfile.TemporaryDirectory(prefix='bench-') as args.tmp:
        for row in ROWS:
            if row.name not in wanted:
                continue
            if row.counts_calls and not shutil.which('strace'):
                out.missing.append(f'{row.title}: no strace')
                continue
            out.add(row, measure(args, row, peers))
    out.finish(time.monotonic() - started)
    return 0


if __name__ == '__main__':
    sys.exit(main())
