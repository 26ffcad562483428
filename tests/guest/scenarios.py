# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What is done with a guest. A scenario boots few machines, because a boot is
what costs time, and makes many checks on each.

A scenario is a function of one Run (see run in this directory), registered
for the front-ends and devices it is to be run on.
"""

import os
import re
import signal
import time
import types

import patterns
from lab import (Failure, GLMARK2, SLOW, SYSRQ_RESET, Skip, Stall, check,
                 grown, note)
from tap import SCANOUT, UPDATE, Tap

QEMU10, QEMU11 = "qemu10", "qemu11"
PCI, VGA = "vhost-user-gpu-pci", "vhost-user-vga"
# QEMU 11.1's device for a back-end of any kind, here one with two queues and a
# configuration space of 20 bytes. It passes on every feature, and has a
# window for the host's memory; it has no display.
GENERIC = ("vhost-user-test-device-pci,virtio-id=16,num_vqs=2,vq_size=256,"
           "config_size=20")
SHORT = {PCI: "pci", VGA: "vga", GENERIC: "generic"}

SCENARIOS = {}


def scenario(name, combinations, only_if_named=False, **fixed):
    """Registers a function as NAME/FRONT-END/DEVICE for each combination of
    (front-end, device). only_if_named: it takes too long for every run."""
    def register(function):
        for frontend, device in combinations:
            full = f"{name}/{frontend}/{SHORT[device]}"
            SCENARIOS[full] = types.SimpleNamespace(
                name=full, function=function, frontend=frontend,
                device=device,
                only_if_named=only_if_named, **fixed)
        return function
    return register


ALL = [(f, d) for f in (QEMU10, QEMU11) for d in (PCI, VGA)]


# Steps that several scenarios share

def escape(text):
    return "".join(f"\\{b:03o}" for b in text.encode())


def font_of(vm):
    if not hasattr(vm, "font"):
        vm.font = patterns.Font(vm.sh("vtfont"))
    return vm.font


def write_console(vm, lines):
    """Clears the console and writes lines of (colour, text) on it."""
    text = "\033c\033[?25l" + "".join(
        f"\033[3{colour}m{line}\r\n" for colour, line in lines)
    vm.sh(f"printf '{escape(text)}' > /dev/tty1")


def expect_console(vm, lines, what="console", width=1280, height=800):
    expected = font_of(vm).console(width, height, lines)
    vm.wait_screen(lambda p: p.difference(expected), what)


def console_shows(vm, text, what="console"):
    lines = [(7, text)]
    write_console(vm, lines)
    expect_console(vm, lines, what)


class Program:
    """Something that draws in the guest until it is told to go."""

    def __init__(self, vm, command, ready=None, timeout_s=60):
        self.vm, self.ready = vm, ready
        self.out = f"/tmp/program-{time.monotonic_ns()}"
        self.command = command
        self.timeout_s = timeout_s * SLOW

    def __enter__(self):
        self.vm.sh(f"printf '{escape(self.command)}' >{self.out}.sh; "
                   f": >{self.out}; "
                   f"setsid sh {self.out}.sh >{self.out} 2>&1 </dev/null & "
                   f"echo $! >{self.out}.pid")
        try:
            if self.ready:
                self.wait_output(self.ready)
        except Failure:
            self.end()
            raise
        return self

    def output(self):
        return self.vm.sh(f"cat {self.out}")

    def wait_output(self, expression):
        deadline = time.monotonic() + self.timeout_s
        while True:
            # First: what it has said by its end can be read after that.
            alive = self.vm.run(f"kill -0 $(cat {self.out}.pid)")[0] == 0
            output = self.output()
            if re.search(expression, output, re.M):
                return
            check(alive, f"{self.command} ended: {output}")
            check(time.monotonic() < deadline,
                  f"{self.command} does not say {expression!r} within "
                  f"{self.timeout_s:.0f} s: {output}")
            time.sleep(0.2)

    def end(self):
        # After a reset there is nothing left of it.
        self.vm.run(f"p=$(cat {self.out}.pid) || exit; kill -- -$p; "
                    f"for i in $(seq 100); do "
                    f"kill -0 -- -$p 2>/dev/null || exit 0; sleep 0.1; done; "
                    f"kill -9 -- -$p; sleep 0.3")

    def __exit__(self, kind, value, trace):
        if kind is None or not issubclass(kind, Stall):
            self.end()
        return False


def kms(vm, *args, timeout_s=60):
    return Program(vm, "exec kms " + " ".join(map(str, args)), "^ready$", timeout_s)


def primary_formats(vm):
    """The formats of all planes but the cursors', which come last."""
    planes = re.findall(r"^plane \d+(.*)$", vm.sh("kms info"), re.M)
    formats = {f for p in planes[0::2] for f in p.split()}
    check(formats, "the driver lists no format")
    return sorted(formats)


