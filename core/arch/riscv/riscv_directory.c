// SPDX-License-Identifier: Apache-2.0
//
// Device and process directories as software keeps them ("Device-Directory-Table",
// "Process-Directory-Table"): radix trees whose lowest tables hold contexts. Tables stay for the life of the
// builder.
#include <stdlib.h>

#include "core/arch/riscv/riscv_tables_internal.h"

#define ENTRIES 512u
#define INDEX_BITS 9u

struct riscv_directory_node {
    uint64_t address;
    void *item[ENTRIES]; ///< next node; in the lowest table what the caller keeps
};

static struct riscv_directory_node *node_create(struct iom_software *software,
                                                const struct riscv_directory *directory)
{
    struct riscv_directory_node *node = calloc(1, sizeof *node);
    if (node == NULL)
        return NULL;
    if (!iom_table_writer_take(&software->writer, IOM_PAGE_LOG2, &node->address) ||
        (directory->in_guest &&
         iom_page_table_identity(&software->writer, &software->guest, node->address, IOM_PAGE_BYTES,
                                 software->settings.nested_page_log2) != IOM_SOFTWARE_OK)) {
        free(node);
        return NULL;
    }
    return node;
}

bool riscv_directory_open(struct iom_software *software, struct riscv_directory *directory)
{
    if (directory->root == NULL)
        directory->root = node_create(software, directory);
    return directory->root != NULL;
}

uint64_t riscv_directory_root(const struct riscv_directory *directory)
{
    return directory->root != NULL ? directory->root->address : 0;
}

// Index into the table at `level`, 0 = lowest.
static uint32_t index_at(const struct riscv_directory *directory, uint32_t id, unsigned level)
{
    if (level == 0)
        return (uint32_t)iom_low_bits(id, directory->leaf_bits);
    return (uint32_t)iom_low_bits(id >> (directory->leaf_bits + (level - 1) * INDEX_BITS), INDEX_BITS);
}

static struct riscv_place place_in(const struct riscv_directory *directory, struct riscv_directory_node *node,
                                   uint32_t id)
{
    uint32_t index = index_at(directory, id, 0);
    return (struct riscv_place){node->address + ((uint64_t)index << directory->context_log2),
                                &node->item[index]};
}

struct riscv_place riscv_directory_need(struct iom_software *software, struct riscv_directory *directory,
                                        uint32_t id)
{
    const struct riscv_place none = {0, NULL};
    if (!riscv_directory_open(software, directory))
        return none;
    struct riscv_directory_node *node = directory->root;
    for (unsigned level = directory->levels - 1u; level > 0; level--) {
        uint32_t index = index_at(directory, id, level);
        if (node->item[index] == NULL) {
            struct riscv_directory_node *below = node_create(software, directory);
            if (below == NULL)
                return none;
            node->item[index] = below;
            iom_table_writer_store(&software->writer, node->address + index * UINT64_C(8),
                                   below->address >> IOM_PAGE_LOG2 << 10 | IOM_RISCV_VALID);
        }
        node = node->item[index];
    }
    return place_in(directory, node, id);
}

struct riscv_place riscv_directory_find(const struct riscv_directory *directory, uint32_t id)
{
    struct riscv_directory_node *node = directory->root;
    for (unsigned level = directory->levels - 1u; node != NULL && level > 0; level--)
        node = node->item[index_at(directory, id, level)];
    return node != NULL ? place_in(directory, node, id) : (struct riscv_place){0, NULL};
}

static void node_free(struct riscv_directory_node *node, unsigned level, void (*free_item)(void *item))
{
    for (unsigned i = 0; i < ENTRIES; i++) {
        if (node->item[i] == NULL)
            continue;
        if (level > 0)
            node_free(node->item[i], level - 1, free_item);
        else
            free_item(node->item[i]);
    }
    free(node);
}

void riscv_directory_free(struct riscv_directory *directory, void (*free_item)(void *item))
{
    if (directory->root != NULL)
        node_free(directory->root, directory->levels - 1u, free_item);
    directory->root = NULL;
}
