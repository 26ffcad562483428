# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A look inside of machines that run: what vhost-device-gpuctl says is what
the guest and QEMU say."""

import json
import os
import re
import subprocess
import time

from lab import Failure, Picture, SLOW, check, note
from scenarios import (GENERIC, PCI, QEMU10, QEMU11, VGA, Program,
                       check_no_gpu_messages, console_shows, cube_turns,
                       scenario)


def door(t):
    return t.lab.path("control.sock")


def boot(t, *args):
    return t.boot("--control-socket", door(t), *args)


def ctl(t, *words, binary=False):
    """The output of vhost-device-gpuctl, which must succeed."""
    program = os.path.join(
        os.path.dirname(t.lab.settings.daemons[QEMU10][0]),
        "vhost-device-gpuctl")
    done = subprocess.run([program, "--socket", door(t), *words],
                          stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60 * SLOW)
    check(done.returncode == 0,
          f"vhost-device-gpuctl {words}: {done.stderr.decode()}")
    return done.stdout if binary else done.stdout.decode()


def status(t):
    vms = json.loads(ctl(t, "--json", "status"))["vms"]
    check(len(vms) == 1, f"{len(vms)} VMs")
    return vms[0]


def metric(t, name):
    found = re.findall(rf"^vhost_device_gpu_{name}(?:\{{.*?\}})? (\S+)$",
                       ctl(t, "metrics"), re.M)
    check(len(found) == 1, f"{len(found)} figures {name}")
    return float(found[0])


def expect_near(ours, theirs, what):
    note(f"{what}: {ours:.2f}, and the guest says {theirs:.2f}")
    check(abs(ours - theirs) <= 0.1 * theirs, f"{what}: {ours} and {theirs}")


def screenshot(t):
    return Picture.from_png(ctl(t, "screenshot", "-", binary=True))


def expect_screenshot(t, expected, what):
    """As VM.expect_screen(), where the front-end has no display."""
    deadline = time.monotonic() + 20 * SLOW
    while True:
        picture = screenshot(t)
        wrong = picture.difference(expected)
        if wrong is None:
            return
        if time.monotonic() > deadline:
            path = os.path.join(t.lab.keep, "screenshot.wrong.png")
            picture.save(path)
            raise Failure(f"{what}: {wrong} (picture: {path})")
        # There are ten a second.
        time.sleep(0.3)


def expect_same_screen(t, vm, what):
    """Until both stand still."""
    vm.wait_screen(lambda p: p.difference(screenshot(t)), what)


# Of each mode so many that it takes some seconds.
CUBES = {"virglrenderer": 800, "2d": 60}


# It ends by itself, and then says how many it has drawn in which time.
def counted_cubes(t):
    return ("[ -p /tmp/quiet ] || mkfifo /tmp/quiet; "
            f"kmscube --count={CUBES[t.mode]} <>/tmp/quiet 2>&1; echo ended")


def expect_cubes_counted(t, vm):
    before = metric(t, "frames_total")
    with Program(vm, counted_cubes(t), timeout_s=300) as cube:
        cube.wait_output("^ended$")
        shown = metric(t, "frames_total") - before
        found = re.findall(r"^Rendered (\d+) frames in", cube.output(), re.M)
    drawn = int(found[-1]) if found else 0
    check(drawn >= 0.9 * CUBES[t.mode], f"{drawn} frames drawn")
    expect_near(shown, drawn, f"{t.name}: frames, by metrics")


def expect_3d(now):
    cubes = [c for c in now["contexts"] if c["name"] == "kmscube"]
    check(len(cubes) == 1, now["contexts"])
    check(cubes[0]["resources"] > 0 and cubes[0]["bytes"] > 0, cubes)
    check(now["fence"]["count"] > 0 and
          now["fence"]["p99-us"] >= now["fence"]["p50-us"] > 0, now["fence"])
    check(now["renderer"]["gl-renderer"], "no OpenGL is named")


REPORTING_CUBES = "sleep 1000 | stdbuf -oL kmscube"


def reports(cube):
    """What kmscube says every two seconds: frames and seconds since it began."""
    found = re.findall(r"^Rendered (\d+) frames in ([\d.]+) sec",
                       cube.output(), re.M)
    return [(int(n), float(s)) for n, s in found]


def next_report(cube):
    n, deadline = len(reports(cube)), time.monotonic() + 60 * SLOW
    while len(reports(cube)) <= n:
        check(time.monotonic() < deadline, cube.output())
        time.sleep(0.05)
    return reports(cube)[-1]


def expect_rate_now(t, cube, what, read):
    """It is of the last two seconds, too, though not of quite the same; so
    what else this machine does meanwhile may spoil some."""
    seen, (n1, s1) = [], next_report(cube)
    for _ in range(20):
        n2, s2 = next_report(cube)
        ours, theirs = read(), (n2 - n1) / (s2 - s1)
        n1, s1 = n2, s2
        seen.append(f"{ours:.2f}/{theirs:.2f}")
        # Or by one frame in two seconds.
        if abs(ours - theirs) <= max(0.1 * theirs, 0.5):
            break
    else:
        raise Failure(f"frames a second, {what}/the guest: {seen}")
    note(f"{t.name}: frames a second, {what}/the guest: {seen}")


class RateByMetrics:
    """Frames a second since it was called last."""

    def __init__(self, t):
        self.t, self.last = t, None
        self()

    def __call__(self):
        now, frames = time.monotonic(), metric(self.t, "frames_total")
        last, self.last = self.last, (now, frames)
        return last and (frames - last[1]) / (now - last[0])


def rate_by_status(t):
    return status(t)["scanouts"][0]["fps"]


def rate_by_top(t):
    out = ctl(t, "--count", "1", "top")
    found = re.findall(r"1280x800,? ([\d.]+) ", out)
    check(len(found) == 1, out)
    return float(found[0])


def expect_status(t):
    now = status(t)
    check("qemu" in ctl(t, "status"), "the front-end's name is not there")
    if t.mode == "virglrenderer":
        expect_3d(now)
    else:
        check(not now["contexts"], now["contexts"])


def wait_no_cube(t):
    """A program's end is on its way after it has ended: commands that nobody
    in the guest waits for."""
    deadline = time.monotonic() + 20 * SLOW
    while "kmscube" in [c["name"] for c in status(t)["contexts"]]:
        check(time.monotonic() < deadline, status(t)["contexts"])
        time.sleep(0.1)


def expect_restart(t, vm):
    with t.check("no context when its program has ended"):
        wait_no_cube(t)
    with t.check("a renderer that was replaced"):
        t.daemon.crash()
        console_shows(vm, "after a crash")
        check(status(t)["renderer"]["restarts"] == 1, status(t)["renderer"])


@scenario("control-2d", [(QEMU10, PCI)], mode="2d")
@scenario("control-virgl", [(QEMU10, PCI), (QEMU11, VGA)],
          mode="virglrenderer")
def control(t):
    vm = boot(t)
    vm.load_driver(one_mode=(1280, 800))
    with t.check("console, as QEMU sees it"):
        console_shows(vm, "a look inside")
        expect_same_screen(t, vm, "console")
    with t.check("status names driver and scanout"):
        now = status(t)
        scanout = now["scanouts"][0]
        check((scanout["width"], scanout["height"]) == (1280, 800), scanout)
        check(now["queues"][0]["state"] == "running", now["queues"])
        check(("VIRGL" in now["vm"]["features"]) ==
              (t.mode == "virglrenderer"), now["vm"])
    with t.check("frames by metrics, as kmscube counts them"):
        expect_cubes_counted(t, vm)
    with Program(vm, REPORTING_CUBES) as cube:
        cube_turns(vm)
        with t.check("status while it turns"):
            expect_status(t)
        with t.check("frames a second by status, as kmscube reports them"):
            expect_rate_now(t, cube, "status", lambda: rate_by_status(t))
        with t.check("the same by metrics"):
            expect_rate_now(t, cube, "metrics", RateByMetrics(t))
        with t.check("the same by top"):
            expect_rate_now(t, cube, "top", lambda: rate_by_top(t))
        with t.check("a cube, as QEMU sees it"):
            vm.sh("kill -STOP $(pidof kmscube); sleep 1")
            expect_same_screen(t, vm, "cube")
            vm.sh("kill -CONT $(pidof kmscube)")
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    # What is on its way then is answered with an error, which the guest's kernel says.
    if t.mode == "virglrenderer":
        expect_restart(t, vm)
    t.finish(vm)


def modes(vm):
    """As whoever looks for modes sees them. The list in /sys is that of who
    has looked last: the kernel's console wants none that is larger than it."""
    return re.findall(r"\b(\d+x\d+)\b", vm.sh(
        "cd /sys/class/drm/card0-Virtual-1 && echo detect >status && "
        "cat modes"))


