// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Vulkan without a window: the guest's processor writes into memory that it
 * shares with the host's driver, a queue copies, and the processor reads.
 *
 *   vkcopy KIB ROUNDS     on each queue of each family, so many times;
 *                         0: for ever
 *
 * A round writes KIB of numbers, has them copied into memory of the device and
 * from there into other memory that is mapped, has a quarter of that filled
 * by the device, and reads all of it. The queue says that it is done by a
 * fence and by a point on a timeline; both are waited for. It says "device
 * NAME", "queue FAMILY.INDEX rounds N" and, after the first round, "ready"; a
 * wrong byte or an error ends it with status 1.
 *
 * libvulkan is loaded, because this is built where only its headers are.
 */
#define VK_NO_PROTOTYPES
#include <dlfcn.h>
#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vulkan/vulkan.h>

#define MAX_FAMILIES 8
#define QUEUES_OF_FAMILY 2
#define PATIENCE_NS UINT64_C(60000000000)
#define FILLING 0xf1f2f3f4u

#define OF_INSTANCE(X)                                                                             \
	X(EnumeratePhysicalDevices)                                                                \
	X(GetPhysicalDeviceProperties)                                                             \
	X(GetPhysicalDeviceMemoryProperties)                                                       \
	X(GetPhysicalDeviceQueueFamilyProperties)                                                  \
	X(CreateDevice)                                                                            \
	X(DestroyInstance)                                                                         \
	X(GetDeviceProcAddr)

#define OF_DEVICE(X)                                                                               \
	X(GetDeviceQueue)                                                                          \
	X(CreateBuffer)                                                                            \
	X(DestroyBuffer)                                                                           \
	X(GetBufferMemoryRequirements)                                                             \
	X(AllocateMemory)                                                                          \
	X(FreeMemory)                                                                              \
	X(BindBufferMemory)                                                                        \
	X(MapMemory)                                                                               \
	X(UnmapMemory)                                                                             \
	X(CreateCommandPool)                                                                       \
	X(DestroyCommandPool)                                                                      \
	X(AllocateCommandBuffers)                                                                  \
	X(BeginCommandBuffer)                                                                      \
	X(EndCommandBuffer)                                                                        \
	X(CmdCopyBuffer)                                                                           \
	X(CmdFillBuffer)                                                                           \
	X(CmdPipelineBarrier)                                                                      \
	X(CreateSemaphore)                                                                         \
	X(DestroySemaphore)                                                                        \
	X(WaitSemaphores)                                                                          \
	X(GetSemaphoreCounterValue)                                                                \
	X(CreateFence)                                                                             \
	X(DestroyFence)                                                                            \
	X(ResetFences)                                                                             \
	X(WaitForFences)                                                                           \
	X(QueueSubmit)                                                                             \
	X(DeviceWaitIdle)                                                                          \
	X(DestroyDevice)

#define MEMBER(name) PFN_vk##name name;
static struct {
	OF_INSTANCE(MEMBER)
	OF_DEVICE(MEMBER)
} vk;
#undef MEMBER

/* A buffer with memory of its own. */
struct buffer {
	VkBuffer buffer;
	VkDeviceMemory memory;
};

struct machine {
	VkInstance instance;
	VkPhysicalDevice physical;
	VkPhysicalDeviceMemoryProperties memory;
	uint32_t n_families;
	VkQueueFamilyProperties families[MAX_FAMILIES];
	VkDevice device;
};

/* One queue with what it works on. */
struct work {
	const struct machine *m;
	VkDeviceSize size;
	VkQueue queue;
	VkCommandPool pool;
	VkCommandBuffer commands;
	VkSemaphore timeline;
	VkFence fence;
	struct buffer from, between, to;
};

static void must(VkResult result, const char *what)
{
	if (result != VK_SUCCESS) {
		errx(1, "%s: VkResult %d", what, result);
	}
}

static uint32_t queues_of(const struct machine *m, uint32_t family)
{
	uint32_t n = m->families[family].queueCount;

	return n < QUEUES_OF_FAMILY ? n : QUEUES_OF_FAMILY;
}

