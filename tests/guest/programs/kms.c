// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Draws known pixels by way of the kernel's mode setting, with nothing between
 * it and the driver: what it draws is what the display has to show.
 *
 *   kms info                    planes with their formats, connectors
 *   kms show FOURCC [WxH]       the pattern on every connected output, seed
 *                               1 on the first one, 2 on the next ...
 *   kms damage FOURCC           like show; then a rectangle of every output is
 *                               drawn anew with seed + 100, and only that is
 *                               reported as damage
 *   kms flip FOURCC SECONDS     page flips between two buffers; ends with the
 *                               pattern of seed 7 on every output
 *   kms cursor X Y HOTX HOTY    a 64x64 cursor on the first output
 *
 * It says "ready" when the kernel has taken everything, and stays until it is
 * killed, because the console comes back when it goes. The pattern's pixel at
 * x, y is red x + 37 seed, green y + 91 seed, blue (x / 8 ^ y / 8) + seed, all
 * modulo 256; tests/guest/patterns.py computes the same.
 */
#define _GNU_SOURCE
#include <drm.h>
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAX_OUTPUTS 16

struct buffer {
	uint32_t handle, fb, pitch, width, height, fourcc;
	uint32_t *map;
};

struct output {
	uint32_t connector, crtc;
	struct drm_mode_modeinfo mode;
	struct buffer buffers[2];
};

static int card = -1;
static struct output outputs[MAX_OUTPUTS];
static int n_outputs;

static void must(unsigned long request, void *arg, const char *what)
{
	int rc;

	do {
		rc = ioctl(card, request, arg);
	} while (rc < 0 && (errno == EINTR || errno == EAGAIN));
	if (rc < 0) {
		err(1, "%s", what);
	}
}

