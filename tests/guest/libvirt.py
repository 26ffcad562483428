# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Machines that Debian 13's libvirt starts, by the XML of docs/host.md.

libvirt is the system's, with its own settings; it finds the program as it would
on any host where that has been installed, by the discovery file, and nothing
here names it.
"""

import json
import os
import re
import signal
import subprocess
import xml.etree.ElementTree as ElementTree

import patterns
from hosts import DISCOVERY, Host
from lab import (MONITOR_S, REPO, SLOW, VM, Agent, Failure, KERNEL_ARGS,
                 Picture, check, connect, note)
from scenarios import (QEMU11, VGA, check_firmware_text, check_no_gpu_messages,
                       console_shows, font_of, kms, kmscube, modetest,
                       primary_formats, scenario)

OURS, PEER = "vhost-device-gpu", "vhost-user-gpu"

# $1: what has been installed; $2: under which prefix; $3: the guest.
HOST = r"""
for d in /run /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
	mkdir -p $d
	mount -t tmpfs -o mode=755 none $d
done
mkdir -p /var/lib/libvirt/boot /var/lib/libvirt/images /run/upper /run/work
mount -t overlay -o "lowerdir=$1$2:$2" none "$2"
mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work none /etc
for f in vmlinuz initrd root.ext4; do
	: >/var/lib/libvirt/boot/$f
	mount --bind "$3/$f" /var/lib/libvirt/boot/$f
done
cd /var/lib/libvirt/images
qemu-img create -q -f qcow2 -F raw -b ../boot/root.ext4 guest.qcow2
# Where QEMU, which is not root, may write.
install -d -o libvirt-qemu /run/shots
# Where QEMU and libvirt look.
mkdir -p /etc/qemu/vhost-user
[ "$2" = /usr ] || ln -s "$2/share/@DISCOVERY@" /etc/qemu/vhost-user/
# There is neither a systemd nor its logger, nor anything that confines.
cat >/etc/libvirt/qemu.conf <<-END
	stdio_handler = "file"
	security_driver = "none"
	namespaces = []
END
libvirtd &
trap 'kill $!; exit 0' TERM
wait $!
""".replace("@DISCOVERY@", DISCOVERY)


def domain_of_docs():
    """The machine as people are told to describe it."""
    with open(os.path.join(REPO, "docs", "host.md")) as f:
        found = re.search(r"```xml\n(<domain.*?)```", f.read(), re.S)
    check(found, "docs/host.md has no domain")
    with open(os.path.join(REPO, "man", "vhost-device-gpu.1.scd.in")) as f:
        parts = re.findall(r"^```\n(<.*?)^```", f.read(), re.M | re.S)
    check(parts, "the manual has nothing of a domain")
    for part in parts:
        check(squeezed(part) in squeezed(found[1]), f"of the manual: {part}")
    return found[1]


def squeezed(text):
    return re.sub(r"\s+", "", text)


def domain_of(text, accel3d):
    """The same with what the suite's guest takes: it has no boot loader, and
    an agent."""
    domain = ElementTree.fromstring(text)
    for path, more in (("os", f"""<x>
            <kernel>/var/lib/libvirt/boot/vmlinuz</kernel>
            <initrd>/var/lib/libvirt/boot/initrd</initrd>
            <cmdline>console=ttyS0 {KERNEL_ARGS}</cmdline></x>"""),
                       ("devices", """<x><channel type='unix'>
            <target type='virtio' name='vdg.agent'/></channel></x>""")):
        domain.find(path).extend(ElementTree.fromstring(more))
    model = domain.find("devices/video/model")
    if not accel3d:
        model.remove(model.find("acceleration"))
    return ElementTree.tostring(domain, encoding="unicode")


class Libvirt(Host):
    """It, and what it has started."""

    def __init__(self, lab):
        super().__init__(lab, "libvirt", [
            "unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
            "--propagation", "unchanged"], HOST, lab.image)
        self.wait(lambda: self.virsh("uri", may_fail=True), "libvirt")

    def virsh(self, *arguments, **more):
        return self.run("virsh", "-q", "-c", "qemu:///system", *arguments,
                        **more)

    def backends(self):
        """(program, arguments) of each process that QEMU may be served by."""
        found = []
        for pid in self.process.family():
            try:
                program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
                with open(f"/proc/{pid}/cmdline") as f:
                    arguments = f.read().split("\0")[:-1]
            except OSError:
                continue
            if program in (OURS, PEER) and arguments[1:]:
                found.append((program, arguments))
        return found

    def end(self):
        """Everything, in good order: the machines first."""
        for name in (self.virsh("list", "--name", may_fail=True) or "").split():
            self.virsh("destroy", name, may_fail=True)
        os.kill(self.first, signal.SIGTERM)
        self.process.child.wait(20 * SLOW)


class Monitor:
    """QEMU's, by way of libvirt."""

    def __init__(self, host, name):
        self.host, self.name = host, name

    def command(self, name, timeout_s=MONITOR_S, **arguments):
        message = json.dumps({"execute": name, "arguments": arguments})
        answer = json.loads(self.host.virsh(
            "qemu-monitor-command", self.name, message))
        check("return" in answer, f"{name}: {answer}")
        return answer["return"]