/* Instance and device */

static void open_instance(struct machine *m)
{
	void *library = dlopen("libvulkan.so.1", RTLD_NOW);
	const VkApplicationInfo application = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.apiVersion = VK_API_VERSION_1_2,
	};
	const VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pApplicationInfo = &application,
	};

	if (library == NULL) {
		errx(1, "%s", dlerror());
	}
	PFN_vkGetInstanceProcAddr get =
		(PFN_vkGetInstanceProcAddr)(uintptr_t)dlsym(library, "vkGetInstanceProcAddr");
	PFN_vkCreateInstance create_instance = (PFN_vkCreateInstance)get(NULL, "vkCreateInstance");
	must(create_instance(&info, NULL, &m->instance), "vkCreateInstance");
#define LOAD(name) vk.name = (PFN_vk##name)get(m->instance, "vk" #name);
	OF_INSTANCE(LOAD)
#undef LOAD
}

/* The first one: a guest has one GPU. */
static void pick_device(struct machine *m)
{
	VkPhysicalDeviceProperties properties;
	uint32_t n = 1;

	VkResult result = vk.EnumeratePhysicalDevices(m->instance, &n, &m->physical);
	if (result != VK_INCOMPLETE) {
		must(result, "vkEnumeratePhysicalDevices");
	}
	if (n == 0) {
		errx(1, "no Vulkan device");
	}
	vk.GetPhysicalDeviceProperties(m->physical, &properties);
	printf("device %s\n", properties.deviceName);
	vk.GetPhysicalDeviceMemoryProperties(m->physical, &m->memory);
	m->n_families = MAX_FAMILIES;
	vk.GetPhysicalDeviceQueueFamilyProperties(m->physical, &m->n_families, m->families);
}

static void open_device(struct machine *m)
{
	static const float priorities[QUEUES_OF_FAMILY] = { 1, 1 };
	VkDeviceQueueCreateInfo queues[MAX_FAMILIES];
	VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES,
		.timelineSemaphore = VK_TRUE,
	};
	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = &timeline,
		.queueCreateInfoCount = m->n_families,
		.pQueueCreateInfos = queues,
	};

	for (uint32_t i = 0; i < m->n_families; i++) {
		queues[i] = (VkDeviceQueueCreateInfo){
			.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
			.queueFamilyIndex = i,
			.queueCount = queues_of(m, i),
			.pQueuePriorities = priorities,
		};
	}
	must(vk.CreateDevice(m->physical, &info, NULL, &m->device), "vkCreateDevice");
#define LOAD(name) vk.name = (PFN_vk##name)vk.GetDeviceProcAddr(m->device, "vk" #name);
	OF_DEVICE(LOAD)
#undef LOAD
}

/* Buffers */

static uint32_t memory_type(const struct machine *m, uint32_t allowed, VkMemoryPropertyFlags wanted)
{
	for (uint32_t i = 0; i < m->memory.memoryTypeCount; i++) {
		if ((allowed & 1u << i) != 0 &&
		    (m->memory.memoryTypes[i].propertyFlags & wanted) == wanted) {
			return i;
		}
	}
	errx(1, "no memory of the properties %#x", wanted);
}

static void create_buffer(struct work *w, struct buffer *b, VkMemoryPropertyFlags wanted)
{
	VkDevice device = w->m->device;
	const VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = w->size,
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
	};
	VkMemoryRequirements needs;

	must(vk.CreateBuffer(device, &info, NULL, &b->buffer), "vkCreateBuffer");
	vk.GetBufferMemoryRequirements(device, b->buffer, &needs);
	const VkMemoryAllocateInfo memory = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.allocationSize = needs.size,
		.memoryTypeIndex = memory_type(w->m, needs.memoryTypeBits, wanted),
	};
	must(vk.AllocateMemory(device, &memory, NULL, &b->memory), "vkAllocateMemory");
	must(vk.BindBufferMemory(device, b->buffer, b->memory, 0), "vkBindBufferMemory");
}