def connectors(vm):
    return re.findall(r"^connector (\d+) connected", vm.sh("kms info"), re.M)


def check_firmware_text(vm, picture):
    """What the VGA part showed before the driver was loaded."""
    check((picture.width, picture.height) == (720, 400),
          f"no text mode: {picture.width}x{picture.height}")
    text = font_of(vm).read(picture, cell=9)
    check(any(line.startswith("SeaBIOS") for line in text),
          f"no SeaBIOS on the screen: {text[:6]}")


def check_no_gpu_messages(vm):
    found = vm.gpu_messages()
    check(not found, "in the guest's kernel log: " + "; ".join(found[:5]))


def unload_driver(vm):
    vm.sh("for c in /sys/class/vtconsole/vtcon*; do "
          "grep -q 'frame buffer' $c/name && echo 0 >$c/bind; done; "
          "modprobe -r virtio_gpu")


# Scenarios

@scenario("2d", ALL, mode="2d")
def two_d(t):
    vm = t.boot()
    before = vm.screen()
    vm.load_driver()
    if t.device == VGA:
        with t.check("firmware text before the driver"):
            check_firmware_text(vm, before)
    with t.check("console text in all colours"):
        lines = [(c, f"{c} " + "".join(map(chr, range(33, 127))))
                 for c in range(1, 8)]
        write_console(vm, lines)
        expect_console(vm, lines)
    with t.check("console scrolls"):
        write_console(vm, [(7, f"line {i}") for i in range(200)])
        # 50 lines of 16 pixels; the last one is left empty by the line feed.
        expect_console(vm, [(7, f"line {i}") for i in range(151, 200)])
    formats = primary_formats(vm)
    for fourcc in formats:
        with t.check(f"modetest {fourcc}"):
            modetest(vm, fourcc, 1280, 800)
        with t.check(f"all pixels {fourcc}"), kms(vm, "show", fourcc):
            vm.expect_screen(patterns.kms(1280, 800, 1), "pattern")
    fourcc = formats[0]
    for width, height in ((640, 480), (1024, 768), (1360, 768), (1920, 1080)):
        with t.check(f"mode {width}x{height}"), \
                kms(vm, "show", fourcc, f"{width}x{height}"):
            vm.expect_screen(patterns.kms(width, height, 1), "pattern")
    with t.check("damage of a rectangle"), kms(vm, "damage", fourcc):
        vm.expect_screen(patterns.kms_damaged(1280, 800, 1), "pattern")
    with t.check("page flips"), kms(vm, "flip", fourcc, "3") as program:
        vm.expect_screen(patterns.kms(1280, 800, 7), "pattern")
        note(f"{t.name}: {program.output().split()[-2]} flips in 3 s")
    with t.check("console comes back after a program"):
        console_shows(vm, "back again")
    with t.check("EDID of the front-end"):
        check_edid(vm, by_qemu=True)
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    t.finish(vm)


def modetest(vm, fourcc, width, height, expect=None):
    """expect: a function of picture and name, where the front-end shows none."""
    command = (f"sleep 1000 | modetest -M virtio_gpu -s "
               f"{connectors(vm)[0]}:{width}x{height}@{fourcc}")
    with Program(vm, command):
        (expect or vm.expect_screen)(patterns.smpte(width, height),
                                     "SMPTE pattern")


