// SPDX-License-Identifier: Apache-2.0
//
// Building and changing page tables, whatever their format. See page_table.h.
//
// Order of stores: a new table is linked before its first entry is written (it holds zeros, so a walk
// in between finds "not present"); an entry is one 8-byte store.
#include "core/page_table.h"

#include <stdlib.h>
#include <string.h>

struct slot {
    uint64_t entry;
    struct iom_table_node *child; ///< table behind the entry, null for pages and holes
};

struct iom_table_node {
    uint64_t address;             ///< of the table in simulated memory
    uint64_t mapped;              ///< pages mapped in the subtree
    uint32_t links;               ///< entries that refer to tables
    uint32_t slots;               ///< a power of two
    struct iom_table_node *spare; ///< next spare shadow
    struct slot slot[];
};

// ---- writer --------------------------------------------------------------------------------------

void iom_table_writer_begin(struct iom_table_writer *writer)
{
    writer->stores = 0;
    writer->retired = 0;
}

void iom_table_writer_store(struct iom_table_writer *writer, uint64_t address, uint64_t value)
{
    struct iom_store store = {.address = address, .value = value, .bytes = 8};
    if (writer->failed)
        return;
    writer->stores++;
    writer->failed = !writer->host.store(writer->host.context, &store);
}

bool iom_table_writer_take(struct iom_table_writer *writer, unsigned size_log2, uint64_t *address)
{
    if (!writer->failed)
        writer->failed = !writer->host.take_table(writer->host.context, size_log2, address);
    return !writer->failed;
}

void iom_table_writer_free(struct iom_table_writer *writer)
{
    while (writer->spare != NULL) {
        struct iom_table_node *node = writer->spare;
        writer->spare = node->spare;
        free(node);
    }
}

// ---- nodes ---------------------------------------------------------------------------------------

static enum iom_software_result back(struct iom_table_writer *writer, const struct iom_page_table *table,
                                     uint64_t first, uint64_t bytes)
{
    if (table->backing == NULL)
        return IOM_SOFTWARE_OK;
    return iom_page_table_identity(writer, table->backing, first, bytes, table->backing_log2);
}

// Shadows of tables below the root are used again; roots live as long as their table.
static struct iom_table_node *take_shadow(struct iom_table_writer *writer, uint32_t slots)
{
    struct iom_table_node *node = slots == 1u << IOM_TABLE_INDEX_BITS ? writer->spare : NULL;
    size_t bytes = sizeof *node + slots * sizeof node->slot[0];
    if (node != NULL)
        writer->spare = node->spare;
    else
        node = malloc(bytes);
    if (node == NULL) {
        writer->failed = true;
        return NULL;
    }
    memset(node, 0, bytes);
    node->slots = slots;
    return node;
}

static struct iom_table_node *node_create(struct iom_table_writer *writer, const struct iom_page_table *table,
                                          unsigned extra_bits)
{
    struct iom_table_node *node = take_shadow(writer, 1u << (IOM_TABLE_INDEX_BITS + extra_bits));
    if (node == NULL)
        return NULL;
    if (!iom_table_writer_take(writer, IOM_PAGE_LOG2 + extra_bits, &node->address) ||
        back(writer, table, node->address, IOM_PAGE_BYTES << extra_bits) != IOM_SOFTWARE_OK) {
        free(node);
        return NULL;
    }
    return node;
}

static void set_entry(struct iom_table_writer *writer, struct iom_table_node *node, uint32_t index,
                      uint64_t value)
{
    node->slot[index].entry = value;
    iom_table_writer_store(writer, node->address + index * UINT64_C(8), value);
}

// Retires a table that is not linked any more, and the empty tables below it.
static void node_retire(struct iom_table_writer *writer, struct iom_table_node *node)
{
    assert(node->mapped == 0);
    for (uint32_t i = 0; i < node->slots && node->links != 0; i++) {
        if (node->slot[i].child == NULL)
            continue;
        set_entry(writer, node, i, 0);
        node->links--;
        node_retire(writer, node->slot[i].child);
        node->slot[i].child = NULL;
    }
    writer->retired++;
    if (writer->host.retire != NULL)
        writer->host.retire(writer->host.context, node->address);
    node->spare = writer->spare;
    writer->spare = node;
}

static void node_free(struct iom_table_node *node)
{
    if (node == NULL)
        return;
    for (uint32_t i = 0; i < node->slots && node->links != 0; i++) {
        if (node->slot[i].child != NULL) {
            node_free(node->slot[i].child);
            node->links--;
        }
    }
    free(node);
}

enum iom_software_result iom_page_table_open(struct iom_table_writer *writer, struct iom_page_table *table)
{
    if (table->root == NULL)
        table->root = node_create(writer, table, table->root_extra_bits);
    return table->root == NULL ? IOM_SOFTWARE_NO_MEMORY : IOM_SOFTWARE_OK;
}

void iom_page_table_free(struct iom_page_table *table)
{
    node_free(table->root);
    table->root = NULL;
}

uint64_t iom_page_table_root(const struct iom_page_table *table)
{
    return table->root != NULL ? table->root->address : 0;
}

// ---- mapping -------------------------------------------------------------------------------------

static uint32_t index_of(const struct iom_table_node *node, uint64_t iova, unsigned level)
{
    return (uint32_t)(iova >> IOM_TABLE_LEVEL_LOG2(level)) & (node->slots - 1);
}

static unsigned level_of(unsigned size_log2)
{
    return (size_log2 - IOM_PAGE_LOG2) / IOM_TABLE_INDEX_BITS + 1u;
}

// The tables from the root down to the level of a page, deepest last; stops where there is no table.
struct path {
    struct iom_table_node *node[IOM_TABLE_LEVELS + 1]; ///< by level
    unsigned lowest;                                   ///< level of the deepest node found
};

