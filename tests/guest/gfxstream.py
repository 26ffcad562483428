# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Scenarios with a real gfxstream: the library that GFXSTREAM_LIBRARY names, or
that the linker finds. Where there is none they are skipped.

The library is one of this system, and so the daemon is, whichever system the
front-end is of. The guest's driver is Mesa's, of Debian 13.
"""

import ctypes.util
import os
import re

import scenarios
from lab import SLOW, Skip, check, note
from scenarios import (GENERIC, PCI, QEMU10, QEMU11, VGA,
                       check_no_gpu_messages, console_shows, scenario)
from vulkan import expect_features, param, without_blobs

CAPSET_VULKAN = 3
DRIVER = "/usr/share/vulkan/gfxstream_vk_icd.json"


def with_library(t):
    path = os.environ.get("GFXSTREAM_LIBRARY")
    if path:
        t.daemon_args = ["--gfxstream-library", path]
    elif not ctypes.util.find_library("gfxstream_backend"):
        raise Skip("no gfxstream library")
    t.system = QEMU10


@scenario("gfxstream-2d", [(QEMU10, PCI), (QEMU11, VGA)], mode="gfxstream")
def gfxstream_2d(t):
    with_library(t)
    scenarios.two_d(t)


def vulkan(vm, command, timeout_s=120):
    """Of a program that has gfxstream's driver, and no other."""
    return vm.run(f"VK_DRIVER_FILES={DRIVER} {command} 2>&1",
                  timeout_s * SLOW)


@scenario("gfxstream-vulkan", [(QEMU11, GENERIC)], mode="gfxstream")
def gfxstream_vulkan(t):
    with_library(t)
    vm = t.boot("--capset", "gfxstream-vulkan")
    vm.load_driver()
    with t.check("driver has all of it"):
        expect_features(vm, "+virgl", "+resource_blob", "+host_visible",
                        "+context_init")
        capsets = param(vm, "capsets")
        check(capsets >> CAPSET_VULKAN & 1, f"capsets {capsets:#x}")
    with t.check("vulkaninfo names the host's GPU, by gfxstream's driver"):
        status, out = vulkan(vm, "vulkaninfo --summary")
        names = re.findall(r"deviceName += (.*)", out)
        # The driver passes on what the host's says, but for the type.
        check(status == 0 and len(names) == 1 and
              "PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU" in out,
              f"{status}, {names}: {out[-3000:]}")
        note(f"{t.name}: {names[0]}")
    with t.check("vulkaninfo, all of it"):
        status, out = vulkan(vm, "vulkaninfo")
        check(status == 0, f"{status}: {out[-2000:]}")
        check("memoryHeaps" in out, out[-1000:])
    with t.check("Vulkan copies what the guest has written"):
        status, out = vulkan(vm, "vkcopy 256 10")
        check(status == 0 and "queue 0.0 rounds 10" in out, f"{status}: {out}")
        note(out.strip())
    with t.check("nothing stays mapped"):
        without_blobs(vm)
    with t.check("guest's kernel log"):
        check_no_gpu_messages(vm)
    t.finish(vm)