def wait_mode(vm, mode):
    deadline = time.monotonic() + 20 * SLOW
    while modes(vm)[:1] != [mode]:
        check(time.monotonic() < deadline, f"the guest has {modes(vm)[:3]}")
        time.sleep(0.2)


@scenario("control-modes", [(QEMU11, GENERIC)], mode="2d")
def control_modes(t):
    """A headless screen changes its size, and the guest is told: by QEMU's
    generic device, which passes that on."""
    vm = boot(t, "--headless")
    with t.check("driver loads"):
        vm.load_driver()
        check(modes(vm)[:1] == ["1280x800"], modes(vm))
    for mode in ("1920x1080", "800x600"):
        with t.check(f"the guest sees {mode}"):
            said = ctl(t, "set-mode", "0", mode)
            check("the guest was told" in said, said)
            wait_mode(vm, mode)
    with t.check("a screenshot of a screen that nobody has"):
        check(screenshot(t).width >= 800, "no picture")
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    t.finish(vm)


@scenario("control-modes", [(QEMU10, PCI), (QEMU10, VGA)], mode="2d")
def control_modes_untold(t):
    """QEMU's own devices say nothing to their guest, and live on."""
    vm = boot(t, "--headless")
    with t.check("driver loads"):
        vm.load_driver()
    with t.check("the guest is not told"):
        said = ctl(t, "set-mode", "0", "1920x1080")
        check("does not tell its guest" in said, said)
    with t.check("it finds the mode when its driver starts again"):
        vm.reset()
        vm.load_driver()
        check(modes(vm)[:1] == ["1920x1080"], modes(vm))
    t.finish(vm)