def check_edid(vm, by_qemu):
    size = int(vm.sh("wc -c </sys/class/drm/card0-Virtual-1/edid"))
    check(size >= 128 and size % 128 == 0, f"an EDID of {size} bytes")
    out = vm.run("edid-decode --check /sys/class/drm/card0-Virtual-1/edid")[1]
    failures = []
    if "Failures:" in out:
        text = out.split("Failures:")[1].split("EDID conformity")[0]
        failures = [line.strip() for line in text.splitlines()
                    if line.startswith("  ")]
    else:
        check("EDID conformity: PASS" in out, f"edid-decode says: {out}")
    if by_qemu:
        # QEMU's generator claims selectable quantization without the data
        # block for it; the EDID is QEMU's and passed on as it is.
        failures = [f for f in failures if not f.startswith("Missing VCDB")]
        check("QEM" in out or "QEMU" in out, "this EDID is not QEMU's")
    check(not failures, f"edid-decode says: {'; '.join(failures)}")


@scenario("headless", [(QEMU10, PCI), (QEMU11, PCI)], mode="2d")
def headless(t):
    """With display info and EDID of our own: they must be faultless."""
    vm = t.boot("--headless")
    with t.check("driver loads"):
        vm.load_driver()
    with t.check("own EDID is valid"):
        check_edid(vm, by_qemu=False)
    with t.check("a preferred mode"):
        check(len(connectors(vm)) >= 1, "no connected output")
        with kms(vm, "show", primary_formats(vm)[0]):
            pass
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    t.finish(vm)


@scenario("virgl", ALL, mode="virglrenderer")
def virgl(t):
    vm = t.boot()
    vm.load_driver(one_mode=(1280, 800))
    with t.check("console"):
        console_shows(vm, "before OpenGL")
    with t.check("eglinfo names virgl"):
        out = vm.sh("eglinfo -p gbm -B 2>&1", 180 * SLOW)
        found = re.findall(r"^OpenGL.* renderer: (.*)$", out, re.M)
        check(found and all("virgl" in r for r in found),
              f"renderers {found}; eglinfo says: {out[-1500:]}")
        note(f"{t.name}: {found[0]}")
    with t.check("kmscube turns"):
        kmscube(vm)
    with t.check("glmark2's own validation"):
        validate_glmark2(vm)
    with t.check("glmark2 scenes draw"):
        glmark2(t, vm)
    with t.check("console comes back after OpenGL"):
        console_shows(vm, "after OpenGL")
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    t.finish(vm)


# It ends when there is something to read on its standard input.
KMSCUBE = "sleep 1000 | kmscube"


def no_cube(p):
    """Grey all around, a cube of many colours in the middle; or why not."""
    corners = [p.pixel(x, y) for x in (2, p.width - 3)
               for y in (2, p.height - 3)]
    if not all(abs(c - 127) <= 2 for corner in corners for c in corner):
        return f"the corners are not grey: {corners}"
    middle = p.pixel(p.width // 2, p.height // 2)
    if all(abs(c - 127) <= 2 for c in middle):
        return "no cube in the middle"
    n = p.colours(200)
    return None if n >= 50 else f"only {n} colours"


def cube_turns(vm):
    first = vm.wait_screen(no_cube, "kmscube", 90)
    vm.wait_screen(lambda p: no_cube(p) or
                   (None if p.difference(first) else "does not move"),
                   "kmscube", 30)


def kmscube(vm):
    with Program(vm, KMSCUBE):
        cube_turns(vm)


def crash_under_cube(vm, daemon, number, text):
    """Ends the process that renders while kmscube turns, and then kmscube,
    which has lost its context; seconds from the crash until the console is
    on the screen, all of it."""
    console = font_of(vm).console(1280, 800, [(7, text)])
    console_shows(vm, text)
    with Program(vm, KMSCUBE) as cube:
        cube_turns(vm)
        start = time.monotonic()
        daemon.crash(number)
        vm.sh(f"kill -s KILL -- -$(cat {cube.out}.pid)")
        vm.wait_screen(lambda p: p.difference(console), "the console", 60)
        return time.monotonic() - start


@scenario("crash", [(QEMU10, PCI), (QEMU11, VGA)], mode="virglrenderer")
def crash(t):
    """The process that renders dies under a program that draws with it."""
    vm = t.boot()
    vm.load_driver(one_mode=(1280, 800))
    fds = None
    for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGKILL):
        with t.check(f"console comes back after {number.name}"):
            took_s = crash_under_cube(vm, t.daemon, number, number.name)
            note(f"{t.name}: the console was back {took_s * 1000:.0f} ms "
                 f"after the crash")
        with t.check("a new kmscube turns"):
            kmscube(vm)
        # The first death is forgotten once its successor has drawn.
        with t.check("no descriptor more"):
            if fds is None:
                fds = t.daemon.fd_count()
            same_descriptors(t, fds)
    with t.check("stop and cont after a crash"):
        console_shows(vm, "not paused")
        vm.stop()
        t.daemon.crash()
        vm.cont()
        console_shows(vm, "not paused any more")
        kmscube(vm)
    with t.check("machine reset after a crash"):
        vm.reset()
        vm.load_driver(one_mode=(1280, 800))
        console_shows(vm, "a new life")
        kmscube(vm)
    t.finish(vm)


