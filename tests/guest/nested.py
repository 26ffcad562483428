# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A guest that plays the host for a whole QEMU: a host needs /dev/udmabuf to
make dma-bufs of, and a DRM node for a display that draws with them, and many
have neither. The guest has the one, and vgem is the other.

The inner QEMU's processor would be emulated by a program that is emulated: a
kernel boots for eight minutes in it. So it has no guest, and qtest.py is its
driver.
"""

import base64
import contextlib
import gzip
import time

import patterns
import qtest
from lab import (Failure, Monitor, Picture, SLOW, Skip, VM, check, connect,
                 note)
from scenarios import PCI, Program, QEMU11, scenario

# Where Debian's packages have what a machine takes: the modules that the device
# and its display are in, and a piece of firmware.
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
QEMU = "/usr/bin/qemu-system-x86_64"
MODULES = [f"{LIBRARIES}/qemu/{name}.so" for name in (
    "hw-display-virtio-gpu", "hw-display-virtio-gpu-pci", "ui-opengl",
    "ui-egl-headless")]
FIRMWARE = "/usr/share/qemu/kvmvapic.bin"
# Mesa 26. The guest's own, 25.0, crashes when its software renderer reads a
# dma-buf that is another's. Both have LLVM from the same package.
MESA = [f"{LIBRARIES}/{name}" for name in (
    "libEGL.so.1", "libGLESv2.so.2", "libEGL_mesa.so.0", "gbm/dri_gbm.so")]
VENDOR = "/usr/share/glvnd/egl_vendor.d/50_mesa.json"

ENV = ("env LD_LIBRARY_PATH=/mnt/p/lib:/mnt/p QEMU_MODULE_DIR=/mnt/p "
       "GBM_BACKENDS_PATH=/mnt/p "
       "__EGL_VENDOR_LIBRARY_FILENAMES=/mnt/p/50_mesa.json")

# The display that reads dma-bufs, and one that takes and ignores them.
WITH_GL = "egl-headless,rendernode=/dev/dri/renderD128"
WITHOUT = "none"

PORT = """
port() {
	for p in /sys/class/virtio-ports/*; do
		[ "$(cat $p/name)" != $1 ] || echo /dev/${p##*/}
	done
}
"""

# The first port is for the monitor, the second one for what is done inside.
PORTS = ("inner.qmp", "inner.work")

INNER = ("-nodefaults -no-user-config -vga none -L /mnt/p "
         "-machine q35,memory-backend=mem0 -m 256M "
         "-object memory-backend-memfd,share=on,id=mem0,size=256M "
         "-chardev pipe,id=qmp,path=$(port inner.qmp) "
         "-mon chardev=qmp,mode=control "
         "-accel tcg -bios /tmp/firmware "
         "-qtest pipe:$(port inner.work) -qtest-log none "
         "-chardev socket,id=vgpu,path=/tmp/gpu.sock "
         f"-device {PCI},id={VM.GPU},chardev=vgpu,addr={qtest.SLOT:x}.0")

# Pixels that are whole pages, so that the size tells surfaces apart.
SIZE = (640, 480)


class Inner(VM):
    """The QEMU inside: its monitor is a port of the outer guest's."""

    def __init__(self, outer, program):
        self.lab, self.name, self.outer = outer.lab, "inner", outer
        self.process, self.program = outer.process, program
        self.qmp = Monitor(outer.ports[PORTS[0]])
        self.shots, self.boots = 0, []

    def surface(self, width, height):
        """What the display has drawn, or None. There is no screendump of a
        buffer ("no surface"), but this display draws buffers on the console's
        surface, which QEMU has in a memory file."""
        found = self.outer.sh(
            f"cd /proc/$(cat {self.program.out}.pid)/fd; for f in *; do "
            "case $(readlink $f) in /memfd:displaysurface*) "
            f"[ $(stat -Lc %s $f) = {4 * width * height} ] || continue; "
            "gzip -1 -c $f | base64; break; esac; done", 120)
        if not found:
            return None
        data = gzip.decompress(base64.b64decode(found))
        pixels = bytearray(3 * width * height)
        for channel in range(3):
            pixels[channel::3] = data[2 - channel::4]
        return Picture(width, height, bytes(pixels))

    def wait_surface(self, width, height, timeout_s=60):
        deadline = time.monotonic() + timeout_s * SLOW
        while not self.surface(width, height):
            check(time.monotonic() < deadline, "no surface of that size")
            time.sleep(0.5)

    def shows(self, picture, what, timeout_s=60):
        """Waits until it does."""
        deadline = time.monotonic() + timeout_s * SLOW
        while True:
            found = self.surface(picture.width, picture.height)
            wrong = found.difference(picture) if found else "no such surface"
            if not wrong:
                return
            if time.monotonic() > deadline:
                path = f"{self.lab.keep}/wrong-{self.shots}.png"
                self.shots += 1
                if found:
                    found.save(path)
                raise Failure(f"{what}: {wrong} (picture: {path})")
            time.sleep(0.5)

    def screen(self, head=0, device=True):
        self.qmp.command("screendump", filename="/tmp/shot.ppm",
                         device=self.GPU, head=head)
        self.outer.sh("gzip -1 -f /tmp/shot.ppm", 120)
        path = self.lab.path("shot.ppm")
        with open(path, "wb") as f:
            f.write(gzip.decompress(self.outer.fetch("/tmp/shot.ppm.gz")))
        return Picture.from_ppm(path)

    def shows_buffer(self):
        """By QEMU's own account: of a buffer it makes no screendump."""
        try:
            self.qmp.command("screendump", filename="/dev/null",
                             device=self.GPU)
            return False
        except Failure as e:
            check("no surface" in str(e), e)
            return True

    def wait_buffer(self, step, timeout_s=60):
        deadline = time.monotonic() + timeout_s * SLOW
        while not self.shows_buffer():
            check(time.monotonic() < deadline, "it is a copy")
            step()
            time.sleep(0.5)


