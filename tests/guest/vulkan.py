# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Scenarios on QEMU's generic device, the only one that passes on blob
resources and has a window for the host's memory. There is no screen: what the
guest's programs say is the result, and what QEMU has mapped.
"""

import contextlib
import functools
import os
import re
import signal
import time

import control
import patterns
from lab import (Picture, SLOW, SYSRQ_RESET, Skip, Stall, VKMARK, VM, check,
                 grown, note)
from scenarios import (GENERIC, KMSCUBE, QEMU11, Program,
                       check_no_gpu_messages, kms, modetest, primary_formats,
                       same_descriptors, scenario, unload_driver)

VIRGL, VIRGL2, VENUS = 1, 2, 4
# virtgpu's blobs side by side.
AT_ONCE = 4
ON_GENERIC = [(QEMU11, GENERIC)]


# Steps

def features(vm):
    """What the driver says of the device, each with + or - in front."""
    return set(re.findall(r"[-+]\w+", " ".join(re.findall(
        r"features:(.*)", vm.sh("dmesg")))))


def expect_features(vm, *expected):
    found = features(vm)
    check(found >= set(expected), f"features {sorted(found)}")


def window(vm):
    """Where the guest sees the host's memory: (address, bytes)."""
    found = re.findall(r"Host memory window: 0x([0-9a-f]+) \+0x([0-9a-f]+)",
                       vm.sh("dmesg"))
    check(found, "no window for the host's memory: " +
          vm.sh("dmesg | grep drm"))
    return tuple(int(n, 16) for n in found[-1])


def param(vm, name):
    """What the kernel's driver tells programs."""
    found = re.search(rf"^{name} (\d+)$", vm.sh("virtgpu info"), re.M)
    check(found, f"the driver has no {name}")
    return int(found[1])


def mapped(vm):
    """Names of what QEMU has mapped and which is not the guest's memory."""
    with open(f"/proc/{vm.process.pid}/maps") as f:
        return [name for name in re.findall(
            r"/(?:memfd|dmabuf):(.*?)(?: \(deleted\))?$", f.read(), re.M)
            if not name.startswith("memory-backend")]


def expect_mapped(vm, good, what):
    found = vm.process.settled(lambda: mapped(vm), lambda m: good(len(m)))
    check(good(len(found)), f"{what}: QEMU has {found}")


# Mesa's ring of commands has a reader that sleeps when there is nothing, and is
# to be woken by who writes then. The driver (25.0.7) stores the ring's tail and
# looks afterwards whether the reader sleeps, with no barrier between: a
# processor may do the second first, and then nobody wakes it. Seen in one of
# 1,200 programs on a busy machine: the reader asleep, no command on its way.
STUCK = "MESA-VIRTIO: debug: stuck in"
TIMED_OUT = 124  # as timeout(1) says it


def vulkan(vm, command):
    """What a program says that draws or computes, and has to end well. Once
    more if the guest's driver has forgotten to wake its ring's reader."""
    command += " 2>&1"
    status, out = vm.run(command, 90 * SLOW)
    if status == TIMED_OUT and STUCK in out:
        note(f"{command}: the guest's driver is stuck; again: {out[-500:]}")
        status, out = vm.run(command, 120 * SLOW)
    check(status == 0, f"in the guest: {command!r} ended with {status}: "
                       f"{out[-1500:]}")
    return out


def vulkaninfo(vm):
    out = vulkan(vm, "vulkaninfo --summary")
    found = re.findall(r"deviceName += (.*)", out)
    check(len(found) == 1 and re.match(r"Virtio-GPU Venus \(.+\)$", found[0]),
          f"devices {found}: {out[-1500:]}")
    return found[0]


# vkmark's own, with any driver.
VKMARK_FAULTS = {"VUID-vkAcquireNextImageKHR-semaphore-01779"}


def faults_found(vm, command):
    """What the layer that looks for wrong use of Vulkan says."""
    out = vulkan(vm, "VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation "
                 + command)
    return set(re.findall(r"(?:VUID|UNASSIGNED)[-\w]+", out))


def vkcopy(vm, kib=256, rounds=10):
    out = vulkan(vm, f"vkcopy {kib} {rounds}")
    check("device Virtio-GPU Venus" in out and
          f"queue 0.0 rounds {rounds}" in out, out)
    return out


def vkmark(vm, scene, seconds=3):
    """Frames per second."""
    out = vulkan(vm, f"{VKMARK} -s 640x480 -b {scene}:duration={seconds}")
    fps = re.search(r"FPS: (\d+)", out)
    check("Virtio-GPU Venus" in out and fps and fps[1] != "0", out[-1500:])
    return int(fps[1])


