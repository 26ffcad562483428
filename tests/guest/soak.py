# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The virtual machine of scripts/soak: a guest that never does the same thing
for long.

  soak.py --daemon PROGRAM [--accel tcg|kvm] --logs DIRECTORY MINUTES IMAGE

A round of everything comes first; what the processes have then is what they
may have later. After each activity the console has to come back, all of it; at
the first of these times in a minute, what the processes have is written down.
"""

import argparse
import os
import signal
import sys
import time

import scenarios
from lab import (Failure, GLMARK2, Lab, SLOW, SMALL_MODES, check, grown)
from scenarios import Program, console_shows, kms
from tap import CURSOR_POS, UPDATE, Tap

SECONDS = 8         # of one activity
SCENES = ("build", "shading", "jellyfish", "bump", "texture", "terrain")


class Settings:
    def __init__(self, args):
        self.image, self.accel, self.logs = args.image, args.accel, args.logs
        self.argv = [args.daemon]

    def prefix(self, frontend):
        return []

    def daemon(self, frontend):
        return self.argv


class Soak:
    def __init__(self, lab, log):
        self.log = log
        self.daemon = lab.daemon("host", "--gpu-mode", "virglrenderer")
        self.tap = Tap(lab, self.daemon)
        self.vm = lab.vm("host", "vhost-user-gpu-pci", self.tap)
        self.vm.wait_boot()
        self.vm.load_driver(one_mode=(1280, 800), and_small=True)
        self.fourcc = scenarios.primary_formats(self.vm)[0]
        self.n_done, self.samples = 0, []
        self.activities = (self.cube, self.scene, self.modes, self.cursor,
                           self.pauses, self.flips, self.reconnect)

    def say(self, text):
        print(text, flush=True)
        print(text, file=self.log, flush=True)

    # What is done

    def cube(self):
        scenarios.kmscube(self.vm)

    def scene(self):
        """Another one each time."""
        name = SCENES[self.n_done // len(self.activities) % len(SCENES)]
        self.draw(f"-b {name}:duration={SECONDS}")

    def draw(self, scenes):
        out = self.vm.sh(f"{GLMARK2} {scenes} 2>&1", 300 * SLOW)
        check("FPS:" in out, f"glmark2 {scenes}: {out}")

    def modes(self):
        for width, height in SMALL_MODES:
            with kms(self.vm, "show", self.fourcc, f"{width}x{height}"):
                expected = scenarios.patterns.kms(width, height, 1)
                self.vm.wait_screen(lambda p: p.difference(expected),
                                    f"{width}x{height}")

    def cursor(self):
        with kms(self.vm, "wander", SECONDS) as program:
            program.wait_output("^moves")

    def pauses(self):
        """Under a program that draws. QEMU takes the display away and gives
        another one each time."""
        with Program(self.vm, scenarios.KMSCUBE):
            scenarios.cube_turns(self.vm)
            for _ in range(5):
                self.vm.stop()
                self.vm.cont()
            scenarios.cube_turns(self.vm)

    def flips(self):
        with kms(self.vm, "flip", self.fourcc, SECONDS):
            pass

    def reconnect(self):
        """The display hangs up in the midst of a picture."""
        with Program(self.vm, scenarios.KMSCUBE):
            scenarios.cube_turns(self.vm)
            self.tap.cut_display()
            time.sleep(1)
            self.vm.stop()
            self.vm.cont()
            scenarios.cube_turns(self.vm)

    def next(self):
        activity = self.activities[self.n_done % len(self.activities)]
        try:
            activity()
            self.n_done += 1
            console_shows(self.vm, f"{self.n_done} activities")
            self.daemon.require_alive()
            found = self.daemon.complaints()
            check(not found, f"in the daemon's log: {found[:5]}")
        except Failure as e:
            raise Failure(f"{activity.__name__}, number {self.n_done}: {e}") \
                from e

    # What is seen

    def sample(self, minutes):
        """With the console on the screen, and nothing going on."""
        accounts = self.daemon.accounts()
        if self.samples:
            accounts = self.daemon.settled(
                self.daemon.accounts,
                lambda a: grown(self.samples + [a]) is None)
        requests = [r for r, _ in self.tap.take_messages()]
        errors = self.daemon.text().count("\nvhost-device-gpu[")
        what = ", ".join(f"{name} {fds} fds {kib} KiB"
                         for name, fds, kib in accounts)
        self.say(f"minute {minutes:4.1f}: {self.n_done} activities, "
                 f"{requests.count(UPDATE)} frames, "
                 f"{requests.count(CURSOR_POS)} cursor moves, "
                 f"{errors} lines in the daemon's log; {what}")
        self.samples.append(accounts)
        wrong = grown(self.samples)
        check(wrong is None, f"grown: {wrong}")

    def run(self, minutes):
        self.draw(" ".join(f"-b {name}:duration=1" for name in SCENES))
        for _ in self.activities:
            self.next()
        start = time.monotonic()
        self.sample(0)
        while time.monotonic() - start < minutes * 60:
            self.next()
            passed = (time.monotonic() - start) / 60
            if passed >= len(self.samples):
                self.sample(passed)
        console_shows(self.vm, "the end")
        self.sample((time.monotonic() - start) / 60)

    def finish(self):
        found = self.vm.gpu_messages()
        check(not found, f"in the guest's kernel log: {found[:5]}")
        rc = self.vm.quit()
        check(rc == 0, f"QEMU ended with {rc}")
        rc = self.daemon.stop()
        check(rc == 0, f"SIGTERM ended the daemon with {rc}")
        found = self.daemon.complaints()
        check(not found, f"in the daemon's log: {found[:5]}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--daemon", required=True)
    p.add_argument("--accel", default="tcg")
    p.add_argument("--logs", required=True)
    p.add_argument("minutes", type=float)
    p.add_argument("image")
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    path = os.path.join(args.logs, "soak.log")
    with open(path, "w") as log, Lab(Settings(args), "soak") as lab:
        try:
            soak = Soak(lab, log)
            soak.run(args.minutes)
            soak.finish()
        except Failure as e:
            print(lab.logs(), file=sys.stderr)
            print(f"failed: {e}", file=log)
            sys.exit(f"soak: error: {e}\nThe log is {path}.")
        soak.say(f"passed: {soak.n_done} activities, nothing has grown")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
