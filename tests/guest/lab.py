# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What a guest test is made of: a back-end process, a virtual machine with its
monitor, a shell in the guest, and pictures of what the display shows.

Everything a test starts is ended by its pid when the test ends, however it
ends: Lab is a context manager and keeps the list.
"""

import base64
import contextlib
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import zlib

REPO = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# Seconds that the slowest machine may take for one thing. Under TCG on two
# cores a boot takes 5 to 10 s; a loaded machine is several times slower.
SLOW = float(os.environ.get("VDG_TEST_SLOW", "1"))
BOOT_S = 120 * SLOW
COMMAND_S = 60 * SLOW
MONITOR_S = 30 * SLOW

PEER = "/usr/lib/qemu/vhost-user-gpu"


class Failure(Exception):
    """A check that did not hold."""


class Skip(Exception):
    """A check that cannot be made here."""


class Stall(Failure):
    """The monitor or the guest does not answer; there is no going on."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def note(text):
    """A line beside the results, and a sign of life while a test runs."""
    for line in str(text).splitlines():
        print("# " + line, flush=True)


def tail(path, lines=15):
    try:
        with open(path, errors="replace") as f:
            return "".join(f.readlines()[-lines:])
    except OSError as e:
        return f"({e})\n"


def run_script(name, *args):
    """The standard output of one of scripts/, its progress on our stderr."""
    return subprocess.run([os.path.join(REPO, "scripts", name), *args],
                          check=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


def unfiltered(data, row_bytes, step):
    """The rows of a PNG picture, whose first byte says what the others are
    the difference to: left, above, their mean, or the likeliest of three."""
    above, rows = bytearray(row_bytes), []
    for at in range(0, len(data), row_bytes + 1):
        kind, row = data[at], bytearray(data[at + 1:at + 1 + row_bytes])
        for i in range(row_bytes if kind else 0):
            a = row[i - step] if i >= step else 0
            b = above[i]
            if kind == 1:
                guess = a
            elif kind == 2:
                guess = b
            elif kind == 3:
                guess = (a + b) // 2
            else:
                c = above[i - step] if i >= step else 0
                guess = min((a, b, c), key=lambda v: abs(a + b - c - v))
            row[i] = row[i] + guess & 255
        rows.append(row)
        above = row
    return rows


class Picture:
    """The pixels of a screendump, three bytes each: red, green, blue."""

    def __init__(self, width, height, data):
        self.width, self.height, self.data = width, height, data

    @classmethod
    def from_ppm(cls, path):
        with open(path, "rb") as f:
            data = f.read()
        m = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
        check(m, f"{path} is no PPM picture")
        width, height = int(m[1]), int(m[2])
        pixels = data[m.end():]
        check(len(pixels) == width * height * 3,
              f"{path}: {len(pixels)} bytes for {width}x{height}")
        return cls(width, height, pixels)

    @classmethod
    def from_png(cls, data):
        """Of eight bits a channel, with or without alpha, which is left out,
        and not interlaced: as programs write screenshots."""
        check(data[:8] == b"\x89PNG\r\n\x1a\n", "this is no PNG picture")
        width, height, depth, kind, _, _, interlace = struct.unpack(
            ">IIBBBBB", data[16:29])
        check((depth, interlace) == (8, 0) and kind in (2, 6),
              f"a PNG picture of kind {kind}, {depth} bits, {interlace}")
        at, packed = 8, b""
        while at < len(data):
            size, = struct.unpack_from(">I", data, at)
            if data[at + 4:at + 8] == b"IDAT":
                packed += data[at + 8:at + 8 + size]
            at += size + 12
        channels = 3 if kind == 2 else 4
        rows = unfiltered(zlib.decompress(packed), width * channels, channels)
        pixels = bytearray(3 * width * height)
        for c in range(3):
            pixels[c::3] = b"".join(row[c::channels] for row in rows)
        return cls(width, height, bytes(pixels))

    def pixel(self, x, y):
        o = (y * self.width + x) * 3
        return tuple(self.data[o:o + 3])

    def row(self, y, x=0, width=None):
        width = self.width - x if width is None else width
        o = (y * self.width + x) * 3
        return self.data[o:o + 3 * width]

    def is_black(self):
        return not any(self.data)

    def colours(self, limit=100000):
        """How many different colours there are (at most limit)."""
        seen = set()
        for o in range(0, len(self.data), 3):
            seen.add(self.data[o:o + 3])
            if len(seen) >= limit:
                break
        return len(seen)

    def share_not(self, colour):
        """The part of the pixels that differ from colour, 0 to 1."""
        colour = bytes(colour)
        n = sum(self.data[o:o + 3] != colour
                for o in range(0, len(self.data), 3))
        return n / (self.width * self.height)

    def difference(self, other):
        """None if equal, else a text that says where."""
        if (self.width, self.height) != (other.width, other.height):
            return (f"{self.width}x{self.height} instead of "
                    f"{other.width}x{other.height}")
        if self.data == other.data:
            return None
        wrong, first = 0, None
        for o in range(0, len(self.data), 3):
            if self.data[o:o + 3] != other.data[o:o + 3]:
                wrong += 1
                first = o // 3 if first is None else first
        x, y = first % self.width, first // self.width
        return (f"{wrong} of {self.width * self.height} pixels differ, "
                f"first at {x},{y}: {self.pixel(x, y)} instead of "
                f"{other.pixel(x, y)}")

    def save(self, path):
        """As PNG, for people to look at."""
        def chunk(kind, data):
            return (struct.pack(">I", len(data)) + kind + data +
                    struct.pack(">I", zlib.crc32(kind + data)))
        rows = b"".join(b"\0" + self.row(y) for y in range(self.height))
        with open(path, "wb") as f:
            f.write(b"\x89PNG\r\n\x1a\n" +
                    chunk(b"IHDR", struct.pack(">IIBBBBB", self.width,
                                               self.height, 8, 2, 0, 0, 0)) +
                    chunk(b"IDAT", zlib.compress(rows, 6)) +
                    chunk(b"IEND", b""))


def resident_kib(smaps):
    """Of a process by its /proc/PID/smaps, but for QEMU's machine's memory,
    which is the guest's to touch."""
    kib, is_guest = 0, False
    for line in smaps:
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            is_guest = "memfd:memory-backend-memfd" in line
        elif line.startswith("Rss:") and not is_guest:
            kib += int(line.split()[1])
    return kib


def grown(samples):
    """What is wrong with a list of accounts(), all made in the same state of
    the guest: descriptors are not as many as in the first one, or even the
    least memory in the later half is 5 % more than the least in the earlier.
    (Pictures under way come and go.) None if nothing is."""
    first = [(name, fds) for name, fds, _ in samples[0]]
    for sample in samples:
        if [(name, fds) for name, fds, _ in sample] != first:
            return f"{sample}, {samples[0]} before"
    half = (len(samples) + 1) // 2
    for i, (name, _, _) in enumerate(samples[0]):
        before = min(s[i][2] for s in samples[:half])
        now = min((s[i][2] for s in samples[half:]), default=0)
        if now > before * 1.05:
            return f"{name} has {now} KiB, {before} before"
    return None


class Process:
    """A child with its output in a log file; ended by its own pid."""

    def __init__(self, name, argv, log, lasting=False, pass_fds=()):
        self.name, self.argv, self.log = name, argv, log
        # Should this process be killed outright, the child ends as well.
        if not lasting:
            argv = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
        with open(log, "ab") as f:
            f.write(f"$ {shlex.join(self.argv)}\n".encode())
            f.flush()
            self.child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                pass_fds=pass_fds, start_new_session=True)
        self.pid = self.child.pid

    def alive(self):
        return self.child.poll() is None

    def require_alive(self):
        rc = self.child.poll()
        check(rc is None, f"{self.name} ended with status {rc}")

    def stop(self, grace_s=5):
        """Ends it; the exit status, or None if it had to be killed."""
        if not self.alive():
            return self.child.returncode
        self.child.terminate()
        try:
            return self.child.wait(grace_s * SLOW)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            return None

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def family(self):
        """This process and all that descend from it."""
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat") as f:
                        parent = int(f.read().rsplit(")", 1)[1].split()[1])
                except OSError:
                    continue
                children.setdefault(parent, []).append(int(entry))
        found = [self.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def fd_count(self):
        """Open descriptors of the whole family."""
        n = 0
        for pid in self.family():
            try:
                n += len(os.listdir(f"/proc/{pid}/fd"))
            except OSError:
                pass
        return n

    def accounts(self):
        """What each process of the family has, itself first: (name,
        descriptors, resident KiB without the guest's memory)."""
        found = []
        for pid in self.family():
            try:
                with open(f"/proc/{pid}/comm") as f:
                    name = f.read().strip()
                with open(f"/proc/{pid}/smaps") as f:
                    kib = resident_kib(f)
                found.append((name, len(os.listdir(f"/proc/{pid}/fd")), kib))
            except OSError:
                pass
        return found

    def rss_kib(self):
        """Resident memory of the whole family, without what it shares with
        the guest."""
        n = 0
        for pid in self.family():
            try:
                with open(f"/proc/{pid}/status") as f:
                    n += int(re.search(r"RssAnon:\s+(\d+)", f.read())[1])
            except (OSError, TypeError):
                pass
        return n

    def settled(self, measure, good, timeout_s=5):
        """The last value of measure(), as soon as good(value)."""
        deadline = time.monotonic() + timeout_s * SLOW
        while True:
            value = measure()
            if good(value) or time.monotonic() > deadline:
                return value
            time.sleep(0.1)


class Daemon(Process):
    """A vhost-user-gpu back-end that listens on a socket."""

    # What no run may leave in the log, whatever else it says.
    BAD = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|"
                     r"ThreadSanitizer|CRITICAL|Assertion|assertion|"
                     r"segfault|^\S*error\b", re.M)

    def __init__(self, lab, name, argv, sock, lasting=False):
        self.sock = sock
        super().__init__(name, argv, lab.path(name + ".log"), lasting)
        deadline = time.monotonic() + 20 * SLOW
        while not os.path.exists(sock):
            self.require_alive()
            if time.monotonic() > deadline:
                raise Failure(f"{name} made no socket")
            time.sleep(0.02)

    def renderer(self):
        """The process that renders, or None."""
        for pid in self.family():
            try:
                with open(f"/proc/{pid}/comm") as f:
                    if f.read().strip() == "renderer":
                        return pid
            except OSError:
                pass
        return None

    def crash(self, number=signal.SIGKILL):
        """Ends the process that renders; returns when there is another."""
        old = self.renderer()
        check(old is not None, f"{self.name} has no process that renders")
        os.kill(old, number)
        deadline = time.monotonic() + 10 * SLOW
        while self.renderer() in (None, old):
            self.require_alive()
            check(time.monotonic() < deadline, "no other process renders")
            time.sleep(0.002)

    def complaints(self):
        return [line for line in self.text().splitlines()
                if self.BAD.search(line)]