def vkmark_draws(vm, scene, frames=(5, 25)):
    """Pictures of a scene, as it presents them: Mesa has a layer for that."""
    folder = vm.sh("mktemp -d").strip()
    want = [f"{folder}/{n}.png" for n in frames]
    config = f"frames={'/'.join(map(str, frames))},output_dir={folder}"
    command = (f"VK_INSTANCE_LAYERS=VK_LAYER_MESA_screenshot "
               f"VK_LAYER_MESA_SCREENSHOT_CONFIG={config} "
               f"exec {VKMARK} -s 640x480 -b {scene} --run-forever")
    with Program(vm, command) as program:
        deadline = time.monotonic() + 120 * SLOW
        while vm.run("ls " + " ".join(want))[0] != 0:
            check(time.monotonic() < deadline,
                  f"no pictures: {program.output()[-1500:]}")
            time.sleep(0.5)
    first, second = (Picture.from_png(vm.fetch(path)) for path in want)
    n = second.colours(1000)
    check(n >= 100, f"only {n} colours")
    check(first.difference(second), "it does not move")
    return second


def hold(vm, count=8, kib=256):
    """Blobs that stay mapped, written and read without pause."""
    return Program(vm, f"exec virtgpu hold {VENUS} {count} {kib}", "^ready$")


def all_works(vm):
    """As on the first day."""
    vulkaninfo(vm)
    vkcopy(vm)
    vm.sh(f"virtgpu map {VENUS} 5 64")


def without_blobs(vm):
    expect_mapped(vm, lambda n: n == 0, "still mapped")


# Scenarios

@scenario("blob-2d", ON_GENERIC, mode="2d")
def blob_2d(t):
    """Without 3D every buffer of the driver is a blob of guest memory. What it
    shows is looked at from inside, as this device has no display."""
    vm = control.boot(t)
    expect = functools.partial(control.expect_screenshot, t)
    vm.load_driver()
    with t.check("driver has blob resources"):
        expect_features(vm, "+resource_blob", "-virgl")
        check(param(vm, "resource_blob") == 1, vm.sh("virtgpu info"))
    formats = primary_formats(vm)
    for fourcc in formats:
        with t.check(f"all pixels {fourcc}"), kms(vm, "show", fourcc):
            expect(patterns.kms(1280, 800, 1), "pattern")
        with t.check(f"modetest {fourcc}"):
            modetest(vm, fourcc, 1280, 800, expect)
    for width, height in ((640, 480), (1024, 768)):
        with t.check(f"mode {width}x{height}"), \
                kms(vm, "show", formats[0], f"{width}x{height}"):
            expect(patterns.kms(width, height, 1), "pattern")
    with t.check("damage of a rectangle"), kms(vm, "damage", formats[0]):
        expect(patterns.kms_damaged(1280, 800, 1), "pattern")
    with t.check("page flips"), kms(vm, "flip", formats[0], "3") as program:
        flips = int(re.search(r"flips (\d+)", program.output())[1])
        note(f"{t.name}: {flips} flips in 3 s")
        check(flips > 10, f"{flips} flips")
        expect(patterns.kms(1280, 800, 7), "pattern")
    with t.check("cursor"), kms(vm, "cursor", 100, 150, 3, 5):
        cursor = Picture.from_png(control.ctl(t, "cursor", "-", binary=True))
        wrong = cursor.difference(patterns.cursor_picture())
        check(wrong is None, wrong)
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    with t.check("machine reset"):
        with kms(vm, "show", formats[0]):
            vm.reset(by_guest=SYSRQ_RESET)
        vm.load_driver()
        with kms(vm, "flip", formats[0], "1"):
            check_no_gpu_messages(vm)
    t.finish(vm)