def validate_glmark2(vm):
    """glmark2 knows what these scenes have to look like. (It has expectations
    of its other scenes, too, which no renderer meets at this size.)"""
    scenes = ("build:use-vbo=false", "build:use-vbo=true",
              "bump:bump-render=high-poly", "bump:bump-render=normals",
              "bump:bump-render=height")
    out = vm.sh(f"{GLMARK2} --validate " +
                " ".join(f"-b {s}" for s in scenes) + " 2>&1", 240 * SLOW)
    results = re.findall(r"^\[(\S+)\].*Validation: (\w+)", out, re.M)
    check(len(results) == len(scenes) and
          all(r[1] == "Success" for r in results),
          f"{results}: {out[-1500:]}")


def expect_scene(vm, scene):
    """It is on the screen, has colours and moves: as long as that takes."""
    def drawn(p):
        n = p.colours(1000)
        return None if n >= 100 else f"only {n} colours"

    with Program(vm, f"exec {GLMARK2} -b {scene} --run-forever",
                 "GL_RENDERER", 120) as program:
        check("virgl" in program.output(), program.output())
        try:
            first = vm.wait_screen(drawn, scene, 90)
            vm.wait_screen(lambda p: "does not move"
                           if p.difference(first) is None else drawn(p),
                           scene, 30)
        except Stall:
            raise
        except Failure as e:
            raise Failure(f"{e}; it says: {program.output()[-1500:]}") from e


def glmark2(t, vm):
    """Three scenes, and how fast they are."""
    scenes = "build", "shading", "jellyfish"
    for scene in scenes:
        expect_scene(vm, scene)
    out = vm.sh(f"{GLMARK2} " + " ".join(f"-b {s}:duration=2" for s in scenes) +
                " 2>&1", 240 * SLOW)
    fps = [int(f) for f in re.findall(r"FPS: (\d+)", out)]
    check(len(fps) == 3 and all(fps), f"frame rates {fps}: {out}")
    # What the one before it showed may have been there still when it began.
    out = out.replace("Error: Failed to restore original CRTC", "")
    check(not re.search(r"error", out, re.I), out)
    note(f"{t.name}: glmark2 frames per second {fps}")


def run_inside(t, vm, *command):
    """A test program of the proto suite on the guest's own devices; each of
    its tests is a result of ours."""
    vm.sh("mkdir -p /mnt/p && mount -o ro /dev/vdb /mnt/p")
    status, out = vm.run("cd /tmp && LD_LIBRARY_PATH=/mnt/p/lib:/mnt/p "
                         "MOCK_VIRGLRENDERER=/mnt/p/lib "
                         "MOCK_GFXSTREAM=/mnt/p/lib "
                         f"TEST_TIMEOUT_FACTOR={5 * SLOW:.0f} "
                         + " ".join(command) + " 2>/tmp/errors; s=$?; "
                         "tail -c 3000 /tmp/errors >&2; exit $s", 300 * SLOW)
    found = re.findall(r"^(not )?ok \d+ (\S+)(.*)$", out, re.M)
    for is_bad, name, more in found:
        t.result(not is_bad and "SKIP" not in more, f"in the guest: {name}")
    check(found and status in (0, 1), f"{command[0]} ended with {status}")
    if status != 0:
        note(out[-3000:])