static void destroy_buffer(struct work *w, struct buffer *b)
{
	vk.DestroyBuffer(w->m->device, b->buffer, NULL);
	vk.FreeMemory(w->m->device, b->memory, NULL);
}

static uint32_t *map(struct work *w, const struct buffer *b)
{
	void *p = NULL;

	must(vk.MapMemory(w->m->device, b->memory, 0, VK_WHOLE_SIZE, 0, &p), "vkMapMemory");
	return p;
}

/* What a queue is told, and what comes of it */

static void barrier(struct work *w, VkPipelineStageFlags stage, VkAccessFlags access)
{
	const VkMemoryBarrier memory = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
		.dstAccessMask = access,
	};

	vk.CmdPipelineBarrier(w->commands, VK_PIPELINE_STAGE_TRANSFER_BIT, stage, 0, 1, &memory, 0,
			      NULL, 0, NULL);
}

static void record(struct work *w, uint32_t family)
{
	const VkCommandPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.queueFamilyIndex = family,
	};
	const VkCommandBufferBeginInfo begin = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
	};
	const VkBufferCopy whole = { .size = w->size };

	must(vk.CreateCommandPool(w->m->device, &pool, NULL, &w->pool), "vkCreateCommandPool");
	const VkCommandBufferAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = w->pool,
		.commandBufferCount = 1,
	};
	must(vk.AllocateCommandBuffers(w->m->device, &allocate, &w->commands),
	     "vkAllocateCommandBuffers");
	must(vk.BeginCommandBuffer(w->commands, &begin), "vkBeginCommandBuffer");
	vk.CmdCopyBuffer(w->commands, w->from.buffer, w->between.buffer, 1, &whole);
	barrier(w, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
	vk.CmdCopyBuffer(w->commands, w->between.buffer, w->to.buffer, 1, &whole);
	barrier(w, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);
	vk.CmdFillBuffer(w->commands, w->to.buffer, w->size / 4 * 3, w->size / 4, FILLING);
	barrier(w, VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
	must(vk.EndCommandBuffer(w->commands), "vkEndCommandBuffer");
}

static void create_signals(struct work *w)
{
	const VkSemaphoreTypeCreateInfo type = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
	};
	const VkSemaphoreCreateInfo semaphore = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
		.pNext = &type,
	};
	const VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };

	must(vk.CreateSemaphore(w->m->device, &semaphore, NULL, &w->timeline), "vkCreateSemaphore");
	must(vk.CreateFence(w->m->device, &fence, NULL, &w->fence), "vkCreateFence");
}

static void submit(struct work *w, uint64_t point)
{
	const VkTimelineSemaphoreSubmitInfo points = {
		.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
		.signalSemaphoreValueCount = 1,
		.pSignalSemaphoreValues = &point,
	};
	const VkSubmitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.pNext = &points,
		.commandBufferCount = 1,
		.pCommandBuffers = &w->commands,
		.signalSemaphoreCount = 1,
		.pSignalSemaphores = &w->timeline,
	};

	must(vk.QueueSubmit(w->queue, 1, &info, w->fence), "vkQueueSubmit");
}

static void wait_point(struct work *w, uint64_t point)
{
	const VkSemaphoreWaitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
		.semaphoreCount = 1,
		.pSemaphores = &w->timeline,
		.pValues = &point,
	};
	uint64_t reached = 0;

	must(vk.WaitSemaphores(w->m->device, &info, PATIENCE_NS), "vkWaitSemaphores");
	must(vk.GetSemaphoreCounterValue(w->m->device, w->timeline, &reached),
	     "vkGetSemaphoreCounterValue");
	if (reached != point) {
		errx(1, "the timeline is at %ju instead of %ju", (uintmax_t)reached,
		     (uintmax_t)point);
	}
	must(vk.WaitForFences(w->m->device, 1, &w->fence, VK_TRUE, PATIENCE_NS), "vkWaitForFences");
	must(vk.ResetFences(w->m->device, 1, &w->fence), "vkResetFences");
}

/* What the round with this seed leaves in word I: of a copy, the device fills
 * the last quarter. */