static uint64_t pointer(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static void get_resources(struct drm_mode_card_res *res, uint32_t *crtcs,
			  uint32_t *connectors)
{
	*res = (struct drm_mode_card_res){
		.crtc_id_ptr = pointer(crtcs),
		.connector_id_ptr = pointer(connectors),
		.count_crtcs = MAX_OUTPUTS,
		.count_connectors = MAX_OUTPUTS,
	};
	must(DRM_IOCTL_MODE_GETRESOURCES, res, "MODE_GETRESOURCES");
}

static struct drm_mode_modeinfo *get_connector(
	uint32_t id, struct drm_mode_get_connector *conn)
{
	struct drm_mode_modeinfo *modes;

	*conn = (struct drm_mode_get_connector){ .connector_id = id };
	must(DRM_IOCTL_MODE_GETCONNECTOR, conn, "MODE_GETCONNECTOR");
	modes = calloc(conn->count_modes + 1, sizeof(*modes));
	*conn = (struct drm_mode_get_connector){
		.connector_id = id,
		.count_modes = conn->count_modes,
		.modes_ptr = pointer(modes),
	};
	must(DRM_IOCTL_MODE_GETCONNECTOR, conn, "MODE_GETCONNECTOR");
	return modes;
}

/* The preferred mode, or the first one of the size that is asked for. */
static void find_outputs(uint32_t width, uint32_t height)
{
	uint32_t crtcs[MAX_OUTPUTS], connectors[MAX_OUTPUTS];
	struct drm_mode_card_res res;

	get_resources(&res, crtcs, connectors);
	for (uint32_t i = 0; i < res.count_connectors; i++) {
		struct drm_mode_get_connector conn;
		struct drm_mode_modeinfo *modes =
			get_connector(connectors[i], &conn);
		int pick = -1;

		for (uint32_t m = 0; m < conn.count_modes && pick < 0; m++) {
			if (width == 0 || (modes[m].hdisplay == width &&
					   modes[m].vdisplay == height)) {
				pick = (int)m;
			}
		}
		if (conn.connection == 1 && pick < 0) {
			errx(1, "connector %u has no mode %ux%u",
			     connectors[i], width, height);
		}
		if (conn.connection == 1 && i < res.count_crtcs) {
			/* virtio-gpu: output i is driven by crtc i alone. */
			outputs[n_outputs++] = (struct output){
				.connector = connectors[i],
				.crtc = crtcs[i],
				.mode = modes[pick],
			};
		}
		free(modes);
	}
	if (n_outputs == 0) {
		errx(1, "no connected output");
	}
}

static void create_buffer(struct buffer *b, uint32_t width, uint32_t height,
			  uint32_t fourcc)
{
	struct drm_mode_create_dumb dumb = {
		.width = width, .height = height, .bpp = 32,
	};
	struct drm_mode_map_dumb map;

	must(DRM_IOCTL_MODE_CREATE_DUMB, &dumb, "MODE_CREATE_DUMB");
	map = (struct drm_mode_map_dumb){ .handle = dumb.handle };
	must(DRM_IOCTL_MODE_MAP_DUMB, &map, "MODE_MAP_DUMB");
	*b = (struct buffer){
		.handle = dumb.handle, .pitch = dumb.pitch,
		.width = width, .height = height, .fourcc = fourcc,
		.map = mmap(NULL, dumb.size, PROT_READ | PROT_WRITE,
			    MAP_SHARED, card, (off_t)map.offset),
	};
	if (b->map == MAP_FAILED) {
		err(1, "mmap");
	}
}

static void add_fb(struct buffer *b)
{
	struct drm_mode_fb_cmd2 fb = {
		.width = b->width, .height = b->height,
		.pixel_format = b->fourcc,
		.handles = { b->handle }, .pitches = { b->pitch },
	};

	must(DRM_IOCTL_MODE_ADDFB2, &fb, "MODE_ADDFB2");
	b->fb = fb.fb_id;
}

static uint32_t pack(uint32_t fourcc, uint8_t r, uint8_t g, uint8_t b)
{
	const uint32_t a = 0xff;

	switch (fourcc) {
	case DRM_FORMAT_XRGB8888:
	case DRM_FORMAT_ARGB8888:
		return a << 24 | (uint32_t)r << 16 | (uint32_t)g << 8 | b;
	case DRM_FORMAT_XBGR8888:
	case DRM_FORMAT_ABGR8888:
		return a << 24 | (uint32_t)b << 16 | (uint32_t)g << 8 | r;
	case DRM_FORMAT_RGBX8888:
	case DRM_FORMAT_RGBA8888:
		return (uint32_t)r << 24 | (uint32_t)g << 16 |
		       (uint32_t)b << 8 | a;
	case DRM_FORMAT_BGRX8888:
	case DRM_FORMAT_BGRA8888:
		return (uint32_t)b << 24 | (uint32_t)g << 16 |
		       (uint32_t)r << 8 | a;
	default:
		errx(1, "this program cannot draw %.4s", (char *)&fourcc);
	}
}

static void draw(struct buffer *b, uint32_t x0, uint32_t y0, uint32_t width,
		 uint32_t height, uint32_t seed)
{
	for (uint32_t y = y0; y < y0 + height; y++) {
		for (uint32_t x = x0; x < x0 + width; x++) {
			b->map[y * (b->pitch / 4) + x] = pack(
				b->fourcc, (uint8_t)(x + 37 * seed),
				(uint8_t)(y + 91 * seed),
				(uint8_t)(((x >> 3) ^ (y >> 3)) + seed));
		}
	}
}

static void set_crtc(struct output *o, struct buffer *b)
{
	struct drm_mode_crtc crtc = {
		.set_connectors_ptr = pointer(&o->connector),
		.count_connectors = 1,
		.crtc_id = o->crtc,
		.fb_id = b->fb,
		.mode_valid = 1,
		.mode = o->mode,
	};

	must(DRM_IOCTL_MODE_SETCRTC, &crtc, "MODE_SETCRTC");
}

static void show(uint32_t fourcc)
{
	for (int i = 0; i < n_outputs; i++) {
		struct output *o = &outputs[i];
		struct buffer *b = &o->buffers[0];

		create_buffer(b, o->mode.hdisplay, o->mode.vdisplay, fourcc);
		draw(b, 0, 0, b->width, b->height, (uint32_t)i + 1);
		add_fb(b);
		set_crtc(o, b);
		printf("output %d: %ux%u\n", i, b->width, b->height);
	}
}

/* The rectangle's place is part of the contract with patterns.py. */
static void damage(void)
{
	/* Until the first picture is on its way: the back-end may join both. */
	sleep(1);
	for (int i = 0; i < n_outputs; i++) {
		struct buffer *b = &outputs[i].buffers[0];
		struct drm_clip_rect clip = { 101, 67, 101 + 203, 67 + 111 };
		struct drm_mode_fb_dirty_cmd dirty = {
			.fb_id = b->fb,
			.num_clips = 1,
			.clips_ptr = pointer(&clip),
		};

		draw(b, 101, 67, 203, 111, (uint32_t)i + 101);
		must(DRM_IOCTL_MODE_DIRTYFB, &dirty, "MODE_DIRTYFB");
	}
}

static void flip_once(struct output *o, struct buffer *b)
{
	struct drm_mode_crtc_page_flip flip = {
		.crtc_id = o->crtc, .fb_id = b->fb,
		.flags = DRM_MODE_PAGE_FLIP_EVENT,
	};
	struct pollfd pfd = { .fd = card, .events = POLLIN };
	char events[256];

	must(DRM_IOCTL_MODE_PAGE_FLIP, &flip, "MODE_PAGE_FLIP");
	if (poll(&pfd, 1, 30000) != 1) {
		errx(1, "no page flip within 30 s");
	}
	if (read(card, events, sizeof(events)) <= 0) {
		err(1, "read of a flip's event");
	}
}

static void flip(uint32_t fourcc, int seconds)
{
	struct timespec start, now;
	unsigned int n = 0;

	show(fourcc);
	for (int i = 0; i < n_outputs; i++) {
		struct buffer *b = &outputs[i].buffers[1];

		create_buffer(b, outputs[i].mode.hdisplay,
			      outputs[i].mode.vdisplay, fourcc);
		draw(b, 0, 0, b->width, b->height, 7);
		add_fb(b);
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (int i = 0; i < n_outputs; i++) {
			flip_once(&outputs[i], &outputs[i].buffers[1]);
			flip_once(&outputs[i], &outputs[i].buffers[0]);
		}
		n += 2;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < seconds);
	for (int i = 0; i < n_outputs; i++) {
		flip_once(&outputs[i], &outputs[i].buffers[1]);
	}
	printf("flips %u\n", n);
}

/* Opaque red with a transparent lower right quarter. */
static void cursor(int x, int y, int hot_x, int hot_y)
{
	struct buffer b;
	struct drm_mode_cursor2 c = {
		.flags = DRM_MODE_CURSOR_BO | DRM_MODE_CURSOR_MOVE,
		.crtc_id = outputs[0].crtc,
		.x = x, .y = y, .hot_x = hot_x, .hot_y = hot_y,
		.width = 64, .height = 64,
	};

	create_buffer(&b, 64, 64, DRM_FORMAT_ARGB8888);
	for (uint32_t i = 0; i < 64 * 64; i++) {
		uint32_t cx = i % 64, cy = i / 64;

		b.map[cy * (b.pitch / 4) + cx] =
			cx >= 32 && cy >= 32
				? 0
				: 0xff000000u | (0x80 + cx) << 16 | cy << 8 |
					  0x11;
	}
	c.handle = b.handle;
	must(DRM_IOCTL_MODE_CURSOR2, &c, "MODE_CURSOR2");
}

/* A cursor that is never where it was, until the time is up. */
static void wander(int seconds)
{
	struct drm_mode_cursor2 c = {
		.flags = DRM_MODE_CURSOR_MOVE,
		.crtc_id = outputs[0].crtc,
	};
	struct timespec start, now;
	unsigned int n = 0;

	cursor(0, 0, 0, 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		n++;
		c.x = (int)(n * 7 % outputs[0].mode.hdisplay);
		c.y = (int)(n * 3 % outputs[0].mode.vdisplay);
		must(DRM_IOCTL_MODE_CURSOR2, &c, "MODE_CURSOR2");
		usleep(5000);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < seconds);
	printf("moves %u\n", n);
}

static void info(void)
{
	uint32_t crtcs[MAX_OUTPUTS], connectors[MAX_OUTPUTS], planes[64];
	struct drm_set_client_cap cap = { DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1 };
	struct drm_mode_get_plane_res list = {
		.plane_id_ptr = pointer(planes), .count_planes = 64,
	};
	struct drm_mode_card_res res;

	must(DRM_IOCTL_SET_CLIENT_CAP, &cap, "SET_CLIENT_CAP");
	must(DRM_IOCTL_MODE_GETPLANERESOURCES, &list, "GETPLANERESOURCES");
	for (uint32_t i = 0; i < list.count_planes; i++) {
		uint32_t formats[64];
		struct drm_mode_get_plane plane = {
			.plane_id = planes[i], .count_format_types = 64,
			.format_type_ptr = pointer(formats),
		};

		must(DRM_IOCTL_MODE_GETPLANE, &plane, "MODE_GETPLANE");
		printf("plane %u", planes[i]);
		for (uint32_t f = 0; f < plane.count_format_types; f++) {
			printf(" %.4s", (char *)&formats[f]);
		}
		printf("\n");
	}
	get_resources(&res, crtcs, connectors);
	for (uint32_t i = 0; i < res.count_connectors; i++) {
		struct drm_mode_get_connector conn;
		struct drm_mode_modeinfo *modes =
			get_connector(connectors[i], &conn);

		printf("connector %u %s %u modes", connectors[i],
		       conn.connection == 1 ? "connected" : "disconnected",
		       conn.count_modes);
		for (uint32_t m = 0; m < conn.count_modes; m++) {
			printf(" %ux%u", modes[m].hdisplay, modes[m].vdisplay);
		}
		printf("\n");
		free(modes);
	}
}

static uint32_t parse_fourcc(const char *text)
{
	uint32_t fourcc;

	if (strlen(text) != 4) {
		errx(2, "%s is no four letter format", text);
	}
	memcpy(&fourcc, text, 4);
	return fourcc;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	uint32_t width = 0, height = 0;

	card = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
	if (card < 0) {
		err(1, "/dev/dri/card0");
	}
	if (!strcmp(verb, "info")) {
		info();
		return 0;
	}
	if (!strcmp(verb, "show") && argc == 4 &&
	    sscanf(argv[3], "%ux%u", &width, &height) != 2) {
		errx(2, "%s is no size", argv[3]);
	}
	find_outputs(width, height);
	if (!strcmp(verb, "show") && argc >= 3) {
		show(parse_fourcc(argv[2]));
	} else if (!strcmp(verb, "damage") && argc == 3) {
		show(parse_fourcc(argv[2]));
		damage();
	} else if (!strcmp(verb, "flip") && argc == 4) {
		flip(parse_fourcc(argv[2]), atoi(argv[3]));
	} else if (!strcmp(verb, "cursor") && argc == 6) {
		cursor(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]),
		       atoi(argv[5]));
	} else if (!strcmp(verb, "wander") && argc == 3) {
		wander(atoi(argv[2]));
	} else {
		errx(2, "usage: kms info|show|damage|flip|cursor|wander ...");
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		pause();
	}
}