static struct slot *slot_at(const struct path *path, uint64_t iova, unsigned level)
{
    struct iom_table_node *node = path->node[level];
    return &node->slot[index_of(node, iova, level)];
}

static void find_path(const struct iom_page_table *table, uint64_t iova, unsigned level, struct path *path)
{
    path->lowest = table->levels;
    path->node[table->levels] = table->root;
    while (path->lowest > level) {
        struct iom_table_node *next = slot_at(path, iova, path->lowest)->child;
        if (next == NULL)
            break;
        path->node[--path->lowest] = next;
    }
}

static bool extend_path(struct iom_table_writer *writer, const struct iom_page_table *table, uint64_t iova,
                        unsigned level, struct path *path)
{
    while (path->lowest > level) {
        struct iom_table_node *above = path->node[path->lowest];
        uint32_t index = index_of(above, iova, path->lowest);
        struct iom_table_node *node = node_create(writer, table, 0);
        if (node == NULL)
            return false;
        above->slot[index].child = node;
        above->links++;
        set_entry(writer, above, index, table->format->link(node->address, table->clear_flags));
        path->node[--path->lowest] = node;
    }
    return true;
}

static void count_pages(const struct iom_page_table *table, struct path *path, unsigned level, bool added)
{
    for (unsigned l = level; l <= table->levels; l++)
        path->node[l]->mapped += added ? 1 : UINT64_MAX;
}

enum iom_software_result iom_page_table_map(struct iom_table_writer *writer, struct iom_page_table *table,
                                            uint64_t iova, uint64_t address, unsigned size_log2,
                                            uint8_t permissions)
{
    unsigned level = level_of(size_log2);
    struct path path;
    if (iom_page_table_open(writer, table) != IOM_SOFTWARE_OK)
        return IOM_SOFTWARE_NO_MEMORY;

    find_path(table, iova, level, &path);
    const struct slot *deepest = slot_at(&path, iova, path.lowest);
    struct iom_table_node *replaced = path.lowest == level ? deepest->child : NULL;
    if (replaced != NULL ? replaced->mapped != 0 : deepest->entry != 0)
        return IOM_SOFTWARE_ALREADY;
    if (back(writer, table, address, UINT64_C(1) << size_log2) != IOM_SOFTWARE_OK ||
        !extend_path(writer, table, iova, level, &path))
        return IOM_SOFTWARE_NO_MEMORY;

    struct iom_table_node *node = path.node[level];
    set_entry(writer, node, index_of(node, iova, level),
              table->format->page(address, level, permissions, table->clear_flags));
    count_pages(table, &path, level, true);
    if (replaced != NULL) {
        slot_at(&path, iova, level)->child = NULL;
        node->links--;
        node_retire(writer, replaced);
    }
    return writer->failed ? IOM_SOFTWARE_NO_MEMORY : IOM_SOFTWARE_OK;
}

enum iom_software_result iom_page_table_identity(struct iom_table_writer *writer,
                                                 struct iom_page_table *table, uint64_t first, uint64_t bytes,
                                                 unsigned size_log2)
{
    uint64_t step = UINT64_C(1) << size_log2;
    if ((first + bytes - 1) >> (IOM_TABLE_LEVEL_LOG2(table->levels + 1u) + table->root_extra_bits) != 0)
        return IOM_SOFTWARE_REFUSED;
    for (uint64_t page = iom_align_down(first, size_log2); page < first + bytes; page += step) {
        enum iom_software_result result = iom_page_table_map(writer, table, page, page, size_log2,
                                                             IOM_PERM_READ | IOM_PERM_WRITE | IOM_PERM_EXEC);
        if (result == IOM_SOFTWARE_NO_MEMORY)
            return result;
    }
    return IOM_SOFTWARE_OK;
}

enum iom_software_result iom_page_table_unmap(struct iom_table_writer *writer, struct iom_page_table *table,
                                              uint64_t iova, unsigned size_log2, bool prune)
{
    unsigned level = level_of(size_log2);
    struct path path;
    if (table->root == NULL)
        return IOM_SOFTWARE_NOT_MAPPED;
    find_path(table, iova, level, &path);
    if (path.lowest != level)
        return IOM_SOFTWARE_NOT_MAPPED;
    const struct slot *slot = slot_at(&path, iova, level);
    if (slot->child != NULL || slot->entry == 0)
        return IOM_SOFTWARE_NOT_MAPPED;

    set_entry(writer, path.node[level], index_of(path.node[level], iova, level), 0);
    count_pages(table, &path, level, false);
    // Unlink from below; the root stays.
    for (unsigned l = level; prune && l < table->levels && path.node[l]->mapped == 0; l++) {
        struct iom_table_node *above = path.node[l + 1];
        uint32_t at = index_of(above, iova, l + 1);
        set_entry(writer, above, at, 0);
        above->slot[at].child = NULL;
        above->links--;
        node_retire(writer, path.node[l]);
    }
    return writer->failed ? IOM_SOFTWARE_NO_MEMORY : IOM_SOFTWARE_OK;
}

bool iom_page_table_find(const struct iom_page_table *table, uint64_t iova,
                         struct iom_software_mapping *mapping)
{
    struct path path;
    if (table->root == NULL)
        return false;
    find_path(table, iova, 1, &path);
    uint64_t entry = slot_at(&path, iova, path.lowest)->entry;
    if (entry == 0)
        return false;
    mapping->size_log2 = (uint8_t)IOM_TABLE_LEVEL_LOG2(path.lowest);
    mapping->output = iom_align_down(table->format->address(entry), mapping->size_log2);
    mapping->permissions = table->format->permissions(entry);
    return true;
}
