# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A host on which the program is installed, as a shell script makes it out of
the Debian 13 tree: in namespaces of its own, so that whatever is mounted there,
and every process, goes with its first one.
"""

import os
import re
import subprocess
import time

from lab import MONITOR_S, SLOW, Process, Skip, Stall, check
from scenarios import QEMU11

DISCOVERY = "qemu/vhost-user/40-vhost-device-gpu.json"


class Host:
    def __init__(self, lab, name, wrapper, script, *arguments):
        """wrapper: what comes before the shell. The script has as $1 what has
        been installed, as $2 under which prefix, and then arguments. Process 1
        of what it starts or is, in a process namespace, is .first."""
        enter, dest = lab.settings.prefix(QEMU11), lab.path("installed")
        if not lab.settings.enter_13:
            raise Skip("no daemon is built in the Debian 13 tree")
        program = lab.settings.daemons[QEMU11][0]
        subprocess.run([*enter, "env", f"DESTDIR={dest}", "meson", "install",
                        "--quiet", "--no-rebuild", "-C",
                        os.path.dirname(os.path.dirname(program))], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.process = lab.own(Process(
            name, [*enter, *wrapper, "sh", "-euc", script, "sh", dest,
                   self.prefix_of(dest), *arguments], lab.path(f"{name}.log")))
        self.first = self.wait(self.find_first, "first process of the host")

    @staticmethod
    def prefix_of(dest):
        found = [folder for folder, _, _ in os.walk(dest)
                 if folder.endswith("/share/" + os.path.dirname(DISCOVERY))]
        check(len(found) == 1, f"installed discovery files: {found}")
        return re.sub("/share/.*", "", found[0][len(dest):])

    def wait(self, function, what, timeout_s=180):
        """Its first value that is true."""
        deadline = time.monotonic() + timeout_s * SLOW
        while True:
            value = function()
            if value:
                return value
            self.process.require_alive()
            check(time.monotonic() < deadline,
                  f"no {what} after {timeout_s} s")
            time.sleep(0.1)

    def find_first(self):
        """By its number here."""
        for pid in self.process.family():
            try:
                with open(f"/proc/{pid}/status") as f:
                    ids = re.search(r"^NSpid:(.*)$", f.read(), re.M)[1].split()
            except OSError:
                continue
            if len(ids) > 1 and ids[-1] == "1":
                return pid
        return None

    def path(self, inside):
        """A file of the host's, as it is seen from here."""
        return f"/proc/{self.first}/root{inside}"

    def run(self, *command, stdin="", may_fail=False):
        """What a command on the host says; None if it failed and may."""
        try:
            done = subprocess.run(
                ["nsenter", "-t", str(self.first), "-a", "-r", "-w", "env", "-i",
                 "PATH=/usr/local/bin:/usr/bin:/usr/sbin", "LC_ALL=C.UTF-8",
                 *command], input=stdin, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=4 * MONITOR_S)
        except subprocess.TimeoutExpired as e:
            raise Stall(f"{command[0]} does not end") from e
        if done.returncode != 0:
            check(may_fail, f"{' '.join(command)}: {done.stdout}")
            return None
        return done.stdout
