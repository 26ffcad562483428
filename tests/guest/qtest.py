# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A QEMU without a guest: its processor is halted, and what a driver would do
to the device is done from here by QEMU's own protocol for that, which reads and
writes ports and memory. It is slow and simple: one command at a time, and a
look at the ring for its answer. (virtio 1.3: 4.1.4 for the registers, 2.7 for
rings, 5.7 for the commands.)
"""

import base64
import struct
import time

from lab import Failure, Stall, check

# A processor that begins here stops at once.
FIRMWARE = b"\xf4" * 65536

SLOT = 4
PAGE = 4096

# What of the guest's memory is used for what, and where the device's registers
# are put.
RINGS, REQUEST, ANSWER, PIXELS = 0x100000, 0x110000, 0x120000, 0x1000000
REGISTERS = 0xe0000000

COMMON, NOTIFY = 1, 2
VERSION_1, RING_SIZE = 1 << 32, 16
DESC_NEXT, DESC_WRITE, NO_INTERRUPT = 1, 2, 1

CREATE_2D, UNREF, SET_SCANOUT, FLUSH, TRANSFER, ATTACH = range(0x101, 0x107)
OK_NODATA = 0x1100

# virtio's number of a format, and where red, green, blue are in its pixels.
FORMATS = {"B8G8R8A8": (1, 2, 1, 0), "B8G8R8X8": (2, 2, 1, 0),
           "A8R8G8B8": (3, 1, 2, 3), "X8R8G8B8": (4, 1, 2, 3),
           "R8G8B8A8": (67, 0, 1, 2), "X8B8G8R8": (68, 3, 2, 1),
           "A8B8G8R8": (121, 3, 2, 1), "R8G8B8X8": (134, 0, 1, 2)}


class Wire:
    """QEMU's protocol over a connected socket."""

    def __init__(self, sock, timeout_s):
        self.sock, self.buffer = sock, b""
        sock.settimeout(timeout_s)

    def ask(self, *words):
        try:
            self.sock.sendall((" ".join(map(str, words)) + "\n").encode())
            while b"\n" not in self.buffer:
                data = self.sock.recv(65536)
                check(data, "QEMU has closed its channel")
                self.buffer += data
        except TimeoutError as e:
            raise Stall("QEMU does not answer") from e
        line, self.buffer = self.buffer.split(b"\n", 1)
        status, *answer = line.decode().split()
        check(status == "OK", f"{words[0]}: {line.decode()}")
        return answer[0] if answer else None

    def read(self, letter, address):
        return int(self.ask("read" + letter, hex(address)), 16)

    def write(self, letter, address, value):
        self.ask("write" + letter, hex(address), hex(value))

    def get(self, address, size):
        return bytes.fromhex(self.ask("read", hex(address), size)[2:])

    def put(self, address, data):
        self.ask("b64write", hex(address), len(data),
                 base64.b64encode(data).decode())

    def pci(self, offset):
        """A dword of the device's configuration space."""
        self.ask("outl", "0xcf8", hex(1 << 31 | SLOT << 11 | offset & ~3))
        return int(self.ask("inl", "0xcfc"), 16)

    def set_pci(self, offset, value):
        self.ask("outl", "0xcf8", hex(1 << 31 | SLOT << 11 | offset))
        self.ask("outl", "0xcfc", hex(value))

    def pci_byte(self, offset):
        return self.pci(offset) >> offset % 4 * 8 & 255


