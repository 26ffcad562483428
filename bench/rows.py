# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What is measured, what of it is printed, and what it is held to."""
from dataclasses import dataclass, field

import guest

HIGHER, LOWER = 1, -1


@dataclass(frozen=True)
class Metric:
    key: str
    label: str
    unit: str
    better: int
    is_shown: bool = True


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    metrics: tuple
    seconds: float = 1.0
    quick_seconds: float = 0.4
    headline: str = ''      # the metric that stands for the row in a plot
    floor: str = ''         # the row that measures the floor
    shows: bool = True      # pictures
    needs_3d: bool = False
    counts_calls: bool = False
    runs: int = 0           # 0: as many as asked for; else no more than so many, one if quick
    is_extra: bool = False  # only when asked for by name
    is_long: bool = False   # not in a quick look
    is_ours: bool = False   # no peers
    lets_sleep: bool = False
    is_guest: bool = False  # measured by guest.py
    maps: bool = False      # memory of the host's, by a library of the tests and by Venus

    @property
    def command(self):
        return self.name.removesuffix('-calls')


def frames(name, title, floor='', **kwargs):
    return Row(name, title, (
        Metric('frames_per_s', 'frames shown', '/s', HIGHER),
        Metric('guest_frames_per_s', 'flushes answered', '/s', HIGHER),
        Metric('kick_to_pixels_p50_us', 'kick to pixels p50', 'µs', LOWER),
        Metric('kick_to_pixels_p99_us', 'kick to pixels p99', 'µs', LOWER),
        Metric('cpu_us_per_frame', 'back-end CPU per frame shown', 'µs', LOWER),
        Metric('torn', 'torn frames', '', LOWER, False),
        Metric('stale', 'frames out of order', '', LOWER, False),
    ), floor=floor, headline='kick_to_pixels_p50_us' if name.endswith('-paced')
        else 'frames_per_s', **kwargs)


def calls(name, title, **kwargs):
    return Row(name + '-calls', title, (
        Metric('calls_total', 'system calls', 'each', LOWER),
    ), headline='calls_total', counts_calls=True, runs=1, **kwargs)


def latency(key, label):
    return (Metric(key + '_p50_us', label + ' p50', 'µs', LOWER),
            Metric(key + '_p99_us', label + ' p99', 'µs', LOWER))


def count(n, what):
    return f'{n} {what}' + 's' * (n != 1)


def contexts(n):
    """A clear in each of @n contexts, all in flight."""
    who = count(n, 'context')
    return (*latency(f'clears_{n}_contexts', f'clears, {who}'),
            Metric(f'clears_per_s_{n}_contexts', f'clears, {who}', '/s', HIGHER),
            *latency(f'clears_fenced_{n}_contexts', f'fenced clears, {who}'),
            Metric(f'clears_fenced_per_s_{n}_contexts', f'fenced clears, {who}', '/s', HIGHER))


SIZES = ((64, 64), (256, 256), (640, 480), (1280, 800), (1920, 1080), (2560, 1440), (3840, 2160))


def growth(key, label):
    return (Metric(f'cpu_us_per_frame_{key}', f'back-end CPU per frame, {label}', 'µs', LOWER),
            Metric(f'kick_to_pixels_{key}_p50_us', f'kick to pixels p50, {label}', 'µs', LOWER))


def flat(tuples):
    return tuple(metric for metrics in tuples for metric in metrics)