# A host needs /dev/udmabuf to make dma-bufs of, and many have none. The guest
# has, so it plays the host: daemon and fake front-end both run inside.
def play_host(t, tests, libraries=(), more=()):
    daemon = t.lab.settings.daemons[t.frontend][0]
    proto = os.path.join(os.path.dirname(os.path.dirname(daemon)),
                         "tests/proto")
    image = t.lab.drive(t.frontend,
                        [daemon, f"{proto}/test-dmabuf", *more],
                        [os.path.join(proto, file) for file in libraries])
    vm = t.lab.vm(t.frontend, "virtio-gpu-pci", None, extra=(
        "-drive", f"file={image},if=virtio,format=raw,readonly=on"))
    note(f"{t.name}: booted in {vm.wait_boot():.1f} s")
    with t.check("the guest can make dma-bufs", alive=False):
        vm.sh("test -c /dev/udmabuf")
    with t.check("the tests run", alive=False):
        run_inside(t, vm, "/mnt/p/test-dmabuf", "/mnt/p/vhost-device-gpu",
                   "-p", tests)
    with t.check("QEMU ends well", alive=False):
        rc = vm.quit()
        check(rc == 0, f"QEMU ended with {rc}")


# The libraries are the tests' own, whose textures are memory files.
@scenario("host-dmabuf-2d", [(QEMU10, PCI), (QEMU11, PCI)], mode="2d")
@scenario("host-dmabuf-virgl", [(QEMU10, PCI), (QEMU11, PCI)],
          mode="virglrenderer")
@scenario("host-dmabuf-gfxstream", [(QEMU10, PCI)], mode="gfxstream")
def host_dmabuf(t):
    play_host(t, f"/proto/dmabuf/{t.mode}",
              ["mock-virglrenderer/libvirglrenderer.so.1",
               "mock-gfxstream/libgfxstream_backend.so.0"])


# Mesa exports what llvmpipe draws if there is a /dev/udmabuf, since 25.0. The
# library goes with the daemon of the same system; the driver is the guest's.
# By name only: on a busy machine the driver's start takes an emulated processor
# longer than a driver may take.
@scenario("host-dmabuf-gl", [(QEMU11, PCI)], mode="virglrenderer",
          only_if_named=True)
def host_dmabuf_gl(t):
    if not t.lab.settings.enter_13:
        raise Skip("no daemon is built in the Debian 13 tree")
    play_host(t, "/proto/dmabuf/gl",
              more=["/usr/lib/x86_64-linux-gnu/libvirglrenderer.so.1"])


# The pictures of vgpu-bench lie in pages in any order; as many pieces as that
# /dev/udmabuf has to be allowed to take.
@scenario("bench-dmabuf", [(QEMU10, PCI)], mode="2d", only_if_named=True)
def bench_dmabuf(t):
    """What a frame costs with buffers and without, in the guest that plays
    the host."""
    daemon = t.lab.settings.daemons[t.frontend][0]
    bench = os.path.join(os.path.dirname(os.path.dirname(daemon)),
                         "bench/vgpu-bench")
    image = t.lab.drive(t.frontend, [daemon, bench])
    vm = t.lab.vm(t.frontend, "virtio-gpu-pci", None, memory_mib=2048, extra=(
        "-drive", f"file={image},if=virtio,format=raw,readonly=on"))
    vm.wait_boot()
    vm.sh("mkdir -p /mnt/p && mount -o ro /dev/vdb /mnt/p && "
          "echo 16384 >/sys/module/udmabuf/parameters/list_limit")
    results = {}
    # A 4K frame takes seconds to copy there.
    for row, dmabuf in (("small", "off"), ("small", "on"), ("1080p", "off"),
                        ("1080p", "on"), ("4k", "on"), ("first-flush", "off"),
                        ("first-flush", "on")):
        out = vm.sh(f"cd /tmp && LD_LIBRARY_PATH=/mnt/p/lib "
                    f"/mnt/p/vgpu-bench --seconds 3 {row} "
                    f"'/mnt/p/vhost-device-gpu -s @SOCK@ --dmabuf {dmabuf}'",
                    180 * SLOW)
        found = dict(re.findall(r"^(\S+) (\S+)$", out, re.M))
        results[row, dmabuf] = {k: float(v) for k, v in found.items()}
        note(f"{t.name}: {row}, --dmabuf {dmabuf}: "
             + ", ".join(f"{k} {v}" for k, v in found.items()))
    with t.check("all frames were buffers, or none", alive=False):
        wrong = [row for (row, dmabuf), r in results.items()
                 if (r["buffers"] == 0) == (dmabuf == "on")]
        check(not wrong, f"not in {wrong}")
    with t.check("a 4K buffer costs the daemon a tenth of a 1080p frame",
                 alive=False):
        buffer, frame = (results[key]["cpu_us_per_frame"]
                         for key in (("4k", "on"), ("1080p", "off")))
        check(buffer < frame / 10, f"{buffer} us of CPU, {frame} us")
    vm.quit()