class Machine(VM):
    """A domain, from its start on."""

    GPU = "video0"
    SHOT = "/run/shots/shot.ppm"

    def __init__(self, host, lab, xml):
        self.lab, self.host, self.process = lab, host, host.process
        self.name, self.shots, self.boots = "guest", 0, []
        host.virsh("create", "/dev/stdin", stdin=xml)
        self.qmp = Monitor(host, self.name)
        found = self.host.wait(self.find_port, "port of the agent")
        self.agent = Agent(connect(found, self.process))

    def find_port(self):
        out = subprocess.run(
            ["find", self.host.path("/run/libvirt/qemu/channel"), "-type", "s",
             "-name", "*vdg.agent"], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True).stdout.split()
        return out[0] if out else None

    def screen(self, head=0, device=True):
        self.qmp.command("screendump", filename=self.SHOT, device=self.GPU,
                         head=head)
        return Picture.from_ppm(self.host.path(self.SHOT))

    def stop(self):
        self.host.virsh("suspend", self.name)

    def cont(self):
        self.host.virsh("resume", self.name)

    def quit(self):
        self.host.virsh("destroy", self.name)


class Chosen:
    """In the place of a daemon that the suite has started."""

    def __init__(self, host, program, arguments):
        self.host, self.program, self.arguments = host, program, arguments

    def alive(self):
        return (self.program, self.arguments) in self.host.backends()

    def require_alive(self):
        check(self.alive(), f"{self.program} is gone")


def start(t, host, text, accel3d):
    """A machine, and what libvirt has chosen for it."""
    vm = Machine(host, t.lab, domain_of(text, accel3d))
    found = host.backends()
    names = {program for program, _ in found}
    check(len(names) == 1, f"it is served by {found or 'nobody'}")
    # Processes of one back-end are copies of the one that libvirt started.
    t.daemon = Chosen(host, *found[0])
    note(f"{t.name}: libvirt has chosen {' '.join(found[0][1])}")
    return vm


def destroy(t, host, vm):
    with t.check("the back-end ends with the machine", alive=False):
        vm.quit()
        left = host.process.settled(host.backends, lambda found: not found,
                                    20)
        check(not left, f"left over: {left}")


@scenario("libvirt-2d", [(QEMU11, VGA)], mode="2d")
@scenario("libvirt-virgl", [(QEMU11, VGA)], mode="virglrenderer")
def libvirt(t):
    """A domain as docs/host.md has it; in 2D without its <acceleration>."""
    accel3d, text = t.mode != "2d", domain_of_docs()
    host = Libvirt(t.lab)
    note(f"{t.name}: " + host.virsh("version").replace("\n", "; ").strip("; "))
    vm = start(t, host, text, accel3d)
    with t.check("libvirt chooses this program by its discovery file"):
        found = t.daemon.arguments
        check(t.daemon.program == OURS, f"{t.daemon.program} instead")
        check(("--virgl" in found) == accel3d, f"started as {found}")
        check(any(a.startswith("--fd=") for a in found), f"{found}")
    note(f"{t.name}: booted in {vm.wait_boot():.1f} s")
    before = vm.screen()
    vm.load_driver(one_mode=(1280, 800) if accel3d else None)
    with t.check("firmware text before the driver"):
        check_firmware_text(vm, before)
    with t.check("console, all pixels"):
        console_shows(vm, "by way of libvirt")
    if accel3d:
        with t.check("eglinfo names virgl"):
            out = vm.sh("eglinfo -p gbm -B 2>&1", 180 * SLOW)
            names = re.findall(r"^OpenGL.* renderer: (.*)$", out, re.M)
            check(names and all("virgl" in n for n in names),
                  f"renderers {names}; eglinfo says: {out[-1500:]}")
            note(f"{t.name}: {names[0]}")
        with t.check("kmscube turns"):
            kmscube(vm)
    else:
        fourcc = primary_formats(vm)[0]
        with t.check("modetest"):
            modetest(vm, fourcc, 1280, 800)
        with t.check("page flips"), kms(vm, "flip", fourcc, "1"):
            expected = patterns.kms(1280, 800, 7)
            vm.wait_screen(lambda p: p.difference(expected), "pattern")
    with t.check("console after virsh suspend and resume"):
        vm.stop()
        vm.cont()
        console_shows(vm, "resumed")
    with t.check("virsh screenshot"):
        path = t.lab.path("screenshot.png")
        host.virsh("screenshot", vm.name, path)
        with open(path, "rb") as f:
            picture = Picture.from_png(f.read())
        expected = font_of(vm).console(1280, 800, [(7, "resumed")])
        wrong = picture.difference(expected)
        check(not wrong, wrong)
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    destroy(t, host, vm)
    if not accel3d:
        turned_round(t, host, text)
    host.end()


def turned_round(t, host, text):
    """An empty file of the discovery file's name, where the host's own
    settings are, hides it. QEMU's back-end says that it takes a render node,
    so that libvirt starts nothing with it where there is none."""
    path = host.path(f"/etc/{DISCOVERY}")
    if os.path.lexists(path):
        os.unlink(path)
    with open(path, "w"):
        pass
    with t.check("an empty file of its name leaves QEMU's back-end",
                 alive=False):
        try:
            vm = start(t, host, text, False)
        except Failure as e:
            check("/dev/dri" in str(e) and not os.path.exists("/dev/dri"), e)
            return
        check(t.daemon.program == PEER, f"{t.daemon.program} instead")
        vm.quit()