class Gpu:
    """A virtio-gpu in SLOT and its control queue."""

    def __init__(self, wire):
        self.wire, self.next, self.spans = wire, 0, {}
        self.areas, bar = {}, None
        at = wire.pci_byte(0x34)
        while at:
            # Vendor-specific ones are virtio's.
            if wire.pci_byte(at) == 9:
                kind, bar = wire.pci_byte(at + 3), wire.pci_byte(at + 4)
                self.areas.setdefault(kind, wire.pci(at + 8))
                if kind == NOTIFY:
                    self.notify_step = wire.pci(at + 16)
                if kind in (COMMON, NOTIFY):
                    self.bar = bar
            at = wire.pci_byte(at + 1)
        check(COMMON in self.areas and NOTIFY in self.areas,
              f"no virtio device in slot {SLOT}")
        wire.set_pci(0x10 + 4 * self.bar, REGISTERS)
        wire.set_pci(0x14 + 4 * self.bar, 0)
        wire.set_pci(4, 6)      # memory, bus master
        self.common = REGISTERS + self.areas[COMMON]
        self.start()

    def set_status(self, bits):
        self.wire.write("b", self.common + 20, bits)

    def start(self):
        w, c = self.wire, self.common
        self.set_status(0)
        self.set_status(1 | 2)
        for half in (0, 1):
            w.write("l", c + 8, half)
            w.write("l", c + 12, VERSION_1 >> 32 * half & 0xffffffff)
        self.set_status(1 | 2 | 8)
        check(w.read("b", c + 20) & 8, "the device does not take VERSION_1")
        self.next = 0
        w.put(RINGS, bytes(3 * PAGE))
        w.put(RINGS + PAGE, struct.pack("<H", NO_INTERRUPT))
        w.write("w", c + 22, 0)
        w.write("w", c + 24, RING_SIZE)
        self.doorbell = (REGISTERS + self.areas[NOTIFY] +
                         w.read("w", c + 30) * self.notify_step)
        for i in range(3):
            w.write("l", c + 32 + 8 * i, RINGS + i * PAGE)
            w.write("l", c + 36 + 8 * i, 0)
        w.write("w", c + 28, 1)
        self.set_status(1 | 2 | 8 | 4)

    def send(self, request, answer_bytes=24, timeout_s=60):
        """The device's answer to a control command."""
        w = self.wire
        w.put(REQUEST, request)
        w.put(RINGS, struct.pack("<QIHHQIHH", REQUEST, len(request), DESC_NEXT,
                                 1, ANSWER, answer_bytes, DESC_WRITE, 0))
        # The ring's entries are all descriptor 0.
        self.next = self.next + 1 & 0xffff
        w.write("w", RINGS + PAGE + 2, self.next)
        w.write("w", self.doorbell, 0)
        deadline = time.monotonic() + timeout_s
        while w.read("w", RINGS + 2 * PAGE + 2) != self.next:
            if time.monotonic() > deadline:
                raise Failure(f"command {request[:2].hex()} is not answered")
            time.sleep(0.01)
        return w.get(ANSWER, answer_bytes)

    def do(self, kind, layout, *values):
        """A command that is to succeed."""
        answer = self.send(struct.pack("<IIQIBxxx" + layout, kind, 0, 0, 0, 0,
                                       *values))
        found, = struct.unpack_from("<I", answer)
        check(found == OK_NODATA, f"command {kind:#x}: {found:#x}")

    def create(self, id, form, width, height, pieces=1):
        """A resource whose pixels lie in the guest's memory from PIXELS + id
        * 16 MiB on, in pieces of whole pages of which the last comes first."""
        self.do(CREATE_2D, "4I", id, FORMATS[form][0], width, height)
        start, size = PIXELS + (id << 24), 4 * width * height
        step = -(-size // pieces // PAGE) * PAGE
        at = range(0, size, step)
        spans = [(start + (len(at) - 1 - i) * step, min(step, size - offset))
                 for i, offset in enumerate(at)]
        self.do(ATTACH, "2I" + "QII" * len(spans), id, len(spans),
                *(n for address, length in spans for n in (address, length, 0)))
        self.spans[id] = spans
        return spans

    def fill(self, form, picture, spans):
        """Writes a picture to a resource's pages, as a guest that draws."""
        _, *places = FORMATS[form]
        data = bytearray(b"\x5a" * (4 * picture.width * picture.height))
        for channel, place in enumerate(places):
            data[place::4] = picture.data[channel::3]
        offset = 0
        for address, length in spans:
            for at in range(0, length, 1 << 18):
                part = data[offset + at:offset + min(at + (1 << 18), length)]
                self.wire.put(address + at, part)
            offset += length

    def show(self, id, x, y, width, height):
        self.do(SET_SCANOUT, "6I", x, y, width, height, 0, id)

    def flush(self, id, x, y, width, height, stride=None):
        """Tells of what has been drawn there. stride: the resource's, where it
        is not that of this rectangle."""
        offset = y * (stride or 4 * width) + 4 * x
        self.do(TRANSFER, "4IQII", x, y, width, height, offset, id, 0)
        self.do(FLUSH, "6I", x, y, width, height, id, 0)