ROWS = (
    Row('start', 'Start', (
        Metric('start_ms', 'exec to first answer', 'ms', LOWER),
        Metric('start_cpu_ms', 'CPU until then', 'ms', LOWER),
        Metric('rss_mib', 'RSS then, all processes', 'MiB', LOWER),
        Metric('pss_mib', 'PSS then', 'MiB', LOWER),
        Metric('threads', 'threads', '', LOWER),
    ), headline='start_ms', shows=False, lets_sleep=True),
    Row('idle', 'Idle', (
        Metric('idle_cpu_ms_per_s', 'CPU', 'ms/s', LOWER),
        Metric('idle_wakeups_per_s', 'wake-ups', '/s', LOWER),
    ), seconds=5, quick_seconds=1, runs=2, lets_sleep=True, shows=False),
    Row('queue-1-together', 'Queue, one command in flight, guest and back-end on one CPU', (
        Metric('commands_per_s', 'commands', '/s', HIGHER),
        Metric('cpu_us_per_command', 'back-end CPU per command', 'µs', LOWER),
    ), headline='commands_per_s', shows=False),
    Row('queue-1-apart', 'Queue, one command in flight, guest and back-end on CPUs of their own', (
        Metric('commands_per_s', 'commands', '/s', HIGHER),
        Metric('cpu_us_per_command', 'back-end CPU per command', 'µs', LOWER),
    ), headline='commands_per_s', shows=False),
    Row('queue-64', 'Queue, 64 commands in flight', (
        Metric('commands_per_s', 'commands', '/s', HIGHER),
        Metric('cpu_us_per_command', 'back-end CPU per command', 'µs', LOWER),
    ), headline='commands_per_s', shows=False),
    frames('small', '64×64 of a 1080p screen, guest at full speed', 'floor-small'),
    frames('1080p', '1080p, guest at full speed', 'floor-1080p', seconds=2),
    frames('4k', '4K, guest at full speed', 'floor-4k', seconds=3, quick_seconds=0.6),
    frames('1080p-blob', '1080p out of three guest blobs in turn, no transfer', seconds=2,
           is_ours=True),
    frames('4k-blob', '4K out of three guest blobs in turn, no transfer', seconds=3,
           quick_seconds=0.6, is_ours=True),
    Row('map-blob', 'Host memory, 16 MiB, into the window of a guest and out of it', (
        *latency('create', 'blob created'),
        *latency('map_new', 'and mapped'),
        *latency('unmap_new', 'and unmapped'),
        *latency('destroy', 'and destroyed'),
        *latency('map', 'the same mapped again'),
        *latency('unmap', 'and unmapped again'),
    ), headline='map_p50_us', is_ours=True, maps=True, shows=False),
    frames('small-paced', '64×64, one frame at a time'),
    frames('1080p-paced', '1080p, one frame at a time', seconds=2),
    frames('4k-paced', '4K, one frame at a time', seconds=2, is_long=True),
    frames('1080p-blob-paced', '1080p out of guest blobs, one frame at a time', seconds=2,
           is_ours=True),
    frames('1080p-skimmed', '1080p, one frame at a time, display that copies nothing', seconds=2),
    frames('1080p-blob-skimmed', 'the same out of guest blobs, no transfer', seconds=2,
           is_ours=True),
    frames('4k-skimmed', '4K, one frame at a time, display that copies nothing', seconds=2,
           is_long=True),
    frames('4k-blob-skimmed', 'the same out of guest blobs, no transfer', seconds=2,
           is_long=True, is_ours=True),
    frames('4k-blob-paced', '4K out of guest blobs, one frame at a time', seconds=2, is_long=True,
           is_ours=True),
    calls('queue-64', 'System calls per command, 64 in flight', shows=False),
    calls('small', 'System calls per 64×64 flush, guest at full speed'),
    calls('small-paced', 'System calls per 64×64 flush, back-end asleep before', is_long=True),
    calls('1080p-paced', 'System calls per 1080p flush, back-end asleep before', is_long=True),
    Row('cursor', 'Cursor while 4K frames stream, 1,000 moves or new images a second', (
        *latency('move_answered', 'move to answer'),
        *latency('move_to_display', 'move to display'),
        Metric('moves_per_s', 'moves', '/s', HIGHER),
        Metric('move_frames_per_s', 'frames shown meanwhile', '/s', HIGHER),
        *latency('update_answered', 'new image to answer'),
        *latency('update_to_display', 'new image to display'),
        Metric('updates_per_s', 'new images', '/s', HIGHER),
        Metric('update_frames_per_s', 'frames shown meanwhile', '/s', HIGHER),
    ), headline='move_to_display_p50_us', seconds=1.5),
    Row('slow', 'A display that reads 20 frames/s, a guest that draws 60', (
        *latency('probe_answered', 'other command to answer'),
        Metric('guest_frames_per_s', 'flushes answered', '/s', HIGHER),
        Metric('frames_per_s', 'frames shown', '/s', HIGHER),
        Metric('pss_busy_mib', 'PSS meanwhile', 'MiB', LOWER),
    ), headline='probe_answered_p50_us', seconds=2, quick_seconds=0.6),
    Row('many', '32 back-ends, a 1080p screen each', (
        Metric('pss_mib_each', 'PSS of each', 'MiB', LOWER),
        Metric('idle_cpu_ms_per_s', 'CPU of all, idle', 'ms/s', LOWER),
        Metric('idle_wakeups_per_s', 'wake-ups of all, idle', '/s', LOWER),
    ), headline='pss_mib_each', seconds=5, quick_seconds=1, runs=2, lets_sleep=True),
    # With a buffer: --peer 'buffers=... --dmabuf on', where there is a /dev/udmabuf.
    Row('first-flush', 'The first flush of a 1080p picture in scattered pages, with a buffer and '
        'without', (
            *latency('first_flush', 'flush to answer'),
            Metric('buffers', 'that were buffers', '', HIGHER),
        ), headline='first_flush_p50_us', is_extra=True),
    Row('torn', 'Whole frames only: 100,000 to each of three displays', (
        Metric('shown_fast', 'shown by a fast display', '', HIGHER),
        Metric('shown_slow', 'by a slow one', '', HIGHER),
        Metric('shown_stalling', 'by one that stalls', '', HIGHER),
    ), runs=1, is_extra=True, is_ours=True),
    Row('3d', 'OpenGL', (
        *latency('submit_empty', 'SUBMIT_3D, nothing to draw'),
        *latency('submit_empty_fenced', 'SUBMIT_3D, nothing to draw, fenced'),
        *latency('submit_clear', 'SUBMIT_3D, clear 64×64'),
        *latency('submit_clear_fenced', 'SUBMIT_3D, clear 64×64, fenced'),
        *contexts(1),
        *contexts(8),
        *contexts(64),
        *latency('read_1080p', 'read-back of 1080p, nothing else'),
        *latency('transfer_1080p', 'TRANSFER_TO_HOST_3D 1080p'),
        *latency('flush_1080p_answered', '1080p flush to answer'),
        *latency('flush_1080p_shown', '1080p flush to pixels'),
    ), headline='submit_clear_fenced_p50_us', seconds=0.5, quick_seconds=0.1, needs_3d=True,
        floor='floor-3d', shows=False),
    Row('growth-size', 'A frame by its size, one at a time',
        flat(growth(f'{width}x{height}', f'{width}×{height}') for width, height in SIZES),
        seconds=0.4, is_long=True),
    Row('growth-scanouts', '1080p frames by scanouts, one at a time on each',
        flat(growth(f'{n}_scanouts', count(n, 'scanout')) for n in (1, 2, 4)),
        seconds=0.5, runs=3, is_long=True),
    Row('growth-vms', '1080p frames by virtual machines, one at a time on each',
        flat((*growth(f'{n}_machines', count(n, 'machine')),
              Metric(f'pss_mib_each_{n}_machines', f'PSS of each, {count(n, "machine")}', 'MiB',
                     LOWER))
             for n in (1, 8, 32)),
        seconds=0.5, runs=2, is_long=True),
    Row('guest', 'glmark2 in a guest; qemu: its own virtio-gpu-gl; vtest: the host itself, over '
        "virglrenderer's vtest server", (
            Metric('score', 'score', '', HIGHER),
            *(Metric(f'fps_{scene}', scene, 'frames/s', HIGHER) for scene in guest.SCENES),
        ), headline='score', is_long=True, is_guest=True),
)


