# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A listener on the wire between QEMU and a back-end.

A screendump shows neither the mouse cursor nor how a picture came about. So QEMU is connected to a Tap and
the Tap to the back-end. It passes on every vhost-user message unchanged but
one: the display socket that QEMU hands over in GPU_SET_SOCKET is replaced by
one of the Tap's, and what comes on that is written down and passed on.

Each direction of each socket has a thread of its own, because any of them may
have to wait for QEMU, and the others must not wait with it.
"""

import os
import socket
import struct
import threading
import time

from lab import SLOW, Failure

SET_SOCKET = 33
CURSOR_POS, CURSOR_HIDE, CURSOR_UPDATE, SCANOUT, UPDATE = 4, 5, 6, 7, 8


def receive(sock):
    """(header and payload, descriptors) of one message, None at the end.
    Both protocols have three 32-bit words in front, the last of them the
    size of the payload."""
    data, fds = b"", []
    while len(data) < 12:
        part, more, _, _ = socket.recv_fds(sock, 12 - len(data), 16)
        fds += more
        if not part:
            return None
        data += part
    size = struct.unpack_from("<I", data, 8)[0]
    parts = [data]
    while size:
        part = sock.recv(min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts), fds


def send(sock, data, fds):
    sent = socket.send_fds(sock, [data], fds) if fds else 0
    sock.sendall(memoryview(data)[sent:])
    for fd in fds:
        os.close(fd)


class Tap:
    """In the place of a back-end: .sock is its path."""

    def __init__(self, lab, daemon):
        self.sock, self.far = lab.path("tap.sock"), daemon.sock
        self.image = self.position = self.display = None
        self.messages = []              # (request, payload's first 20 bytes)
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(self.sock)
        self.listening.listen(1)
        self._thread(self._serve)

    @staticmethod
    def _thread(function, *args):
        threading.Thread(target=function, args=args, daemon=True).start()

    def _serve(self):
        while True:
            qemu = self.listening.accept()[0]
            backend = socket.socket(socket.AF_UNIX)
            backend.connect(self.far)
            self._thread(self._relay, qemu, backend, self._replace_display)
            self._thread(self._relay, backend, qemu, None)

    def _relay(self, source, sink, look):
        try:
            while True:
                message = receive(source)
                if message is None:
                    break
                data, fds = look(*message) if look else message
                send(sink, data, fds)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _replace_display(self, data, fds):
        if struct.unpack_from("<I", data)[0] == SET_SOCKET and fds:
            qemu = socket.socket(fileno=fds[0])
            ours, theirs = socket.socketpair()
            self.display = ours
            self._thread(self._relay, ours, qemu, self._write_down)
            self._thread(self._relay, qemu, ours, None)
            fds = [theirs.detach()]
        return data, fds

    def _write_down(self, data, fds):
        request = struct.unpack_from("<I", data)[0]
        if request == CURSOR_UPDATE:
            scanout, x, y, hot_x, hot_y = struct.unpack_from("<5I", data, 12)
            self.image = (scanout, hot_x, hot_y, data[32:])
            self.position = (scanout, x, y)
        elif request == CURSOR_POS:
            self.position = struct.unpack_from("<3I", data, 12)
        elif request == CURSOR_HIDE:
            self.position = None
        self.messages.append((request, data[12:32]))
        return data, fds

    def cut_display(self):
        """As if QEMU hung up; it has to give another one."""
        self.display.shutdown(socket.SHUT_RDWR)

    def take_messages(self):
        """Those since they were last taken."""
        taken, self.messages = self.messages, []
        return taken

    def requests(self, request, since=0):
        """Of all messages of this kind: scanout and the words after it."""
        return [struct.unpack_from(f"<{len(body) // 4}I", body)
                for r, body in self.messages[since:] if r == request]

    def wait(self, good, what, timeout_s=20):
        deadline = time.monotonic() + timeout_s * SLOW
        while not good(self):
            if time.monotonic() > deadline:
                image = self.image and self.image[:3]
                last = [r for r, _ in self.messages[-30:]]
                raise Failure(f"{what}: cursor {image} at {self.position}, "
                              f"last messages {last}")
            time.sleep(0.05)
