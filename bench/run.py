#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Runs every kind of work on every back-end found, in turns, and reports; see scripts/bench."""
import argparse
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import guest
import report
from rows import ROWS

QEMU = '/usr/lib/qemu/vhost-user-gpu'
LIMIT_S = 600
# All of it, with what scripts/bench has done before.
TOTAL_S = 14.5 * 60
# A back-end that fails this often at a row has no more runs of it.
MAX_FAILURES = 2
FLOOR_3D = 'floor-3d'


@dataclass(frozen=True)
class Peer:
    name: str
    command: str
    command_3d: str = ''
    shows: bool = True  # pictures, without a GPU
    mappers: tuple = ()  # ways to have memory to map: (name, command)


def find_mappers(args, command):
    """Ours with a library that does nothing but make a file, and with Vulkan, which a host may
    lack."""
    build = os.path.dirname(os.path.dirname(args.bench))
    mock = shlex.quote(os.path.join(build, 'tests/proto/mock-virglrenderer'))
    variables = (f'LD_LIBRARY_PATH={mock} RENDER_SERVER_EXEC_PATH={mock}/mock-render-server '
                 'VK_DRIVER_FILES=/dev/null')
    return (('ours', f'env {variables} {command} --hostmem 1G'),
            ('venus', f'{command} --hostmem 1G'))


def find_peers(args):
    """Ours first; what is not there is said."""
    daemon = shlex.quote(args.daemon)
    command_3d = f'{daemon} -s @SOCK@ --gpu-mode virglrenderer'
    peers = [Peer('ours', f'{daemon} -s @SOCK@ --gpu-mode 2d', command_3d,
                  mappers=find_mappers(args, command_3d))]
    missing = []
    has_gpu = bool(glob.glob('/dev/dri/renderD*'))
    if os.access(QEMU, os.X_OK):
        peers.append(Peer('qemu', f'{QEMU} -s @SOCK@', f'{QEMU} -v -s @SOCK@' if has_gpu else ''))
        if not has_gpu:
            missing.append("QEMU's back-end in 3D: it needs a render node, and there is none")
    else:
        missing.append(f"QEMU's back-end: no {QEMU} (Debian: qemu-system-gui)")
    find_rust(peers, missing)
    for text in args.peer:
        name, _, command = text.partition('=')
        name, _, kind = name.partition(':')
        peers.append(Peer(name, command if kind != '3d' else '', command if kind == '3d' else ''))
    return peers, missing


def is_rust(path):
    """Ours may be installed under the same name, and knows an option that theirs doesn't."""
    done = subprocess.run([path, '--print-capabilities'], capture_output=True, check=False)
    return done.returncode != 0


def find_rust(peers, missing):
    """rust-vmm's: it shows pictures only as dma-bufs, which take a GPU, or by gfxstream."""
    found = filter(None, (shutil.which('vhost-device-gpu'),
                          shutil.which('vhost-device-gpu',
                                       path=os.path.expanduser('~/.cargo/bin'))))
    path = next(filter(is_rust, found), None)
    if not path:
        missing.append("rust-vmm's vhost-device-gpu: neither on PATH nor in ~/.cargo/bin (where "
                       'Rust is: cargo install vhost-device-gpu --locked --no-default-features, '
                       'see docs/performance.md)')
        return
    usage = subprocess.run([path, '--help'], capture_output=True, text=True, check=False).stdout
    path = shlex.quote(path)
    has_virgl = 'virglrenderer' in usage
    peers.append(Peer('rust-vmm', f'{path} -s @SOCK@ --gpu-mode null',
                      f'{path} -s @SOCK@ --gpu-mode virglrenderer' if has_virgl else '', False))
    missing.append("rust-vmm's back-end where pictures are shown: its null mode shows none, and "
                   'its virglrenderer mode none without a GPU')
    if not has_virgl:
        missing.append("rust-vmm's back-end in 3D: it was built without backend-virgl")


def call(args, row, name, command):
    """One run: its results, and what went wrong if something did."""
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
        return {}, f'no end after {LIMIT_S} s'
    error = ''
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f'exit {done.returncode}']
        error = re.sub(r'.*ERROR \*\*: ([\d:.]+: )?', '', said[-1])
    return {key: float(value) for key, value in map(str.split, done.stdout.splitlines())}, error


def contenders(row, peers):
    """Who takes part: (name, the bench's row, command)."""
    found = []
    if row.maps:
        return [(name, row.command, command) for name, command in peers[0].mappers]
    for peer in peers[:1] if row.is_ours else peers:
        command = peer.command_3d if row.needs_3d else peer.command
        if command and (peer.shows or not row.shows):
            found.append((peer.name, row.command, command))
    if row.floor:
        found.append(('floor', row.floor, None))
    return found


def measure(args, row, peers, missing):
    """{peer: [results of one run, ...]}; runs alternate A B A B."""
    runs, errors = {}, {}
    n_runs = args.runs
    if row.runs:
        n_runs = 1 if args.quick else min(args.runs, row.runs)
    for _ in range(n_runs):
        for name, bench_row, command in contenders(row, peers):
            if len(errors.get(name, [])) == MAX_FAILURES:
                continue
            results, error = call(args, row, bench_row, command)
            runs.setdefault(name, [])
            # What was measured before it failed is as good as any.
            if results:
                runs[name].append(results)
            if error:
                errors.setdefault(name, []).append(error)
                print(f'{row.name}: {command}: {error}', file=sys.stderr)
    missing += [f'some of "{row.title}" by {name}: {said[-1]}' for name, said in errors.items()]
    return runs


def main():
    parser = argparse.ArgumentParser(prog='scripts/bench')
    parser.add_argument('--bench', default='', help=argparse.SUPPRESS)
    parser.add_argument('--daemon', default='', help=argparse.SUPPRESS)
    parser.add_argument('--report', default='', help=argparse.SUPPRESS)
    parser.add_argument('--spent', type=float, default=0, help=argparse.SUPPRESS)
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
    started = time.monotonic() - args.spent
    out = report.Report(args, peers, missing)
    if args.quick and not args.only:
        out.missing.append('in a quick look: ' +
                           ', '.join(row.name for row in ROWS if row.is_long))
    with tempfile.TemporaryDirectory(prefix='bench-') as args.tmp:
        for row in ROWS:
            if row.name not in wanted:
                continue
            if row.counts_calls and not shutil.which('strace'):
                out.missing.append(f'{row.title}: no strace')
                continue
            if row.is_guest:
                left_s = LIMIT_S if args.only else TOTAL_S - (time.monotonic() - started)
                out.add(row, guest.measure(args.daemon, args.runs, left_s, out.missing))
            else:
                out.add(row, measure(args, row, peers, out.missing))
    out.finish(time.monotonic() - started)
    return 0


if __name__ == '__main__':
    sys.exit(main())