@scenario("outputs-2d", [(QEMU10, PCI), (QEMU11, VGA)], mode="2d")
@scenario("outputs-virgl", [(QEMU10, VGA), (QEMU11, PCI)],
          mode="virglrenderer")
def two_outputs(t):
    vm = t.boot(gpu="max_outputs=2")
    vm.load_driver()
    # Without a user interface QEMU has only the first output plugged in.
    vm.sh("echo on > /sys/class/drm/card0-Virtual-2/status")
    fourcc = primary_formats(vm)[0]
    with t.check("two outputs in the guest"):
        check(len(connectors(vm)) == 2, vm.sh("kms info"))
    with t.check("a picture of its own on each"), kms(vm, "show", fourcc) as p:
        sizes = [tuple(map(int, s)) for s in re.findall(
            r"^output \d+: (\d+)x(\d+)", p.output(), re.M)]
        for head, (width, height) in enumerate(sizes):
            expected = patterns.kms(width, height, head + 1)
            vm.wait_screen(lambda p: p.difference(expected), f"output {head}",
                           head=head)
    with t.check("both come back after stop and cont"), \
            kms(vm, "flip", fourcc, "1"):
        vm.stop()
        vm.cont()
        for head, (width, height) in enumerate(sizes):
            expected = patterns.kms(width, height, 7)
            vm.wait_screen(lambda p: p.difference(expected), f"output {head}",
                           head=head)
    with t.check("damage on each"), kms(vm, "damage", fourcc) as p:
        for head, (width, height) in enumerate(sizes):
            expected = patterns.kms_damaged(width, height, head + 1)
            vm.wait_screen(lambda p: p.difference(expected), f"output {head}",
                           head=head)
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    t.finish(vm)


@scenario("wire-2d", [(QEMU10, PCI), (QEMU11, VGA)], mode="2d")
@scenario("wire-virgl", [(QEMU10, VGA), (QEMU11, PCI)], mode="virglrenderer")
def wire(t):
    """What no screendump shows: the cursor, and what a picture costs."""
    t.daemon = t.lab.daemon(t.frontend, "--gpu-mode", t.mode)
    tap = Tap(t.lab, t.daemon)
    vm = t.lab.vm(t.frontend, t.device, tap)
    vm.wait_boot()
    vm.load_driver()
    fourcc = primary_formats(vm)[0]
    with t.check("console"):
        console_shows(vm, "with a listener")
    with kms(vm, "cursor", 100, 150, 3, 5):
        with t.check("cursor's pixels and hot spot"):
            tap.wait(lambda c: c.image is not None, "no cursor")
            scanout, hot_x, hot_y, data = tap.image
            check((scanout, hot_x, hot_y) == (0, 3, 5),
                  f"output {scanout}, hot spot {hot_x},{hot_y}")
            expected = patterns.cursor()
            wrong = [f"{i // 4 % 64},{i // 256}: {data[i:i + 4].hex()} "
                     f"instead of {expected[i:i + 4].hex()}"
                     for i in range(0, len(expected), 4)
                     if data[i:i + 4] != expected[i:i + 4]]
            check(not wrong and len(data) == len(expected),
                  f"{len(wrong)} wrong pixels: {wrong[:3]}")
        with t.check("cursor's position"):
            tap.wait(lambda c: c.position == (0, 100, 150), "position")
        with t.check("cursor again after stop and cont"):
            tap.image = None
            vm.stop()
            vm.cont()
            tap.wait(lambda c: c.image and c.position == (0, 100, 150),
                     "not sent again")
            check(tap.image == (0, 3, 5, expected), "another image")
    with t.check("cursor goes with its program"):
        tap.wait(lambda c: c.position is None, "hidden")
    with t.check("cursor elsewhere"), kms(vm, "cursor", 640, 20, 0, 0):
        tap.wait(lambda c: c.position == (0, 640, 20), "position")
    with t.check("page flips don't set the scanout anew"):
        since = len(tap.messages)
        with kms(vm, "flip", fourcc, "2") as program:
            flips = int(re.search(r"flips (\d+)", program.output())[1])
        scanouts = len(tap.requests(SCANOUT, since))
        updates = len(tap.requests(UPDATE, since))
        note(f"{t.name}: {flips} flips, {scanouts} SCANOUT, {updates} UPDATE")
        check(flips > 10 and updates > 0, "no flips")
        check(scanouts <= 4, f"{scanouts} SCANOUT for {flips} flips")
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    t.finish(vm)