@scenario("venus", ON_GENERIC, mode="virglrenderer")
def venus(t):
    vm = t.boot()
    vm.load_driver(one_mode=(1280, 800))
    with t.check("driver has all of it"):
        expect_features(vm, "+virgl", "+resource_blob", "+host_visible",
                        "+context_init")
        note(f"{t.name}: a window of {window(vm)[1] >> 20} MiB")
        capsets = param(vm, "capsets")
        check(all(capsets >> c & 1 for c in (VIRGL2, VENUS)),
              f"capsets {capsets:#x}")
    with t.check("vulkaninfo names Venus"):
        note(f"{t.name}: {vulkaninfo(vm)}")
    with t.check("host's memory is mapped, written, mapped anew, read"):
        note(vm.sh(f"virtgpu map {VENUS} 25 64").strip())
        without_blobs(vm)
    with t.check("host's memory is cached by the guest's processor"):
        expect_cached(vm)
    with t.check("Vulkan copies what the guest has written"):
        note(vkcopy(vm, 1024, 20).strip())
    with t.check("no validation error"):
        check(not faults_found(vm, "vkcopy 64 3"), "wrong use of Vulkan")
        found = faults_found(
            vm, f"{VKMARK} -s 640x480 -b shading:duration=1")
        check(found <= VKMARK_FAULTS, f"wrong use of Vulkan: {found}")
    for scene in ("cube", "texture", "shading"):
        with t.check(f"vkmark {scene}"):
            note(f"{t.name}: {scene}, {vkmark(vm, scene)} frames per second")
    with t.check("a scene is drawn and moves"):
        vkmark_draws(vm, "cube").save(f"{t.lab.keep}/cube.png")
    with t.check("contexts of three capsets, each with its fences"):
        note(vm.sh(f"virtgpu fences 50 {VIRGL} {VIRGL2} {VENUS}").strip())
    with t.check("OpenGL with blob resources"):
        gl_works(vm)
    with t.check("OpenGL and Vulkan at the same time"), \
            Program(vm, KMSCUBE, "OpenGL ES") as cube:
        vkcopy(vm)
        vkmark(vm, "cube")
        check(vm.run(f"kill -0 $(cat {cube.out}.pid)")[0] == 0,
              f"kmscube has ended: {cube.output()}")
    with t.check("nothing stays mapped"):
        without_blobs(vm)
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    t.finish(vm)


def expect_cached(vm):
    """lavapipe's memory is coherent and cached, and the driver maps it as the
    device says; the kernel has a list of how it maps what."""
    with hold(vm, 1, 256):
        out = vm.sh("mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null; "
                    "cat /sys/kernel/debug/x86/pat_memtype_list")
    start, size = window(vm)
    kinds = {kind for at, kind in re.findall(
        r"PAT: \[mem 0x([0-9a-f]+)-0x[0-9a-f]+\] (\S+)", out)
        if start <= int(at, 16) < start + size}
    check(kinds == {"write-back"}, f"{kinds}: {out}")


def gl_works(vm):
    out = vm.sh("eglinfo -p gbm -B 2>&1", 180 * SLOW)
    found = re.findall(r"^OpenGL.* renderer: (.*)$", out, re.M)
    check(found and all("virgl" in r for r in found),
          f"renderers {found}; eglinfo says: {out[-1500:]}")
    # It ends when there is something to read on its standard input.
    out = vm.sh("[ -p /tmp/quiet ] || mkfifo /tmp/quiet; "
                "kmscube --count=60 <>/tmp/quiet 2>&1", 120 * SLOW)
    check(re.search(r"^Rendered \d+ frames", out, re.M), out[-500:])


REBOOTS = {
    "reset by the monitor": None,
    "reset by the guest": SYSRQ_RESET,
    "reboot of the guest": "busybox reboot -f",
}


@scenario("venus-life", ON_GENERIC, mode="virglrenderer")
def venus_life(t):
    vm = t.boot()
    vm.load_driver()
    all_works(vm)
    fds = t.daemon.fd_count()
    with t.check("mappings survive stop and cont"), hold(vm, 20) as holder:
        for _ in range(10):
            vm.stop()
            vm.cont()
            time.sleep(0.1)
        vkcopy(vm)
        check("lost" not in holder.output(), holder.output())
        expect_mapped(vm, lambda n: n >= 20, "holding 20 blobs")
    with t.check("nothing stays mapped when the program has gone"):
        without_blobs(vm)
    with t.check("driver unloaded and loaded 5 times"):
        for _ in range(5):
            # Linux does not wait for its unmaps when it is unloaded, and
            # QEMU can't bear that (see qemu_may_end).
            without_blobs(vm)
            unload_driver(vm)
            vm.load_driver()
            all_works(vm)
    for what, command in REBOOTS.items():
        with t.check(what):
            without_blobs(vm)
            vm.reset(by_guest=command)
            vm.load_driver()
            all_works(vm)
    with t.check("no descriptor more"):
        same_descriptors(t, fds)
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    t.finish(vm)


@contextlib.contextmanager
def qemu_may_end(vm):
    """QEMU 11.1.3 tells its back-ends of what is mapped as of the guest's
    memory. What a reset takes away it wants to take back when the driver
    starts again, and looks up what is not there any more."""
    try:
        yield
    except Stall as e:
        rc = vm.process.settled(vm.process.child.poll, lambda rc: rc)
        if rc == -signal.SIGSEGV:
            raise Skip("QEMU's own fault: SIGSEGV at the driver's start, "
                       "with memory gone that was mapped") from e
        raise


