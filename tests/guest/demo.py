# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The virtual machine of scripts/demo: a guest that draws with OpenGL, or with
Vulkan.

  demo.py [--keep] [--crash] [--daemon PROGRAM] [--accel tcg|kvm] IMAGE PICTURE
  demo.py --vulkan [--keep] [--crash] [--daemon PROGRAM] [--accel tcg|kvm] \
          IMAGE PICTURE
  demo.py --shell DIRECTORY       a prompt on a machine that --keep has left
"""

import argparse
import json
import os
import re
import signal
import sys
import time

import scenarios
import vulkan
from lab import (Agent, Failure, GLMARK2, Lab, Monitor, Picture, REPO, Stall,
                 VKMARK, connect)

SCENE = "jellyfish"
VULKAN_SCENE = "shading"
SECONDS = 10


class Settings:
    def __init__(self, args):
        self.image, self.accel = args.image, args.accel
        self.logs = os.path.join(REPO, ".cache/log")
        self.argv = [args.daemon]
        self.entry = [os.path.join(REPO, "scripts", "debian13")] \
            if args.vulkan else []

    def prefix(self, frontend):
        return self.entry

    def daemon(self, frontend):
        return self.entry + self.argv


def say(text):
    print(text, file=sys.stderr, flush=True)


def scene_shows(picture):
    """A scene and neither a console nor a screen in one colour."""
    return picture.colours(1000) >= 1000


def draw(vm, picture_path):
    """Runs the scene, takes a picture of it meanwhile; the frame rate."""
    id = vm.agent.start(f"{GLMARK2} -b {SCENE}:duration={SECONDS} 2>&1",
                        180)
    deadline = time.monotonic() + 120
    start = time.monotonic()
    while True:
        picture = vm.screen()
        if scene_shows(picture):
            break
        if time.monotonic() > deadline:
            raise Failure("the scene does not appear on the screen")
        time.sleep(0.5)
    say(f"    the scene is on the screen after "
        f"{time.monotonic() - start:.0f} s")
    time.sleep(SECONDS / 2)
    later = vm.screen()
    picture = later if scene_shows(later) else picture
    picture.save(picture_path)
    status, out = vm.agent.finish(id, 240)
    fps = re.search(r"FPS: (\d+)", out)
    if status or not fps or fps[1] == "0":
        raise Failure(f"glmark2 ended with {status}: {out}")
    return int(fps[1])


def crash(vm, daemon):
    """What becomes of a guest when the process that renders dies."""
    say("==> kmscube turns in the guest; kill -9 of the process that renders")
    took_s = scenarios.crash_under_cube(vm, daemon, signal.SIGKILL,
                                        "still here")
    say(f"    the console is on the screen {took_s * 1000:.0f} ms after the "
        f"kill, kmscube's end in the guest included")
    scenarios.kmscube(vm)
    say("    a new kmscube turns")
    return took_s


def start(lab, args, device):
    say("==> starting vhost-device-gpu and a virtual machine on it")
    daemon = lab.daemon("host", "--gpu-mode", "virglrenderer",
                        lasting=args.keep)
    vm = lab.vm("host", device, daemon, lasting=args.keep)
    say(f"    the guest is up after {vm.wait_boot():.0f} s")
    vm.load_driver(one_mode=(1280, 800))
    return daemon, vm


def demo_gl(lab, args):
    """The machine, its load for --keep, and what there is to say."""
    daemon, vm = start(lab, args, scenarios.PCI)
    say("==> asking the guest for its OpenGL")
    out = vm.sh("eglinfo -p gbm -B 2>&1", 180)
    renderer = re.search(r"^OpenGL core.* renderer: (.*)$", out, re.M)
    if not renderer or "virgl" not in renderer[1]:
        raise Failure(f"no virgl in the guest: {out}")
    say(f"    {renderer[1]}")
    say(f"==> drawing {SCENE} with glmark2 for {SECONDS} s")
    fps = draw(vm, args.picture)
    results = [f"GL renderer: {renderer[1]}", f"Frames per second: {fps}"]
    if args.crash:
        took_s = crash(vm, daemon)
        results.append(f"Console back after a crash: {took_s * 1000:.0f} ms")
    results.append(f"Screen: {args.picture}")
    return daemon, vm, f"{GLMARK2} --run-forever", results


def crash_vulkan(daemon, vm):
    """The same for Vulkan: programs lose their device, new ones have one."""
    say("==> vkmark draws in the guest; kill -9 of the process that renders")
    with scenarios.Program(vm, f"exec {VKMARK} --run-forever",
                           "Virtio-GPU Venus"):
        start = time.monotonic()
        daemon.crash()
        vulkan.vkcopy(vm)
        took_s = time.monotonic() - start
    say(f"    a new program's copies are right {took_s * 1000:.0f} ms after "
        f"the kill")
    vulkan.vkmark(vm, VULKAN_SCENE)
    say("    a new vkmark draws")
    return took_s


def demo_vulkan(lab, args):
    daemon, vm = start(lab, args, scenarios.GENERIC)
    say("==> asking the guest for its Vulkan")
    name = vulkan.vulkaninfo(vm)
    say(f"    {name}")
    say(f"==> drawing {VULKAN_SCENE} with vkmark for {SECONDS} s")
    fps = vulkan.vkmark(vm, VULKAN_SCENE, SECONDS)
    vulkan.vkmark_draws(vm, VULKAN_SCENE).save(args.picture)
    results = [f"Vulkan device: {name}", f"Frames per second: {fps}"]
    if args.crash:
        took_s = crash_vulkan(daemon, vm)
        results.append(f"Vulkan back after a crash: {took_s * 1000:.0f} ms")
    results.append(f"Picture: {args.picture}")
    return daemon, vm, f"{VKMARK} --run-forever", results


def keep(lab, daemon, vm, load):
    vm.sh(f"while :; do {load}; sleep 1; done >/dev/null 2>&1 &")
    lab.lasting = True
    with open(lab.path("machine.json"), "w") as f:
        json.dump({"pids": [vm.process.pid, daemon.pid], "gpu": vm.GPU}, f)
    print(f"""