def same_descriptors(t, before):
    now = t.daemon.settled(t.daemon.fd_count, lambda n: n <= before, 20)
    check(now <= before, f"{now} descriptors, {before} before")


@scenario("lifecycle-2d", [(QEMU10, PCI), (QEMU11, VGA)], mode="2d")
@scenario("lifecycle-virgl", [(QEMU10, VGA), (QEMU11, PCI)],
          mode="virglrenderer")
def lifecycle(t):
    """Everything that closes the display socket or resets the device. The
    full counts are for one combination, the others do a share of it."""
    full = t.name == "lifecycle-2d/qemu10/pci"
    stops, reloads, reboots = (100, 20, 10) if full else (25, 5, 4)
    vm = t.boot()
    vm.load_driver()
    # The first large picture has the daemon make the pipe that it lends by.
    console_shows(vm, "the first picture")
    fds = t.daemon.fd_count()
    with t.check(f"stop and cont {stops} times"):
        for i in range(stops):
            vm.stop()
            if i % 10 == 0:
                vm.screen()     # a stopped machine still has a picture
            vm.cont()
            console_shows(vm, f"resumed {i}")
    with t.check("stop and cont while the console scrolls"), \
            Program(vm, "while :; do dmesg >/dev/tty1; done"):
        for i in range(20):
            vm.stop()
            vm.cont()
            time.sleep(0.1)
    with t.check("console after all that"):
        console_shows(vm, "still there")
    with t.check(f"driver unloaded and loaded {reloads} times"):
        for i in range(reloads):
            unload_driver(vm)
            vm.load_driver()
            console_shows(vm, f"reloaded {i}")
    with t.check("no descriptor more"):
        same_descriptors(t, fds)
    rss = []
    with t.check(f"machine reset {reboots} times"):
        for i in range(reboots):
            vm.reset(by_guest=SYSRQ_RESET if i % 2 == 0 else None)
            if t.device == VGA:
                before = vm.screen()
                check_firmware_text(vm, before)
            vm.load_driver()
            console_shows(vm, f"rebooted {i}")
            rss.append(t.daemon.rss_kib())
    with t.check("memory and descriptors flat over resets"):
        note(f"{t.name}: own memory in KiB after each reset: {rss}")
        check(len(rss) == reboots, "the resets did not all happen")
        # Frames come and go, none to two of 4 MB each: the least of either half.
        half = len(rss) // 2
        first, second = min(rss[:half]), min(rss[half:])
        check(second <= first * 1.05 + 2 * 4096, f"grown: {first} to {second}")
        same_descriptors(t, fds)
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    vm.quit()
    with t.check("the next machine on the same daemon"):
        time.sleep(1)
        idle = t.daemon.fd_count()
        t.daemon.require_alive()
        other = VGA if t.device == PCI else PCI
        vm = t.lab.vm(t.frontend, other, t.daemon, name="vm2")
        vm.wait_boot()
        vm.load_driver()
        console_shows(vm, "the second machine")
        vm.quit()
        same_descriptors(t, idle)
    t.finish(None)


