/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/ranges.h"

#include "util/checked.h"

struct range {
	uint64_t offset, size;
};

static int compare_offsets(const void *a, const void *b, void *data G_GNUC_UNUSED)
{
	const struct range *left = a, *right = b;

	return (left->offset > right->offset) - (left->offset < right->offset);
}

static GTree *create_tree(void)
{
	return g_tree_new_full(compare_offsets, NULL, g_free, NULL);
}

void ranges_init(struct ranges *ranges, uint64_t space)
{
	*ranges = (struct ranges){ create_tree(), space };
}

void ranges_finish(struct ranges *ranges)
{
	g_clear_pointer(&ranges->tree, g_tree_destroy);
}

void ranges_clear(struct ranges *ranges)
{
	g_tree_remove_all(ranges->tree);
}

unsigned int ranges_count(const struct ranges *ranges)
{
	return (unsigned int)g_tree_nnodes(ranges->tree);
}

static bool is_free(const struct ranges *ranges, const struct range *range)
{
	GTreeNode *next = g_tree_lower_bound(ranges->tree, range);
	GTreeNode *previous = next != NULL ? g_tree_node_previous(next) :
					     g_tree_node_last(ranges->tree);

	if (next != NULL) {
		const struct range *after = g_tree_node_key(next);

		if (after->offset - range->offset < range->size) {
			return false;
		}
	}
	if (previous != NULL) {
		const struct range *before = g_tree_node_key(previous);

		return range->offset - before->offset >= before->size;
	}
	return true;
}

bool ranges_take(struct ranges *ranges, uint64_t offset, uint64_t size)
{
	const struct range range = { offset, size };

	if (size == 0 || !checked_range(offset, size, ranges->space) || !is_free(ranges, &range)) {
		return false;
	}
	g_tree_insert(ranges->tree, g_memdup2(&range, sizeof(range)), NULL);
	return true;
}

bool ranges_give_back(struct ranges *ranges, uint64_t offset, uint64_t size)
{
	const struct range wanted = { offset, size };
	GTreeNode *node = g_tree_lookup_node(ranges->tree, &wanted);

	if (node == NULL || ((const struct range *)g_tree_node_key(node))->size != size) {
		return false;
	}
	g_tree_remove(ranges->tree, &wanted);
	return true;
}