The machine is left running. To work in it:
  scripts/demo --shell {lab.dir}
QEMU's monitor (QMP) is {lab.path('qmp.sock')}; to end all of it:
  kill {vm.process.pid} {daemon.pid}; rm -rf {lab.dir}""", flush=True)


# What stands for a machine of one's own, from the same pieces.
COMMANDS = f"""
The same with a guest of your own (Debian 13 with mesa-vulkan-drivers):
  vhost-device-gpu --socket-path gpu.sock --gpu-mode virglrenderer &
  qemu-system-x86_64 -enable-kvm -m 4G -smp 4 \\
      -machine q35,memory-backend=mem0 \\
      -object memory-backend-memfd,id=mem0,size=4G,share=on \\
      -chardev socket,id=gpu,path=gpu.sock \\
      -device {scenarios.GENERIC},chardev=gpu \\
      disk.qcow2"""


def demo(args):
    with Lab(Settings(args), "demo") as lab:
        try:
            run = demo_vulkan if args.vulkan else demo_gl
            daemon, vm, load, results = run(lab, args)
            daemon.require_alive()
        except Failure as e:
            say(lab.logs())
            sys.exit(f"demo: error: {e}")
        print("\n".join(results), flush=True)
        if args.vulkan:
            print(COMMANDS, flush=True)
        if args.keep:
            keep(lab, daemon, vm, load)


def reach(path):
    """The agent, once it answers. QEMU may keep back what the guest wrote
    while nobody was connected until somebody connects anew."""
    for _ in range(10):
        agent = Agent(connect(path, timeout_s=1))
        # New numbers each time: answers to an earlier visit don't match.
        agent.next_id = time.time_ns() // 1000000 % 2000000000
        try:
            agent.finish(agent.start("true", 5), 5)
            return agent
        except Stall:
            agent.sock.close()
    raise Failure("the guest does not answer")


def shell(directory):
    try:
        with open(os.path.join(directory, "machine.json")) as f:
            machine = json.load(f)
        agent = reach(os.path.join(directory, "agent.sock"))
    except (OSError, Failure) as e:
        sys.exit(f"demo: error: no machine in {directory}: {e}")
    say("Each line is run by the guest's shell. Besides: 'screen FILE' saves "
        "its screen\nas PNG, 'end' switches all of it off, 'quit' leaves it "
        "as it is.")
    while True:
        try:
            line = input("guest# ").strip()
        except EOFError:
            return
        if line == "quit":
            return
        if line == "end":
            for pid in machine["pids"]:
                os.kill(pid, signal.SIGTERM)
            return
        try:
            m = re.match(r"screen (.+)", line)
            if m:
                path = os.path.join(directory, "shot.ppm")
                qmp = Monitor(connect(os.path.join(directory, "qmp.sock")))
                qmp.command("screendump", filename=path,
                            device=machine["gpu"], head=0)
                qmp.sock.close()
                Picture.from_ppm(path).save(m[1])
                say(f"saved as {m[1]}")
            elif line:
                status, out = agent.finish(agent.start(line, 600), 620)
                sys.stdout.write(out)
                if status:
                    say(f"(status {status})")
        except (OSError, Failure) as e:
            say(f"demo: {e}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--keep", action="store_true")
    p.add_argument("--crash", action="store_true")
    p.add_argument("--vulkan", action="store_true")
    p.add_argument("--daemon")
    p.add_argument("--accel", default="tcg")
    p.add_argument("--shell")
    p.add_argument("image", nargs="?")
    p.add_argument("picture", nargs="?")
    args = p.parse_args()
    if args.shell:
        shell(args.shell)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        demo(args)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
