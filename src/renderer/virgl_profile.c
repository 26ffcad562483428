/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What virglrenderer, EGL, Mesa and the drivers behind them need of a sandbox.
 *
 * Measured: strace of the proto and guest suites with Debian 12's virglrenderer
 * 0.10.4 and Mesa 22.3, and with 1.1 and 26.1, both on llvmpipe, and with
 * NVIDIA's driver 580 on an H100; --sandbox report says what else a driver asks
 * for. Not measured, for want of the hardware: what is marked so, from the
 * kernel's and Mesa's documentation.
 *
 * NVIDIA's driver does without some of what it asks for: to mend links in
 * /dev/char, to look at all PCI devices there are, and where modprobe is.
 */
#include "renderer/virgl_internal.h"

static lockdown_names calls = {
	/* libraries, their settings, and the code that compilers make */
	"open", "openat", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "stat",
	"stat64", "lstat", "lstat64", "newfstatat", "fstatat64", "statx", "getdents", "getdents64",
	"getcwd", "statfs", "statfs64", "fstatfs", "fstatfs64", "pread64", "mmap", "mmap2",
	"mprotect", "getuid", "geteuid", "getgid", "getegid", "getuid32", "geteuid32", "getgid32",
	"getegid32", "getpriority", "getrusage", "times",
	/* threads: how they run, not to change it, which would do to any of the user's */
	"sched_getscheduler", "sched_getparam", "sched_get_priority_max", "sched_get_priority_min",
	"getcpu", "membarrier", "prctl(get-name)", "get_mempolicy",
	/* fences and pictures */
	"timerfd_create", "timerfd_settime", "timerfd_settime64", "memfd_create", "ftruncate",
	"ftruncate64", "fallocate", "pipe2", "dup2", "dup3", "select", "pselect6",
	/* a driver in the kernel; not measured */
	"ioctl(gpu)",
	/* are two descriptors one file? */
	"kcmp(self)", NULL
};

/* Nothing that changes modes, owners or times, which Landlock does not see. */
static lockdown_names cache_calls = { "pwrite64",    "mkdir", "mkdirat", "unlink",
				      "unlinkat",    "rmdir", "rename",	 "renameat",
				      "renameat2",   "flock", "fsync",	 "fdatasync",
				      "fcntl(lock)", NULL };

/* GLX: a connection to an X server. Not measured with a server behind it. */
static lockdown_names window_calls = { "socket(unix)", "connect", "fcntl(flags)", "getsockname",
				       "getpeername",  "shmget",  "shmat",	  "shmdt",
				       "shmctl",       NULL };

static const char *const files[] = {
	"/usr", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/gnu/store",
	"/run/opengl-driver", "/run/current-system/sw", "/run/host/usr", "/etc/ld.so.cache",
	"/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/drirc", "/etc/egl", "/etc/glvnd",
	"/etc/vulkan", "/etc/nvidia", "/etc/alternatives",
	/* which GPUs and processors there are; not a GPU's own memory, which is a file beside these
	 */
	"/sys/devices/system/cpu", "/sys/devices/system/node",
	"/sys/devices/system/memory/block_size_bytes",
	"/sys/class/drm/*/device/{uevent,vendor,device,subsystem_vendor,subsystem_device}",
	"/sys/class/drm/*/device/{revision,class,config,boot_vga,numa_node,resource}",
	"/sys/module/{nvidia,nvidia_drm}/version", "/proc/cpuinfo", "/proc/meminfo",
	"/proc/driver/nvidia", "/proc/devices", "/proc/modules", NULL
};

static const char *const variables[] = { "LD_LIBRARY_PATH",
					 "LIBGL_DRIVERS_PATH",
					 "GBM_BACKENDS_PATH",
					 "GBM_DRIVERS_PATH",
					 "__EGL_VENDOR_LIBRARY_DIRS",
					 "__EGL_VENDOR_LIBRARY_FILENAMES",
					 "__EGL_EXTERNAL_PLATFORM_CONFIG_DIRS",
					 "DRIRC_CONFIGDIR",
					 "VK_ICD_FILENAMES",
					 "VK_DRIVER_FILES",
					 NULL };

static const char *const folders[] = { "/dev/dri", "/sys/class/drm", "/sys/dev/char",
				       "/sys/class/drm/*/device/drm", NULL };

static const char *const devices[] = { "/dev/null",   "/dev/zero",    "/dev/urandom",
				       "/dev/random", "/dev/udmabuf", NULL };

static const char *const gpu_devices[] = { "/dev/dri/renderD*", NULL };

/* NVIDIA's own driver has nodes of its own beside the render node. */
static const char *const driver_devices[] = { "/dev/nvidia*", NULL };

const struct renderer_profile virgl_profile = {
	.calls = calls,
	.window_calls = window_calls,
	.cache_calls = cache_calls,
	.files = files,
	.variables = variables,
	.folders = folders,
	.devices = devices,
	.gpu_devices = gpu_devices,
	.driver = "nvidia",
	.driver_devices = driver_devices,
	.server = &virgl_server,
	.advise = virgl_host_advise,
};