@scenario("leaks-2d", [(QEMU10, PCI)], mode="2d", only_if_named=True)
@scenario("leaks-virgl", [(QEMU10, PCI)], mode="virglrenderer",
          only_if_named=True)
def leaks(t):
    """Every process of the daemon, in the same state again and again."""
    vm = t.boot()
    is_3d = t.mode != "2d"

    def cube(i=0):
        if is_3d and i % 5 == 0:
            kmscube(vm)

    def pause(i):
        vm.stop()
        vm.cont()
        console_shows(vm, f"resumed {i}")

    def reload(i):
        unload_driver(vm)
        vm.load_driver(one_mode=(1280, 800))
        cube(i)
        console_shows(vm, f"reloaded {i}")

    def reboot(i):
        vm.sh("sync")   # what Mesa keeps of its shaders is read again
        vm.reset(by_guest=SYSRQ_RESET if i % 2 == 0 else None)
        vm.load_driver(one_mode=(1280, 800))
        cube(i)
        console_shows(vm, f"rebooted {i}")

    def is_alike(accounts):
        return [a[:2] for a in accounts] == [b[:2] for b in before]

    def repeat(what, times, step):
        samples = []
        with t.check(f"{what} {times} times"):
            for i in range(times):
                step(i)
                samples.append(t.daemon.settled(t.daemon.accounts, is_alike))
        with t.check(f"no descriptor more, no memory more by a {what}"):
            note(f"{t.name}: {samples[0]}, then {samples[-1]}")
            check(is_alike(samples[0]), f"{samples[0]}, {before} before")
            wrong = grown(samples)
            check(wrong is None, wrong)

    vm.load_driver(one_mode=(1280, 800))
    # Each of it once, to compare with.
    pause(0)
    reload(0)
    reboot(0)
    time.sleep(5 * SLOW)
    before = t.daemon.accounts()
    note(f"{t.name}: {before}")
    repeat("stop and cont", 50, pause)
    repeat("driver reload", 20, reload)
    repeat("reset", 20, reboot)
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    t.finish(vm)


def config_loop(t, vm, seconds, silence_s):
    """Reads the device's configuration without pause while the console
    scrolls; the longest wait for the monitor or the guest in between."""
    vm.load_driver()
    console_shows(vm, "before the loop")
    longest = 0.0
    with Program(vm, "while :; do dmesg >/dev/tty1; done"):
        loop = vm.agent.start(f"configloop {seconds}", seconds + 60)
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            beat = time.monotonic()
            try:
                vm.qmp.command("query-status", timeout_s=silence_s)
                id = vm.agent.start("true")
                vm.agent.finish(id, silence_s)
            except Stall as e:
                raise Stall(f"after {beat - start:.1f} s of the loop: {e}") \
                    from e
            longest = max(longest, time.monotonic() - beat)
            time.sleep(0.2)
        status, out = vm.agent.finish(loop, 60 * SLOW)
    check(status == 0, f"configloop ended with {status}: {out}")
    note(f"{t.name}: {out.strip()}; longest heartbeat "
         f"{longest * 1000:.0f} ms")


@scenario("config-loop-2d", [(QEMU10, PCI), (QEMU11, VGA)], mode="2d")
@scenario("config-loop-virgl", [(QEMU10, VGA), (QEMU11, PCI)],
          mode="virglrenderer")
def config_loop_ours(t):
    vm = t.boot()
    with t.check("60 s without a stall"):
        config_loop(t, vm, 60, 10 * SLOW)
    with t.check("console after the loop"):
        console_shows(vm, "after the loop")
    t.finish(vm)


@scenario("config-loop-peer", [(QEMU10, PCI)], mode=None)
def config_loop_peer(t):
    """The same against QEMU's own back-end, to see what the loop is good
    for. Its failure is not ours, so either outcome is a result."""
    t.daemon = t.lab.peer(t.frontend)
    vm = t.lab.vm(t.frontend, t.device, t.daemon)
    vm.wait_boot()
    with t.check("QEMU's own back-end under the loop"):
        try:
            config_loop(t, vm, 60, 10 * SLOW)
            note(f"{t.name}: the peer survived the loop")
        except Stall as e:
            note(f"{t.name}: the peer stalled: {e}")
    vm.process.stop(1)