def outer_guest(t):
    """The guest that plays the host, with its drive mounted."""
    if not t.lab.settings.enter_13:
        raise Skip("no daemon is built in the Debian 13 tree")
    image = t.lab.drive(t.frontend, [t.lab.settings.daemons[t.frontend][0],
                                     QEMU, *MODULES, *MESA],
                        files=[FIRMWARE, VENDOR], without=("LLVM",),
                        size_mib=256)
    ports = [arg for name in PORTS for arg in (
        "-chardev", f"socket,id={name},path={t.lab.path(name)},server=on,"
                    f"wait=off",
        "-device", f"virtserialport,chardev={name},name={name}")]
    vm = t.lab.vm(t.frontend, "virtio-gpu-pci", None, memory_mib=1536, extra=(
        "-drive", f"file={image},if=virtio,format=raw,readonly=on", *ports))
    vm.ports = {name: connect(t.lab.path(name), vm.process) for name in PORTS}
    note(f"{t.name}: booted in {vm.wait_boot():.1f} s")
    vm.sh("modprobe vgem && mkdir -p /mnt/p && mount -o ro /dev/vdb /mnt/p")
    return vm


@contextlib.contextmanager
def machine(outer, dmabuf, display):
    """The daemon and QEMU in the outer guest, and QEMU's device."""
    outer.sh(f"head -c {len(qtest.FIRMWARE)} /dev/zero | tr '\\0' '\\364' "
             ">/tmp/firmware")
    with Program(outer, f"exec {ENV} /mnt/p/vhost-device-gpu --socket-path "
                 f"/tmp/gpu.sock --gpu-mode 2d --dmabuf {dmabuf}") as daemon:
        outer.sh("for i in $(seq 200); do [ ! -S /tmp/gpu.sock ] || exit 0; "
                 "sleep 0.1; done; exit 1")
        with Program(outer, f"{PORT}exec {ENV} /mnt/p/qemu-system-x86_64 "
                     f"-display {display} {INNER}") as qemu:
            try:
                inner = Inner(outer, qemu)
                yield inner, qtest.Gpu(qtest.Wire(outer.ports[PORTS[1]],
                                                  60 * SLOW))
                inner.qmp.command("quit")
            finally:
                note(f"QEMU with --dmabuf {dmabuf}, -display {display} says: "
                     f"{qemu.output()[-1500:]}\nthe daemon: "
                     f"{daemon.output()[-1500:]}")


def show(gpu, id, form, width, height, seed, pieces=1):
    """A resource with the pattern, transferred and shown: the picture, and
    what draws another one there."""
    spans = gpu.create(id, form, width, height, pieces)

    def draw(picture):
        gpu.fill(form, picture, spans)
        gpu.flush(id, 0, 0, width, height)
        return picture

    gpu.show(id, 0, 0, width, height)
    return draw(patterns.kms(width, height, seed)), draw


def remove(gpu, id):
    gpu.do(qtest.SET_SCANOUT, "6I", 0, 0, 0, 0, 0, 0)
    gpu.do(qtest.UNREF, "2I", id, 0)


@scenario("host-dmabuf-qemu", [(QEMU11, PCI)], mode="2d", only_if_named=True)
def host_dmabuf_qemu(t):
    outer = outer_guest(t)
    with machine(outer, "on", WITH_GL) as (inner, gpu):
        buffers_are_drawn(t, inner, gpu)
        copies_are_drawn(t, inner, gpu)
    with machine(outer, "off", WITH_GL) as (inner, gpu):
        with t.check("off: all pixels, no buffer", alive=False):
            picture, _ = show(gpu, 1, "B8G8R8X8", *SIZE, 1)
            inner.shows(picture, "pattern")
            inner.wait_screen(lambda p: p.difference(picture), "screendump")
    with machine(outer, "on", WITHOUT) as (inner, gpu):
        with t.check("without OpenGL a buffer is taken and not shown",
                     alive=False):
            picture, draw = show(gpu, 1, "B8G8R8X8", *SIZE, 1)
            inner.wait_buffer(lambda: gpu.flush(1, 0, 0, *SIZE))
            time.sleep(3)
            check(inner.shows_buffer(), "it is a copy")
            found = inner.surface(*SIZE)
            check(found is None or found.is_black() or
                  found.difference(picture), "it is shown")
    with t.check("QEMU ends well", alive=False):
        rc = outer.quit()
        check(rc == 0, f"QEMU ended with {rc}")


