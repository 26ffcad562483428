# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Pictures of a report, drawn by gnuplot as SVG."""
import statistics
import subprocess

from rows import HIGHER, SIZES

BAR_PX, FRAME_PX = 20, 90
# Where a picture by size comes from when the row for it was left out.
PACED = {'small-paced': 64 * 64, '1080p-paced': 1920 * 1080, '4k-paced': 3840 * 2160}


def draw(path, height, commands):
    script = (f'set terminal svg size 960,{height} font "sans-serif,12" background "white"\n'
              f'set output "{path}"\nset encoding utf8\n' + '\n'.join(commands) + '\n')
    subprocess.run(['gnuplot'], input=script, text=True, check=True, stderr=subprocess.DEVNULL)


def block(name, lines):
    return [f'${name} << EOD', *lines, 'EOD']


def better(row, metric, ratio):
    """(median, low, high) of how many times better ours is; bigger is better."""
    if metric.better == HIGHER:
        return ratio.median, ratio.low, ratio.high
    return 1 / ratio.median, 1 / ratio.high, 1 / ratio.low


def ratios(report, path):
    """A bar for each row and peer, and how far its runs were apart; false if there is none."""
    bars = []
    for row, runs in report.rows:
        if not row.headline:
            continue
        for metric, _, of_peers in report.lines(row, runs):
            if metric.key == row.headline:
                bars += [(f'{row.name}: {metric.label} / {peer}', *better(row, metric, ratio))
                         for peer, ratio in of_peers.items() if ratio.low > 0]
    if not bars:
        return False
    lines = [f'"{label}" {value:g} {low:g} {high:g}' for label, value, low, high in bars]
    draw(path, BAR_PX * len(bars) + FRAME_PX, [
        *block('bars', lines),
        'set title "times better than the peer, and the range of the runs"',
        'set logscale x 2', 'set xrange [*:*]', f'set yrange [{len(bars) - 0.5}:-0.5]',
        'set grid xtics', 'set tics scale 0.5', 'unset key', 'set style fill solid 0.8',
        'set arrow from 1, graph 0 to 1, graph 1 nohead lw 1.5 front',
        'plot $bars using 2:0:(1):2:($0-0.35):($0+0.35):($2 >= 1 ? 0x3a7d44 : 0xb23a48)'
        ':ytic(1) with boxxyerror lc rgb variable, '
        '$bars using 2:0:3:4 with xerrorbars lc rgb "black" lw 1 pt 0'])
    return True


def points(report, peer, key):
    """[(pixels, median, low, high)] of a metric, by size."""
    found = []
    for width, height in SIZES:
        found.append((width * height,
                      report.values('growth-size', peer, key.format(f'_{width}x{height}'))))
    if not any(values for _, values in found):
        found = [(pixels, report.values(row, peer, key.format('')))
                 for row, pixels in PACED.items()]
    return [(pixels, statistics.median(values), min(values), max(values))
            for pixels, values in found if values]


def sizes(report, path):
    """CPU and latency of a frame against its pixels, for each peer; false if not measured."""
    commands, plots = [], []
    peers = [peer.name for peer in report.peers]
    for i, (key, label) in enumerate((('cpu_us_per_frame{}', 'back-end CPU'),
                                      ('kick_to_pixels{}_p50_us', 'kick to pixels'))):
        for j, peer in enumerate(peers):
            lines = [' '.join(f'{value:g}' for value in point)
                     for point in points(report, peer, key)]
            if not lines:
                continue
            commands += block(f'data{i}{j}', lines)
            plots.append(f'$data{i}{j} using 1:2:3:4 with yerrorlines lw 1.5 '
                         f'dt {i + 1} pt {6 + i} ps 0.7 lc {j + 1} title "{peer}: {label}"')
    if not plots:
        return False
    draw(path, 520, [
        *commands, 'set title "a frame by its size, one at a time (medians, range of the runs)"',
        'set logscale xy', 'set xlabel "pixels"', 'set ylabel "µs"', 'set key left top',
        'set grid', 'set xtics ("64×64" 4096, "256×256" 65536, "640×480" 307200, '
        '"1080p" 2073600, "4K" 8294400)', 'plot ' + ', '.join(plots)])
    return True
