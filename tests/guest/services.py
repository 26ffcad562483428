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
from lab import REPO, SLOW, Daemon, check, note
from scenarios import (GENERIC, PCI, QEMU11, SHORT, check_no_gpu_messages,
                       console_shows, crash_under_cube, kmscube, scenario)
from vulkan import vkcopy, vulkaninfo

# The first two instances have the drop-ins of docs/host.md, each its own; the
# third one, a user's, has none.
SEEN, CACHING, USERS = "vm1", "vm2", "vm3"

# An ordinary user, who has no session here, but a manager.
USER_FOLDER = "/run/user-manager"
AS_USER = ["setpriv", "--reuid=libvirt-qemu", "--regid=kvm", "--clear-groups",
           "env", f"XDG_RUNTIME_DIR={USER_FOLDER}", f"HOME={USER_FOLDER}"]

# $1: what has been installed, $2: its prefix; options for shaders that are kept,
# $3, and for a look inside, $4. The container's root is what has been installed
# over the tree's.
HOST = r"""
mount -t tmpfs -o mode=755 none /run
mkdir /run/upper /run/work /run/root
mount -t overlay -o "lowerdir=$1:/,upperdir=/run/upper,workdir=/run/work" \
	none /run/root
mount -t cgroup2 none /sys/fs/cgroup
group=/sys/fs/cgroup/vdg-$$
mkdir -p $group
echo $$ >$group/cgroup.procs
cd /run/root
# No more than it takes: nothing of the tree's services.
rm -rf etc/systemd/system/*.wants etc/machine-id var/log/journal
: >etc/machine-id
mkdir etc/vhost-device-gpu
for instance in vm1 vm2; do
	echo VHOST_DEVICE_GPU_LOG=info >etc/vhost-device-gpu/$instance.conf
done
echo "$3" >>etc/vhost-device-gpu/vm2.conf
echo "$4" >>etc/vhost-device-gpu/vm1.conf
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
    def __init__(self, lab):
        with open(os.path.join(REPO, "docs", "host.md")) as f:
            text = f.read()
        drop_ins = re.findall(r"```ini\n(\[Service\].*?)```", text, re.S)
        options = re.findall(
            r"```ini\n# /etc/vhost-device-gpu/work.conf\n(.*?)```", text, re.S)
        (caching, kept), (seen, shown) = zip(drop_ins, options, strict=True)
        super().__init__(lab, "systemd", [], HOST,
                         kept.replace("work", CACHING),
                         shown.replace("work", SEEN))
        self.wait(lambda: self.run("systemctl", "is-active", "basic.target",
                                   may_fail=True), "systemd")
        for instance, drop_in in (CACHING, caching), (SEEN, seen):
            self.run("systemctl", "edit", "--stdin",
                     f"vhost-device-gpu@{instance}.service", stdin=drop_in)

    def end(self):
        os.kill(self.process.pid, signal.SIGTERM)
        self.process.child.wait(60 * SLOW)


class Service(Daemon):
    """The program, in the place of one that the suite has started."""

    MANAGER, FOLDER, LOG = ["systemctl"], "/run", None

    def __init__(self, host, instance):
        self.host, self.process = host, host.process
        self.unit = f"vhost-device-gpu@{instance}"
        self.name = f"{self.unit}.service"
        self.sock = host.path(
            f"{self.FOLDER}/vhost-device-gpu/{instance}.sock")
        self.start_manager()
        self.systemctl("enable", "--now", f"{self.unit}.socket")

    def start_manager(self):
        """Nothing to do, as it runs."""

    def systemctl(self, *arguments, **more):
        return self.host.run(*self.MANAGER, "--no-pager", *arguments, **more)

    def show(self, name):
        return self.systemctl("show", "--value", "-p", name,
                              self.name).strip()

    def alive(self):
        return self.show("ActiveState") == "active"

    def require_alive(self):
        state = self.show("ActiveState")
        check(state == "active", f"{self.name} is {state}")

    def wait_ready(self):
        self.host.wait(self.alive, self.name)

    def family(self):
        """As numbered here; the host's first process has but this service."""
        return self.process.family()

    def text(self):
        """What it has said, and what its manager has of it."""
        return self.host.run("journalctl", "--no-pager", "-o", "cat", "-u",
                             self.LOG or self.name)

    def stop(self, grace_s=5):
        """Socket and service, as an administrator would; the exit status."""
        self.systemctl("stop", f"{self.unit}.socket", self.name)
        return int(self.show("ExecMainStatus"))