def connect(path, process=None, timeout_s=20 * SLOW):
    """A socket that somebody is about to listen on."""
    deadline = time.monotonic() + timeout_s
    while True:
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(path)
            return s
        except OSError as e:
            s.close()
            if process:
                process.require_alive()
            if time.monotonic() > deadline:
                raise Failure(f"{path}: {e.strerror}") from e
            time.sleep(0.05)


class Monitor:
    """QEMU's machine protocol over an already connected socket."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""
        self.greeting = self._receive(MONITOR_S)
        self.command("qmp_capabilities")

    def _receive(self, timeout_s):
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                raise Stall(f"QEMU's monitor is silent for {timeout_s:.0f} s")
            try:
                data = self.sock.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                raise Stall("QEMU has closed its monitor")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def command(self, name, timeout_s=MONITOR_S, **arguments):
        message = {"execute": name}
        if arguments:
            message["arguments"] = arguments
        try:
            self.sock.sendall(json.dumps(message).encode())
        except OSError as e:
            raise Stall(f"QEMU's monitor: {e}") from e
        while True:
            answer = self._receive(timeout_s)
            if "event" in answer:
                continue
            if "error" in answer:
                raise Failure(f"{name}: {answer['error']['desc']}")
            else:
                return answer["return"]


class Agent:
    """The shell in the guest (tests/guest/programs/agent.c)."""

    def __init__(self, sock):
        self.sock, self.buffer, self.next_id = sock, b"", 1
        self.answers = {}

    def start(self, script, timeout_s=COMMAND_S):
        """Starts a script and returns its id without waiting."""
        id, self.next_id = self.next_id, self.next_id + 1
        data = script.encode()
        # Until the guest has opened the port nothing may take the bytes;
        # a socket buffer has room for them.
        try:
            self.sock.sendall(b"%d %d %d\n" % (id, timeout_s + 1, len(data)) +
                              data)
        except OSError as e:
            raise Stall(f"the guest's port: {e}") from e
        return id

    def finish(self, id, timeout_s=COMMAND_S):
        """(status, output) of a started script."""
        deadline = time.monotonic() + timeout_s
        while id not in self.answers:
            m = re.match(rb"(\d+) (\d+) (\d+)\n", self.buffer)
            if m and len(self.buffer) >= m.end() + int(m[3]):
                out = self.buffer[m.end():m.end() + int(m[3])]
                self.buffer = self.buffer[m.end() + int(m[3]):]
                self.answers[int(m[1])] = (int(m[2]),
                                           out.decode(errors="replace"))
                continue
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                raise Stall(f"the guest is silent for {timeout_s:.0f} s")
            try:
                data = self.sock.recv(1 << 20)
            except ConnectionError:
                data = b""
            if not data:
                raise Stall("QEMU has closed the guest's port")
            self.buffer += data
        return self.answers.pop(id)

    def forget(self):
        """After a reset: what was under way will not be answered."""
        with contextlib.suppress(ConnectionError):
            while select.select([self.sock], [], [], 0)[0]:
                if not self.sock.recv(1 << 20):
                    break
        self.buffer, self.answers = b"", {}


class VM:
    """A guest on a back-end, or with QEMU's own device where daemon is None.
    gpu: extra properties of the device."""

    GPU = "gpu0"

    def __init__(self, lab, name, frontend, device, daemon, gpu="", append="",
                 memory_mib=1024, extra=(), lasting=False, display="none"):
        """lasting: the machine outlives this process, and its monitor and
        agent are sockets that a later process can connect to."""
        self.lab, self.name, self.daemon = lab, name, daemon
        self.serial = lab.path(name + ".serial.log")
        image = lab.image
        ends, pass_fds, far = {}, [], []
        for name_ in ("qmp", "agent"):
            if lasting:
                ends[name_] = (f"path={lab.path(name_ + '.sock')},"
                               f"server=on,wait=off")
                continue
            near, there = socket.socketpair()
            setattr(self, name_, near)
            ends[name_] = f"fd={there.fileno()}"
            pass_fds.append(there.fileno())
            far.append(there)
        accel = lab.accel
        argv = [
            *lab.settings.prefix(frontend), "qemu-system-x86_64",
            "-name", name, "-nodefaults",
            "-no-user-config", "-display", display, "-vga", "none",
            "-accel", accel, "-smp", "2", "-m", f"{memory_mib}M",
            "-cpu", "host" if accel.startswith("kvm") else "max",
            "-object", f"memory-backend-memfd,share=on,id=mem0,"
                       f"size={memory_mib}M",
            "-machine", "q35,memory-backend=mem0",
            "-kernel", f"{image}/vmlinuz", "-initrd", f"{image}/initrd",
            "-append", f"console=ttyS0 {KERNEL_ARGS} {append}".strip(),
            "-drive", f"file={image}/root.ext4,if=virtio,format=raw,"
                      f"snapshot=on",
            "-serial", f"file:{self.serial}",
            "-chardev", f"socket,id=qmp,{ends['qmp']}",
            "-mon", "chardev=qmp,mode=control",
            "-chardev", f"socket,id=agent,{ends['agent']}",
            "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=agent,name=vdg.agent",
            *(("-chardev", f"socket,id=vgpu,path={daemon.sock}")
              if daemon else ()),
            "-device", f"{device},id={self.GPU}"
                       f"{',chardev=vgpu' if daemon else ''}"
                       f"{',' + gpu if gpu else ''}",
            *extra,
        ]
        self.process = lab.own(Process(
            name, argv, lab.path(name + ".log"), lasting, pass_fds))
        for there in far:
            there.close()
        if lasting:
            self.qmp = connect(lab.path("qmp.sock"), self.process)
            self.agent = connect(lab.path("agent.sock"), self.process)
        try:
            self.qmp = Monitor(self.qmp)
        except Failure as e:
            raise Failure(f"{name}: {e}: {tail(self.process.log, 3)}") from e
        self.agent = Agent(self.agent)
        self.shots, self.boots = 0, []

    # The guest

    def wait_boot(self, timeout_s=BOOT_S):
        """Until the guest answers, and not with a boot it had before. What
        is sent around a reset may be lost, so it is asked again."""
        start = time.monotonic()
        while True:
            try:
                status, boot = self.agent.finish(self.agent.start(
                    "cat /proc/sys/kernel/random/boot_id"), 5 * SLOW)
                if status == 0 and boot not in self.boots:
                    self.boots.append(boot)
                    return time.monotonic() - start
                time.sleep(0.2)
            except Stall:
                # Half an answer from before a reset would hide later ones.
                self.agent.forget()
            self.process.require_alive()
            if time.monotonic() - start > timeout_s:
                raise Stall(f"no guest after {timeout_s:.0f} s")

    def run(self, script, timeout_s=COMMAND_S):
        """(status, output) of a shell script in the guest."""
        return self.agent.finish(self.agent.start(script, timeout_s),
                                 timeout_s + 5)

    def sh(self, script, timeout_s=COMMAND_S):
        """The output of a script that must succeed."""
        status, out = self.run(script, timeout_s)
        check(status == 0, f"in the guest: {script!r} ended with {status}: "
                           f"{out[-1500:]}")
        return out

    def fetch(self, path):
        """The bytes of a file of the guest."""
        return base64.b64decode(self.sh(f"base64 {path}"))

    def load_driver(self, one_mode=None, and_small=False):
        """Loads virtio-gpu. one_mode: leave the guest this (width, height)
        only (and_small: and SMALL_MODES), because glmark2 draws in the largest
        mode it finds, 5120x2160 with QEMU's EDID, which costs a software
        renderer seconds a frame."""
        if one_mode:
            text = "".join(f"\\{b:03o}"
                           for b in edid_of(*one_mode, and_small))
            self.sh(f"mkdir -p /lib/firmware/edid && "
                    f"printf '{text}' >/lib/firmware/edid/vdg.bin && "
                    f"modprobe drm && echo edid/vdg.bin "
                    f">/sys/module/drm/parameters/edid_firmware")
        self.sh("modprobe virtio_gpu; for i in $(seq 200); do "
                "[ -e /dev/dri/card0 ] && exit 0; sleep 0.05; done; "
                "dmesg | tail -n 20; exit 1", BOOT_S)

    def gpu_messages(self):
        """What the kernel complains of."""
        return [line for line in self.sh("dmesg").splitlines()
                if re.search(r"\*ERROR\*|virtio_gpu.*(error|fail|timeout)|"
                             r"response 0x1[23]|WARNING:|BUG:|Oops:|"
                             r"blocked for more than", line)]

    # The machine

    def screen(self, head=0, device=True):
        path = self.lab.path(f"{self.name}.shot.ppm")
        where = {"device": self.GPU, "head": head} if device else {}
        self.qmp.command("screendump", filename=path, **where)
        picture = Picture.from_ppm(path)
        os.unlink(path)
        return picture

    def wait_screen(self, accept, what, timeout_s=20, head=0):
        """Waits until accept(picture) is true or says None: no difference.
        accept may return a text that says what is wrong."""
        deadline = time.monotonic() + timeout_s * SLOW
        while True:
            picture = self.screen(head)
            wrong = accept(picture)
            if wrong is None or wrong is True:
                return picture
            if time.monotonic() > deadline:
                path = os.path.join(
                    self.lab.keep, f"{self.name}.wrong-{self.shots}.png")
                self.shots += 1
                picture.save(path)
                raise Failure(f"{what}: {wrong or 'not on the screen'} "
                              f"(picture: {path})")
            time.sleep(0.1)

    def expect_screen(self, expected, what):
        self.wait_screen(lambda p: p.difference(expected), what)

    def stop(self):
        self.qmp.command("stop")

    def cont(self):
        self.qmp.command("cont")

    def reset(self, by_guest=None):
        """Resets the machine and waits for the boot: by the monitor, or by
        a command in the guest, such as SYSRQ_RESET."""
        if by_guest:
            self.agent.start(by_guest)
        else:
            self.qmp.command("system_reset")
        time.sleep(0.5)
        self.agent.forget()
        return self.wait_boot()

    def quit(self):
        """Ends QEMU in good order."""
        if self.process.alive():
            try:
                self.qmp.command("quit")
            except Failure:
                pass
            try:
                return self.process.child.wait(20 * SLOW)
            except subprocess.TimeoutExpired:
                pass
        return self.process.stop()


# The alpha channel is declined because the driver's planes have none: with
# it glmark2 cannot show what it has drawn.
GLMARK2 = "glmark2-es2-drm --visual-config red=8:green=8:blue=8:alpha=0"


# Into no window.
VKMARK = "vkmark --winsys headless"


# The machine's own reset, without the driver being asked.
SYSRQ_RESET = "echo b > /proc/sysrq-trigger"


SMALL_MODES = ((640, 480), (800, 600), (1024, 768))


def edid_of(width, height, and_small=False):
    """A display with one mode, of 60 Hz, and nothing else but SMALL_MODES."""
    blank_x, blank_y = 160, 23
    clock = (width + blank_x) * (height + blank_y) * 60 // 10000
    edid = bytearray(128)
    edid[0:8] = b"\0\xff\xff\xff\xff\xff\xff\0"
    edid[8:10] = b"\x59\x27"                   # a maker, "VIG"
    edid[16:25] = bytes((1, 30, 1, 4, 0xa5, 0, 0, 120, 0x02))
    if and_small:
        edid[35:37] = b"\x21\x08"
    edid[38:54] = b"\1\1" * 8
    edid[54:72] = struct.pack(
        "<H16B", clock, width & 255, blank_x, width >> 8 << 4 | blank_x >> 8,
        height & 255, blank_y, height >> 8 << 4, 48, 32, 3 << 4 | 6, 0,
        0, 0, 0, 0, 0, 0x1a)
    for o in (72, 90, 108):
        edid[o:o + 18] = b"\0\0\0\x10" + b"\0" * 14
    edid[127] = -sum(edid) & 255
    return bytes(edid)


# No time for self-tests, address randomisation and the like; our programs
# read the device's registers, which iomem=relaxed allows.
KERNEL_ARGS = ("root=/dev/vda rw quiet loglevel=4 panic=-1 nokaslr "
               "mitigations=off audit=0 apparmor=0 no_timer_check "
               "tsc=reliable random.trust_cpu=on cryptomgr.notests=1 "
               "rcupdate.rcu_expedited=1 iomem=relaxed "
               "consoleblank=0")


class Lab:
    """One test's directory, processes and settings."""

    def __init__(self, settings, name):
        self.settings, self.name = settings, name
        self.image = settings.image
        self.accel = settings.accel
        self.processes, self.dir, self.shown = [], None, {}
        # Whether processes and directory stay when this one ends.
        self.lasting = False
        # What stays when the test is over.
        self.keep = os.path.join(settings.logs, name)

    def __enter__(self):
        # Short: a socket's path has 107 bytes at most.
        self.dir = tempfile.mkdtemp(prefix="vdg-", dir="/tmp")
        shutil.rmtree(self.keep, ignore_errors=True)
        os.makedirs(self.keep)
        return self

    def __exit__(self, kind, value, trace):
        if self.lasting:
            return False
        for p in reversed(self.processes):
            p.stop()
        for entry in os.listdir(self.dir):
            if entry.endswith(".log"):
                shutil.copy(self.path(entry), self.keep)
        shutil.rmtree(self.dir, ignore_errors=True)
        return False

    def path(self, name):
        return os.path.join(self.dir, name)

    def own(self, process):
        self.processes.append(process)
        return process

    def daemon(self, frontend, *args, name="daemon", lasting=False):
        """Our back-end, with arguments after the socket's."""
        sock = self.path(name + ".sock")
        return self.own(Daemon(
            self, name, [*self.settings.daemon(frontend),
                         "--socket-path", sock, *args], sock, lasting))

    def peer(self, frontend, name="peer"):
        """QEMU's own back-end (2D), of the same version as the front-end."""
        sock = self.path(name + ".sock")
        return self.own(Daemon(
            self, name, [*self.settings.prefix(frontend), PEER, "-s", sock],
            sock))

    def vm(self, frontend, device, daemon, name="vm", **kwargs):
        return VM(self, name, frontend, device, daemon, **kwargs)

    def drive(self, frontend, programs, libraries=(), name="programs", files=(),
              without=(), size_mib=128):
        """An image with programs that the back-end for this front-end was
        built with, and the libraries that they need, but for the C library's
        own, which is as old as the guest's or older, and those named in
        without, which the guest has to have. files: what else of that system
        is to be there."""
        prefix = self.settings.prefix(frontend) if self.settings.enter_13 else []
        folder, image = self.path(name), self.path(name + ".img")
        os.makedirs(os.path.join(folder, "lib"))
        own = "\\|".join(("c", "m", "dl", "rt", "pthread", *without))
        script = ("cp -L \"$@\" " + shlex.quote(folder) + " && "
                  "for p in \"$@\"; do ldd \"$p\"; done | "
                  "sed -n 's/.* => \\(.*\\) (0x.*/\\1/p' | sort -u | "
                  f"grep -v '/lib\\({own}\\)\\.so' | "
                  "xargs cp -L -t " + shlex.quote(folder + "/lib"))
        subprocess.run([*prefix, "sh", "-euc", script, "sh", *programs],
                       check=True, stdin=subprocess.DEVNULL)
        if files:
            subprocess.run([*prefix, "cp", "-L", "-t", folder, *files],
                           check=True, stdin=subprocess.DEVNULL)
        for library in libraries:
            shutil.copy(library, os.path.join(folder, "lib"))
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal",
                        "-d", folder, image, f"{size_mib}M"], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return image

    def qemu_fault(self, places):
        """The failed assertion at one of these places that ended a machine,
        or None."""
        for p in self.processes:
            # Its sockets are closed a moment before it has ended.
            if isinstance(p, Daemon) or p.settled(p.alive, lambda a: not a, 2):
                continue
            for line in p.text().splitlines():
                if "Assertion" in line and any(at in line for at in places):
                    return line
        return None

    def logs(self):
        """The ends of the logs that have grown since they were last shown."""
        text = ""
        for entry in sorted(os.listdir(self.dir)):
            path = self.path(entry)
            if not entry.endswith(".log") or \
                    os.path.getsize(path) == self.shown.get(entry):
                continue
            self.shown[entry] = os.path.getsize(path)
            text += f"--- {os.path.join(self.keep, entry)}\n"
            text += "".join(line[:400] + "\n"
                            for line in tail(path).splitlines())
        return text
