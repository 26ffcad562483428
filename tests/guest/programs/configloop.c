// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Reads the GPU's device configuration without pause, as any program that
 * watches events_read may, and says how long the longest read took.
 *
 *   configloop SECONDS
 *
 * Each read leaves the guest and holds QEMU's big lock until the back-end
 * answers GET_CONFIG. Where the back-end can't answer because it waits for
 * QEMU to read from the display socket, the whole machine stands still.
 *
 * The structure is found by the virtio capability of type 4 in PCI
 * configuration space and read through sysfs (kernel argument iomem=relaxed,
 * because the driver holds the region as well).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PCI_CAP_POINTER 0x34
#define PCI_CAP_VENDOR 0x09
#define VIRTIO_PCI_CAP_DEVICE_CFG 4

static void find_gpu(char *dir, size_t size)
{
	const char *top = "/sys/bus/pci/devices";
	DIR *d = opendir(top);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[512];
		unsigned int vendor = 0, device = 0;
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s/vendor", top, e->d_name);
		f = fopen(path, "re");
		if (!f) {
			continue;
		}
		if (fscanf(f, "%x", &vendor) != 1) {
			vendor = 0;
		}
		fclose(f);
		snprintf(path, sizeof(path), "%s/%s/device", top, e->d_name);
		f = fopen(path, "re");
		if (f && fscanf(f, "%x", &device) != 1) {
			device = 0;
		}
		if (f) {
			fclose(f);
		}
		if (vendor == 0x1af4 && device == 0x1050) {
			snprintf(dir, size, "%s/%s", top, e->d_name);
			closedir(d);
			return;
		}
	}
	errx(1, "no virtio-gpu among the PCI devices");
}

static volatile uint32_t *map_device_config(const char *dir)
{
	char path[600];
	uint8_t config[256];
	int fd;

	snprintf(path, sizeof(path), "%s/config", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, config, sizeof(config)) != sizeof(config)) {
		err(1, "%s", path);
	}
	close(fd);
	for (uint8_t at = config[PCI_CAP_POINTER]; at >= 64 && at < 240;
	     at = config[at + 1]) {
		uint32_t offset;

		if (config[at] != PCI_CAP_VENDOR ||
		    config[at + 3] != VIRTIO_PCI_CAP_DEVICE_CFG) {
			continue;
		}
		memcpy(&offset, &config[at + 8], sizeof(offset));
		snprintf(path, sizeof(path), "%s/resource%u", dir,
			 config[at + 4]);
		fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
		if (fd < 0) {
			err(1, "%s", path);
		}
		long page = sysconf(_SC_PAGESIZE);
		char *map = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, offset & ~(page - 1));
		if (map == MAP_FAILED) {
			err(1, "mmap of %s", path);
		}
		return (volatile uint32_t *)(map + (offset & (page - 1)));
	}
	errx(1, "%s has no device configuration", dir);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	char dir[300];
	volatile uint32_t *config;
	double start, last, longest = 0;
	unsigned long reads = 0, wrong = 0;
	int seconds = argc > 1 ? atoi(argv[1]) : 10;

	find_gpu(dir, sizeof(dir));
	config = map_device_config(dir);
	/* events_read, events_clear, num_scanouts, num_capsets */
	const uint32_t scanouts = config[2];
	start = last = now();
	do {
		wrong += config[2] != scanouts;
		(void)config[0];
		reads += 2;
		double t = now();
		longest = t - last > longest ? t - last : longest;
		last = t;
	} while (last - start < seconds);
	printf("scanouts %u reads %lu wrong %lu longest_ms %.1f\n", scanouts,
	       reads, wrong, longest * 1000);
	return wrong != 0;
}