class UserService(Service):
    """The same of a user's manager."""

    MANAGER = [*AS_USER, "systemctl", "--user"]
    FOLDER, LOG = USER_FOLDER, "user-manager.service"

    def start_manager(self):
        self.host.run(
            "systemd-run", "--quiet", "--service-type=notify",
            f"--unit={self.LOG}", "-p", "Delegate=yes",
            "-p", "User=libvirt-qemu", "-p", "Group=kvm",
            "-p", f"RuntimeDirectory={os.path.basename(USER_FOLDER)}",
            f"--setenv=XDG_RUNTIME_DIR={USER_FOLDER}",
            f"--setenv=HOME={USER_FOLDER}",
            "/usr/lib/systemd/systemd", "--user")


def expect_no_complaint(service, but=None):
    """Not of systemd's either, that it has done something without."""
    lines = service.text().splitlines()
    check(any("vhost-device-gpu" in line for line in lines), "it says nothing")
    check(not but or any(but in line for line in lines), f"no '{but}'")
    wrong = [line for line in lines
             if re.search("without| error:| warn:|not permitted", line) and
             not (but and but in line)]
    check(not wrong, wrong)


@scenario("systemd", [(QEMU11, PCI)], mode="virglrenderer")
def systemd(t):
    """A machine connects, that is all: the socket starts the service. One can
    be looked into. A second one has Vulkan, and its shaders kept. A user's
    needs no options."""
    host = Container(t.lab)
    t.daemon = Service(host, SEEN)
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
    with t.check("a look inside"):
        said = host.run("vhost-device-gpuctl", "--socket",
                        f"/run/vhost-device-gpu-{SEEN}/control", "status")
        check("scanout 0" in said and "1280x800" in said, said)
    with t.check("who renders is killed, and replaced"):
        crash_under_cube(vm, t.daemon, signal.SIGKILL, "killed")
        kmscube(vm)
    with t.check("the crash is all that there was"):
        expect_no_complaint(t.daemon, but="which renders, died")
        check(t.daemon.show("NRestarts") == "0", "restarted")
    t.finish(vm)
    t.daemon = Service(host, CACHING)
    vm = t.lab.vm(t.frontend, GENERIC, t.daemon, name="vm2")
    with t.check(f"Vulkan, with a shader cache ({SHORT[GENERIC]})"):
        vm.wait_boot()
        vm.load_driver()
        note(f"{t.name}: {vulkaninfo(vm)}")
        vkcopy(vm)
    with t.check("OpenGL, with a shader cache"):
        vm.sh("eglinfo -p gbm -B 2>&1", 180 * SLOW)
        folder = host.path("/var/cache/private/vhost-device-gpu/vm2")
        kept = sum(len(files) for _, _, files in os.walk(folder))
        note(f"{t.name}: {kept} files in the shader cache")
        check(kept > 0, "nothing was kept")
        expect_no_complaint(t.daemon)
    t.finish(vm)
    with t.check("a user's manager has the socket", alive=False):
        t.daemon = UserService(host, USERS)
    vm = t.lab.vm(t.frontend, t.device, t.daemon, name="vm3")
    with t.check("a machine of a user's, with OpenGL"):
        vm.wait_boot()
        vm.load_driver(one_mode=(1280, 800))
        console_shows(vm, "by way of a user's systemd")
        kmscube(vm)
        expect_no_complaint(t.daemon)
    t.finish(vm)
    host.end()