def added_by_fence(get):
    """What a fence adds to a SUBMIT_3D, beyond what it adds in the library itself, in µs."""
    ours, floor = [get('3d', peer, 'submit_clear_fenced_p50_us') -
                   get('3d', peer, 'submit_clear_p50_us') for peer in ('ours', 'floor')]
    return ours - floor


def flush_3d(get):
    """A 1080p flush until it is seen, against reading it back and the floor's way of sending."""
    return (get('3d', 'ours', 'flush_1080p_shown_p50_us') /
            (get('3d', 'floor', 'read_1080p_p50_us') + 1e6 / get('1080p', 'floor', 'frames_per_s')))


@dataclass(frozen=True)
class Derived:
    """A number made of several medians."""
    label: str
    compute: object
    at_most: float


DERIVED = (
    Derived('a fence beyond its GL sync, p50, µs', added_by_fence, 60),
    Derived('1080p 3D flush against read-back + floor', flush_3d, 1.25),
)


@dataclass(frozen=True)
class Target:
    """row.key of ours, within bounds: as a ratio to a peer's, or to another row's, or as it is."""
    row: str
    key: str
    label: str
    peer: str = ''
    than: str = ''          # the other row
    at_least: float = field(default=None)
    at_most: float = field(default=None)


TARGETS = (
    Target('1080p', 'frames_per_s', '1080p frames/s', 'qemu', at_least=2.0),
    Target('1080p', 'frames_per_s', '1080p frames/s', 'floor', at_least=1.0),
    Target('4k', 'frames_per_s', '4K frames/s', 'floor', at_least=1.0),
    Target('1080p-blob-skimmed', 'frames_per_s', '1080p frames/s of a blob',
           than='1080p-skimmed', at_least=1.3),
    Target('4k-blob-skimmed', 'frames_per_s', '4K frames/s of a blob', than='4k-skimmed',
           at_least=1.3),
    Target('1080p-blob', 'cpu_us_per_frame', 'CPU per 1080p frame of a blob', than='1080p',
           at_most=0.77),
    Target('small', 'frames_per_s', '64×64 frames/s', 'qemu', at_least=4.0),
    Target('queue-64', 'commands_per_s', 'commands/s, depth 64', 'qemu', at_least=6.0),
    Target('queue-1-together', 'commands_per_s', 'commands/s, depth 1, on one CPU', 'qemu',
           at_least=1.5),
    Target('queue-1-apart', 'commands_per_s', 'commands/s, depth 1, on two CPUs', 'qemu',
           at_least=1.5),
    Target('1080p-paced', 'cpu_us_per_frame', 'CPU per 1080p frame', 'qemu', at_most=0.5),
    Target('small-calls', 'calls_total', 'system calls per small flush', at_most=4),
    Target('cursor', 'move_answered_p99_us', 'cursor p99 under 4K, µs', at_most=2000),
    Target('start', 'start_ms', 'start to first answer', 'qemu', at_most=1.0),
    Target('start', 'rss_mib', 'RSS when idle', 'qemu', at_most=1.0),
    Target('idle', 'idle_wakeups_per_s', 'idle wake-ups', at_most=0),
)
