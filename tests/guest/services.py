# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Machines whose GPU is a service of systemd's: the units of data/, as they
are installed, under the systemd of the Debian 13 tree in a container.

Nothing here starts the program. What is shown is that all that the units give
up leaves enough to draw with, and to start anew who renders.
"""

import os
import re
import signal

from hosts import Host
from lab import SLOW, Daemon, check, note
from scenarios import (GENERIC, PCI, QEMU11, SHORT, check_no_gpu_messages,
                       console_shows, crash_under_cube, kmscube, scenario)
from vulkan import vkcopy, vulkaninfo

UNIT = "vhost-device-gpu@vm1"
SOCKET = "/run/vhost-device-gpu/vm1.sock"

# $1: what has been installed. The container's root is that over the tree's.
HOST = r"""
mount -t tmpfs -o mode=755 none /run
mkdir /run/upper /run/work /run/root
mount -t overlay -o "lowerdir=$1:/,upperdir=/run/upper,workdir=/run/work" \
	none /run/root
mount -t cgroup2 none /sys/fs/cgroup
group=/sys/fs/cgroup/vdg-$$
mkdir $group
echo $$ >$group/cgroup.procs
cd /run/root
# No more than it takes: nothing of the tree's services.
rm -rf etc/systemd/system/*.wants etc/machine-id var/log/journal
: >etc/machine-id
wants=etc/systemd/system/sockets.target.wants
mkdir -p $wants etc/vhost-device-gpu
ln -s "$2/lib/systemd/system/vhost-device-gpu@.socket" \
	$wants/vhost-device-gpu@vm1.socket
printf '%s\n' "VHOST_DEVICE_GPU_OPTIONS=$3" VHOST_DEVICE_GPU_LOG=info \
	>etc/vhost-device-gpu/vm1.conf
# What would be asked of hardware, and of a network.
for unit in systemd-udevd systemd-resolved systemd-networkd getty@ console-getty \
	systemd-logind dbus ldconfig systemd-update-utmp systemd-firstboot; do
	ln -sf /dev/null etc/systemd/system/$unit.service
done
end() {
	trap '' TERM
	# Once is a request, twice an end.
	kill "$nspawn" && kill "$nspawn" || :
	wait "$nspawn" || :
	echo $$ >/sys/fs/cgroup/cgroup.procs
	find $group -depth -type d -exec rmdir {} +
}
trap 'end; exit 0' TERM
# The container's manager wants a root that is a mount.
mount --bind /run/root /run/root/mnt
mount -t tmpfs -o mode=755 none /run/root/run
mount -t proc none /run/root/proc
mount --rbind /sys /run/root/sys
mount --rbind /dev /run/root/dev
setpriv --pdeathsig KILL chroot /run/root systemd-nspawn --quiet \
	--directory=/mnt --boot --register=no --keep-unit --console=pipe \
	--settings=no --private-network --link-journal=no --resolv-conf=off \
	--timezone=off --machine=vdg --kill-signal=SIGRTMIN+4 &
nspawn=$!
wait $nspawn || :
end
exit 1
"""


class Container(Host):
    def __init__(self, lab, options):
        super().__init__(lab, "systemd", [], HOST, options)
        self.wait(lambda: os.path.exists(self.path(SOCKET)), "socket")

    def systemctl(self, *arguments, **more):
        return self.run("systemctl", "--no-pager", *arguments, **more)

    def show(self, unit, name):
        return self.systemctl("show", "--value", "-p", name, unit).strip()

    def end(self):
        os.kill(self.process.pid, signal.SIGTERM)
        self.process.child.wait(60 * SLOW)


class Service(Daemon):
    """The program, in the place of one that the suite has started."""

    def __init__(self, host):
        self.host, self.name = host, f"{UNIT}.service"
        self.sock, self.process = host.path(SOCKET), host.process

    def alive(self):
        return self.host.show(self.name, "ActiveState") == "active"

    def require_alive(self):
        state = self.host.show(self.name, "ActiveState")
        check(state == "active", f"{self.name} is {state}")

    def wait_ready(self):
        self.host.wait(self.alive, self.name)

    def family(self):
        """As numbered here; the host's first process has but this service."""
        return self.process.family()

    def text(self):
        return self.host.run("journalctl", "--no-pager", "-o", "cat", "-u",
                             self.name)

    def stop(self, grace_s=5):
        """Socket and service, as an administrator would; the exit status."""
        self.host.systemctl("stop", f"{UNIT}.socket", self.name)
        return int(self.host.show(self.name, "ExecMainStatus"))


@scenario("systemd", [(QEMU11, PCI)], mode="virglrenderer")
def systemd(t):
    """A machine connects, that is all: the socket starts the service. Then a
    second one, with Vulkan."""
    host = Container(t.lab, f"--gpu-mode={t.mode}")
    t.daemon = Service(host)
    with t.check("nothing runs before somebody connects", alive=False):
        check(not t.daemon.alive(), "it does")
    vm = t.lab.vm(t.frontend, t.device, t.daemon)
    with t.check("the service is ready when the front-end is served"):
        t.daemon.wait_ready()
    note(f"{t.name}: booted in {vm.wait_boot():.1f} s")
    vm.load_driver(one_mode=(1280, 800))
    with t.check("console, all pixels"):
        console_shows(vm, "by way of systemd")
    with t.check("kmscube turns"):
        kmscube(vm)
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    with t.check("who renders is killed, and replaced"):
        crash_under_cube(vm, t.daemon, signal.SIGKILL, "killed")
        kmscube(vm)
    vm.quit()
    with t.check(f"the next machine, and Vulkan ({SHORT[GENERIC]})"):
        vm = t.lab.vm(t.frontend, GENERIC, t.daemon, name="vm2")
        vm.wait_boot()
        vm.load_driver()
        note(f"{t.name}: {vulkaninfo(vm)}")
        vkcopy(vm)
    with t.check("nothing was done without, and the crash is all there was"):
        wrong = [line for line in t.daemon.text().splitlines()
                 if re.search("without| error:| warn:|not permitted", line)]
        check(len(wrong) == 1 and "which renders, died" in wrong[0], wrong)
        check(host.show(t.daemon.name, "NRestarts") == "0", "restarted")
    t.finish(vm)
    host.end()