static uint32_t expected_word(size_t i, size_t n, uint32_t seed, bool is_copy)
{
	return is_copy && i >= n / 4 * 3 ? FILLING : seed ^ (uint32_t)i;
}

/* How many words are wrong; says which. */
static size_t count_wrong(const char *what, const uint32_t *words, size_t n, uint32_t seed,
			  bool is_copy)
{
	size_t n_wrong = 0, first = 0, last = 0;
	uint32_t found = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t word = ((const volatile uint32_t *)words)[i];

		if (word != expected_word(i, n, seed, is_copy)) {
			last = i;
			if (n_wrong++ == 0) {
				first = i;
				found = word;
			}
		}
	}
	if (n_wrong > 0) {
		warnx("%s: %zu of %zu words are wrong, from %zu to %zu; the first is %#x instead "
		      "of %#x",
		      what, n_wrong, n, first, last, found, expected_word(first, n, seed, is_copy));
	}
	return n_wrong;
}

/* Which of the two is wrong, and if it stays so, tells a write that was lost
 * from a read that came too early. */
static void check_copy(struct work *w, uint32_t seed)
{
	size_t n = (size_t)w->size / 4;
	const uint32_t *to = map(w, &w->to);

	if (count_wrong("copy", to, n, seed, true) > 0) {
		count_wrong("what was copied", map(w, &w->from), n, seed, false);
		sleep(1);
		if (count_wrong("copy, a second later", to, n, seed, true) == 0) {
			warnx("the copy is right a second later");
		}
		exit(1);
	}
	vk.UnmapMemory(w->m->device, w->to.memory);
}

/* The memory is mapped anew each time: what is written while nothing waits
 * has to be there at the submission, and what came of it at the fence. */
static void do_round(struct work *w, uint64_t point)
{
	size_t n = (size_t)w->size / 4;
	uint32_t seed = (uint32_t)point * 0x9e3779b9u;
	uint32_t *words = map(w, &w->from);

	for (size_t i = 0; i < n; i++) {
		words[i] = seed ^ (uint32_t)i;
	}
	vk.UnmapMemory(w->m->device, w->from.memory);
	submit(w, point);
	wait_point(w, point);
	check_copy(w, seed);
}

static void work_queue(const struct machine *m, uint32_t family, uint32_t index, VkDeviceSize size,
		       uint64_t rounds)
{
	const VkMemoryPropertyFlags mapped =
		VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
	struct work w = { .m = m, .size = size };

	vk.GetDeviceQueue(m->device, family, index, &w.queue);
	create_buffer(&w, &w.from, mapped);
	create_buffer(&w, &w.between, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	create_buffer(&w, &w.to, mapped);
	record(&w, family);
	create_signals(&w);
	for (uint64_t point = 1; rounds == 0 || point <= rounds; point++) {
		do_round(&w, point);
		if (point == 1) {
			printf("ready\n");
		}
	}
	printf("queue %u.%u rounds %ju\n", family, index, (uintmax_t)rounds);
	must(vk.DeviceWaitIdle(m->device), "vkDeviceWaitIdle");
	vk.DestroyFence(m->device, w.fence, NULL);
	vk.DestroySemaphore(m->device, w.timeline, NULL);
	vk.DestroyCommandPool(m->device, w.pool, NULL);
	destroy_buffer(&w, &w.from);
	destroy_buffer(&w, &w.between);
	destroy_buffer(&w, &w.to);
}

int main(int argc, char **argv)
{
	struct machine m = { 0 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3 || atoi(argv[1]) <= 0) {
		errx(2, "usage: vkcopy KIB ROUNDS");
	}
	open_instance(&m);
	pick_device(&m);
	open_device(&m);
	for (uint32_t f = 0; f < m.n_families; f++) {
		for (uint32_t q = 0; q < queues_of(&m, f); q++) {
			work_queue(&m, f, q, (VkDeviceSize)atoi(argv[1]) << 10,
				   strtoull(argv[2], NULL, 10));
		}
	}
	vk.DestroyDevice(m.device, NULL);
	vk.DestroyInstance(m.instance, NULL);
	return 0;
}