def buffers_are_drawn(t, inner, gpu):
    """A software renderer may need longer for its first picture than a display
    may take; until it has drawn it, it is sent copies. So what is compared is
    drawn when there are buffers."""
    width, height = SIZE

    def size(width, height):
        """QEMU gives its console a size for a copy, not for a buffer."""
        gpu.create(9, "R8G8B8A8", width, height)
        gpu.show(9, 0, 0, width, height)
        gpu.flush(9, 0, 0, width, height)
        inner.wait_surface(width, height)

    def compare(id, form, width, height, pieces=1):
        size(width, height)
        _, draw = show(gpu, id, form, width, height, 1, pieces)
        gpu.do(qtest.UNREF, "2I", 9, 0)
        inner.wait_buffer(lambda: gpu.flush(id, 0, 0, width, height))
        inner.shows(draw(patterns.kms(width, height, 2)), form)
        check(inner.shows_buffer(), "it was a copy")
        return draw

    for form in "B8G8R8X8", "B8G8R8A8":
        with t.check(f"a buffer: all pixels {form}", alive=False):
            compare(1, form, *SIZE)
            remove(gpu, 1)
    with t.check("a buffer: 1024x768, pages in another order", alive=False):
        compare(1, "B8G8R8X8", 1024, 768, 9)
        remove(gpu, 1)
    draw = compare(1, "B8G8R8X8", *SIZE)
    with t.check("a buffer: a rectangle is drawn anew", alive=False):
        gpu.fill("B8G8R8X8", patterns.kms_damaged(*SIZE, 2), gpu.spans[1])
        gpu.flush(1, *patterns.DAMAGE, stride=4 * width)
        inner.shows(patterns.kms_damaged(*SIZE, 2), "damage")
    with t.check("buffers: flips", alive=False):
        show(gpu, 2, "B8G8R8X8", *SIZE, 5)
        for seed in range(6, 12):
            id = 1 + seed % 2
            picture = patterns.kms(*SIZE, seed)
            gpu.fill("B8G8R8X8", picture, gpu.spans[id])
            gpu.show(id, 0, 0, *SIZE)
            gpu.flush(id, 0, 0, *SIZE)
        inner.shows(picture, "the last one")
        check(inner.shows_buffer(), "it was a copy")
    with t.check("a buffer: the lower part of a picture", alive=False):
        # Its first row begins with a page.
        size(width, height - 8)
        gpu.show(2, 0, 8, width, height - 8)
        picture = patterns.kms(*SIZE, 11)
        gpu.fill("B8G8R8X8", picture, gpu.spans[2])
        gpu.flush(2, 0, 0, *SIZE)
        inner.shows(Picture(width, height - 8, picture.data[8 * 3 * width:]),
                    "without eight rows")
        gpu.do(qtest.UNREF, "2I", 9, 0)
        check(inner.shows_buffer(), "it was a copy")
    with t.check("a buffer: stop and cont", alive=False):
        size(*SIZE)
        gpu.show(1, 0, 0, *SIZE)
        draw(patterns.kms(*SIZE, 20))
        inner.stop()
        inner.cont()
        inner.shows(draw(patterns.kms(*SIZE, 21)), "after cont")
        inner.wait_buffer(lambda: gpu.flush(1, 0, 0, *SIZE))
    remove(gpu, 1)
    gpu.do(qtest.UNREF, "2I", 2, 0)
    gpu.do(qtest.UNREF, "2I", 9, 0)


def copies_are_drawn(t, inner, gpu):
    """Beside buffers, on the same channel."""
    for form in qtest.FORMATS:
        if form in ("B8G8R8X8", "B8G8R8A8"):
            continue
        with t.check(f"a copy: all pixels {form}", alive=False):
            picture, _ = show(gpu, 1, form, *SIZE, 3)
            inner.shows(picture, form)
            check(not inner.shows_buffer(), "it was a buffer")
            remove(gpu, 1)
    with t.check("a copy: rows that are no multiple of 256 bytes", alive=False):
        picture, _ = show(gpu, 1, "B8G8R8X8", 800, 600, 4)
        inner.shows(picture, "800x600")
        check(not inner.shows_buffer(), "it was a buffer")
        remove(gpu, 1)