BUS = "/sys/bus/virtio/drivers/virtio_gpu"


def unbind(vm):
    """Takes the device away from a driver that is in use. (Linux complains
    of itself then: of memory that it has lost count of.)"""
    vm.device = vm.sh(f"basename {BUS}/virtio*").strip()
    vm.sh(f"echo {vm.device} >{BUS}/unbind")


def bind(vm):
    vm.sh(f"echo {vm.device} >{BUS}/bind")


# What is done while there are mappings, and what makes it work again.
RESETS = {
    "driver unbound and bound": (unbind, bind),
    **{what: (functools.partial(VM.reset, by_guest=command), VM.load_driver)
       for what, command in REBOOTS.items()},
}


@scenario("venus-reset", ON_GENERIC, mode="virglrenderer")
def venus_reset(t):
    """Whatever ends the device takes the mappings away, once. If that is the
    end of the machine, the next one has to find the daemon as it was."""
    vm, fds = None, None
    for what, (reset, start) in RESETS.items():
        if vm is None:
            vm = t.boot()
        elif not vm.process.alive():
            vm = t.another()
        vm.load_driver()
        all_works(vm)
        fds = fds or t.daemon.fd_count()
        with t.check(f"{what} with mappings alive"), qemu_may_end(vm):
            with hold(vm):
                reset(vm)
                without_blobs(vm)
            start(vm)
            all_works(vm)
            without_blobs(vm)
        with t.check("no descriptor more"):
            same_descriptors(t, fds)
    t.finish(vm if vm.process.alive() else None)


@scenario("venus-cycles", ON_GENERIC, mode="virglrenderer")
def venus_cycles(t):
    """Ten thousand blobs created, mapped, unmapped and destroyed; each tenth
    of them by a program that is killed over it."""
    rounds, blobs, held = 20, 448, 52
    vm = t.boot()
    vm.load_driver()
    all_works(vm)
    samples = []

    def accounts():
        return [*t.daemon.accounts(), *vm.process.accounts()]

    def is_alike(now):
        return not samples or [a[:2] for a in now] == [
            a[:2] for a in samples[0]]

    with t.check(f"{rounds * (blobs + held)} blobs"):
        for _ in range(rounds):
            out = vm.sh(f"virtgpu map {VENUS} {blobs // AT_ONCE} 64")
            check("wrong words 0" in out, out)
            with hold(vm, held, 64):
                pass
            without_blobs(vm)
            if not samples:
                # What ends later is not to be what the others are held to.
                time.sleep(5 * SLOW)
            samples.append(vm.process.settled(accounts, is_alike))
    with t.check("no descriptor and no memory more, here and in QEMU"):
        note(f"{t.name}: {samples[0]}, then {samples[-1]}")
        # The first ones fill caches.
        wrong = grown(samples[2:])
        check(wrong is None, wrong)
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    t.finish(vm)


def render_server(daemon):
    """The processes that speak Vulkan for the guests, first the one that was
    started first."""
    found = []
    for pid in daemon.family():
        try:
            with open(f"/proc/{pid}/comm") as f:
                if f.read().startswith("virgl_render"):
                    found.append(pid)
        except OSError:
            pass
    return found


@scenario("venus-crash", ON_GENERIC, mode="virglrenderer")
def venus_crash(t):
    """Who renders dies while the guest has his memory mapped."""
    vm = t.boot()
    vm.load_driver()
    all_works(vm)
    fds = None
    for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGKILL):
        with t.check(f"{number.name} with mappings alive"), hold(vm), \
                Program(vm, "exec vkcopy 64 0", "^ready$"):
            t.daemon.crash(number)
            without_blobs(vm)
            vm.sh("true")
        with t.check(f"all works after {number.name}"):
            all_works(vm)
            vkmark(vm, "cube", 1)
        with t.check("no descriptor more"):
            if fds is None:
                fds = t.daemon.fd_count()
            same_descriptors(t, fds)
    with t.check("the render server is killed"), hold(vm):
        old = t.daemon.renderer()
        for pid in render_server(t.daemon):
            # The first one's end is the end of the others.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        now = t.daemon.settled(t.daemon.renderer,
                               lambda pid: pid not in (None, old), 10)
        check(now not in (None, old), "no other process renders")
        vm.sh("true")
    with t.check("all works after that"):
        all_works(vm)
        without_blobs(vm)
    with t.check("OpenGL works after that"):
        gl_works(vm)
    t.finish(vm)
