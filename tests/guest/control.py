# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A look inside of machines that run: what vhost-device-gpuctl says is what
the guest and QEMU say."""

import json
import os
import re
import subprocess
import time

from lab import Picture, SLOW, check, note
from scenarios import (GENERIC, KMSCUBE, PCI, QEMU10, QEMU11, VGA, Program,
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


def expect_same_screen(t, vm, what):
    """Until both stand still."""
    vm.wait_screen(lambda p: p.difference(screenshot(t)), what)


CUBES = 800
# It ends by itself, and then says how many it has drawn in which time.
COUNTED_CUBES = ("[ -p /tmp/quiet ] || mkfifo /tmp/quiet; "
                 f"kmscube --count={CUBES} <>/tmp/quiet 2>&1; echo ended")


def watch_cubes(t, cube):
    """How many frames a second there were, from the first to the last."""
    base, samples = metric(t, "frames_total"), []
    while "ended" not in cube.output():
        frames = metric(t, "frames_total") - base
        if frames > 0 and (not samples or frames > samples[-1][1]):
            samples.append((time.monotonic(), frames))
        time.sleep(0.1)
    (first, n_first), (last, n_last) = samples[0], samples[-1]
    check(0.9 * CUBES <= n_last <= 1.1 * CUBES, f"{n_last} frames")
    return (n_last - n_first) / (last - first)


def expect_cubes_rate(t, vm):
    with Program(vm, COUNTED_CUBES, timeout_s=120) as cube:
        ours = watch_cubes(t, cube)
        found = re.findall(r"^Rendered (\d+) frames in ([\d.]+) sec",
                           cube.output(), re.M)
    check(found, cube.output())
    theirs = int(found[-1][0]) / float(found[-1][1])
    expect_near(ours, theirs, f"{t.name}: frames a second, by metrics")
    return theirs


def expect_status(t, rate):
    now = status(t)
    contexts = [c["name"] for c in now["contexts"]]
    check("kmscube" in contexts, f"contexts {contexts}")
    cube = next(c for c in now["contexts"] if c["name"] == "kmscube")
    check(cube["resources"] > 0 and cube["bytes"] > 0, cube)
    # Of two seconds only, on a machine that may have had something else to do.
    fps = now["scanouts"][0]["fps"]
    note(f"frames a second, by status: {fps}, {rate:.2f} before")
    check(0.5 * rate < fps < 2 * rate, f"{fps} frames, {rate} before")
    check(now["fence"]["count"] > 0 and
          now["fence"]["p99-us"] >= now["fence"]["p50-us"] > 0, now["fence"])
    check("qemu" in ctl(t, "status"), "the front-end's name is not there")
    check(now["renderer"]["gl-renderer"], "no OpenGL is named")


def wait_no_contexts(t):
    """A program's end is on its way after it has ended: commands that nobody
    in the guest waits for."""
    deadline = time.monotonic() + 20 * SLOW
    while status(t)["contexts"]:
        check(time.monotonic() < deadline, status(t)["contexts"])
        time.sleep(0.1)


@scenario("control", [(QEMU10, PCI)], mode="virglrenderer")
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
        check("VIRGL" in now["vm"]["features"], now["vm"])
    with t.check("frames a second, as kmscube counts them"):
        rate = expect_cubes_rate(t, vm)
    with Program(vm, KMSCUBE):
        cube_turns(vm)
        with t.check("status with a context"):
            expect_status(t, rate)
        with t.check("top"):
            out = ctl(t, "--count", "3", "--interval", "1", "top")
            check(out.count("1280x800") == 3, out)
        with t.check("a cube, as QEMU sees it"):
            vm.sh("kill -STOP $(pidof kmscube); sleep 1")
            expect_same_screen(t, vm, "cube")
            vm.sh("kill -CONT $(pidof kmscube)")
    with t.check("no context when its program has ended"):
        wait_no_contexts(t)
    with t.check("a renderer that was replaced"):
        t.daemon.crash()
        console_shows(vm, "after a crash")
        check(status(t)["renderer"]["restarts"] == 1, status(t)["renderer"])
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    t.finish(vm)


def modes(vm):
    return re.findall(r"\b(\d+x\d+)\b", vm.sh(
        "cat /sys/class/drm/card0-Virtual-1/modes"))


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
