// SPDX-License-Identifier: Apache-2.0
//
// Building and changing page tables of both stages (formats: VT-d Rev. 4.1, 9.8 and 9.9).
//
// Order of stores: a new table is linked before its first entry is written (it holds zeros, so a walk
// in between finds "not present"); an entry is one 8-byte store.
#include "core/arch/vtd/vtd_page_table.h"

#include <stdlib.h>
#include <string.h>

// ---- writer --------------------------------------------------------------------------------------

void vtd_writer_store(struct vtd_writer *writer, uint64_t address, uint64_t value)
{
    struct iom_store store = {.address = address, .value = value, .bytes = 8};
    if (writer->failed)
        return;
    writer->stores++;
    writer->failed = !writer->host.store(writer->host.context, &store);
}

bool vtd_writer_take(struct vtd_writer *writer, unsigned size_log2, uint64_t *address)
{
    if (!writer->failed)
        writer->failed = !writer->host.take_table(writer->host.context, size_log2, address);
    return !writer->failed;
}

void vtd_writer_free(struct vtd_writer *writer)
{
    while (writer->spare != NULL) {
        struct vtd_node *node = writer->spare;
        writer->spare = node->child_list;
        free(node);
    }
}

// ---- nodes ---------------------------------------------------------------------------------------

static enum iom_software_result back(struct vtd_writer *writer, const struct vtd_page_table *table,
                                     uint64_t first, uint64_t bytes);

static struct vtd_node *node_create(struct vtd_writer *writer, const struct vtd_page_table *table)
{
    struct vtd_node *node = writer->spare;
    if (node != NULL)
        writer->spare = node->child_list;
    else
        node = malloc(sizeof *node);
    if (node == NULL) {
        writer->failed = true;
        return NULL;
    }
    memset(node, 0, sizeof *node);
    if (!vtd_writer_take(writer, IOM_PAGE_LOG2, &node->address) ||
        back(writer, table, node->address, IOM_PAGE_BYTES) != IOM_SOFTWARE_OK) {
        free(node);
        return NULL;
    }
    return node;
}

static void set_entry(struct vtd_writer *writer, struct vtd_node *node, unsigned index, uint64_t value)
{
    node->entry[index] = value;
    vtd_writer_store(writer, node->address + index * UINT64_C(8), value);
}

// Retires a table that is not linked any more, and the empty tables below it.
static void node_retire(struct vtd_writer *writer, struct vtd_node *node)
{
    assert(node->mapped == 0);
    for (unsigned i = 0; i < VTD_TABLE_ENTRIES && node->links != 0; i++) {
        if (node->child[i] == NULL)
            continue;
        set_entry(writer, node, i, 0);
        node->links--;
        node_retire(writer, node->child[i]);
        node->child[i] = NULL;
    }
    writer->retired++;
    if (writer->host.retire != NULL)
        writer->host.retire(writer->host.context, node->address);
    node->child_list = writer->spare;
    writer->spare = node;
}

static void node_free(struct vtd_node *node)
{
    if (node == NULL)
        return;
    for (unsigned i = 0; i < VTD_TABLE_ENTRIES && node->links != 0; i++) {
        if (node->child[i] != NULL) {
            node_free(node->child[i]);
            node->links--;
        }
    }
    free(node);
}

enum iom_software_result vtd_page_table_open(struct vtd_writer *writer, struct vtd_page_table *table)
{
    if (table->root == NULL)
        table->root = node_create(writer, table);
    return table->root == NULL ? IOM_SOFTWARE_NO_MEMORY : IOM_SOFTWARE_OK;
}

void vtd_page_table_free(struct vtd_page_table *table)
{
    node_free(table->root);
    table->root = NULL;
}

// ---- entries -------------------------------------------------------------------------------------

static uint64_t link_entry(const struct vtd_page_table *table, uint64_t address)
{
    if (table->format == VTD_FORMAT_SECOND)
        return address | IOM_VTD_SS_READ | IOM_VTD_SS_WRITE;
    return address | IOM_VTD_FS_PRESENT | IOM_VTD_FS_WRITE | IOM_VTD_FS_USER |
           (table->clear_flags ? 0 : IOM_VTD_FS_ACCESSED);
}

static uint64_t first_page_entry(const struct vtd_page_table *table, uint64_t address, unsigned level,
                                 uint8_t permissions)
{
    uint64_t entry = address | IOM_VTD_FS_PRESENT | IOM_VTD_FS_USER;
    if (permissions & IOM_PERM_WRITE)
        entry |= IOM_VTD_FS_WRITE | (table->clear_flags ? 0 : IOM_VTD_FS_DIRTY);
    if (!(permissions & IOM_PERM_EXEC))
        entry |= IOM_VTD_FS_NO_EXECUTE;
    if (!table->clear_flags)
        entry |= IOM_VTD_FS_ACCESSED;
    return level > 1 ? entry | IOM_VTD_FS_LARGE : entry;
}

static uint64_t page_entry(const struct vtd_page_table *table, uint64_t address, unsigned level,
                           uint8_t permissions)
{
    if (table->format == VTD_FORMAT_FIRST)
        return first_page_entry(table, address, level, permissions);
    uint64_t entry = address;
    if (permissions & IOM_PERM_READ)
        entry |= IOM_VTD_SS_READ;
    if (permissions & IOM_PERM_WRITE)
        entry |= IOM_VTD_SS_WRITE;
    return level > 1 ? entry | IOM_VTD_SS_LARGE : entry;
}

static uint8_t entry_permissions(const struct vtd_page_table *table, uint64_t entry)
{
    unsigned permissions = 0;
    if (table->format == VTD_FORMAT_SECOND) {
        permissions |= entry & IOM_VTD_SS_READ ? IOM_PERM_READ : 0u;
        permissions |= entry & IOM_VTD_SS_WRITE ? IOM_PERM_WRITE : 0u;
    } else {
        permissions |= IOM_PERM_READ;
        permissions |= entry & IOM_VTD_FS_WRITE ? IOM_PERM_WRITE : 0u;
        permissions |= entry & IOM_VTD_FS_NO_EXECUTE ? 0u : IOM_PERM_EXEC;
    }
    return (uint8_t)permissions;
}

static unsigned index_of(uint64_t iova, unsigned level)
{
    return (unsigned)iom_bits(iova, IOM_VTD_LEVEL_SHIFT(level) + 8u, IOM_VTD_LEVEL_SHIFT(level));
}

static unsigned level_of(unsigned size_log2)
{
    return (size_log2 - 12u) / 9u + 1u;
}

// ---- mapping -------------------------------------------------------------------------------------

// The tables from the root down to the level of a page, deepest last; stops where there is no table.
struct path {
    struct vtd_node *node[IOM_PSC_LEVELS]; ///< by level
    unsigned lowest;                       ///< level of the deepest node found
};

static void find_path(const struct vtd_page_table *table, uint64_t iova, unsigned level, struct path *path)
{
    path->lowest = table->levels;
    path->node[table->levels] = table->root;
    while (path->lowest > level) {
        struct vtd_node *next = path->node[path->lowest]->child[index_of(iova, path->lowest)];
        if (next == NULL)
            break;
        path->node[--path->lowest] = next;
    }
}

static bool extend_path(struct vtd_writer *writer, const struct vtd_page_table *table, uint64_t iova,
                        unsigned level, struct path *path)
{
    while (path->lowest > level) {
        struct vtd_node *above = path->node[path->lowest];
        unsigned index = index_of(iova, path->lowest);
        struct vtd_node *node = node_create(writer, table);
        if (node == NULL)
            return false;
        above->child[index] = node;
        above->links++;
        set_entry(writer, above, index, link_entry(table, node->address));
        path->node[--path->lowest] = node;
    }
    return true;
}

static void count_pages(const struct vtd_page_table *table, struct path *path, unsigned level, bool added)
{
    for (unsigned l = level; l <= table->levels; l++)
        path->node[l]->mapped += added ? 1 : UINT64_MAX;
    path->node[level]->pages += added ? 1 : UINT32_MAX;
}

enum iom_software_result vtd_page_table_map(struct vtd_writer *writer, struct vtd_page_table *table,
                                            uint64_t iova, uint64_t address, unsigned size_log2,
                                            uint8_t permissions)
{
    unsigned level = level_of(size_log2);
    unsigned index = index_of(iova, level);
    struct path path;
    if (vtd_page_table_open(writer, table) != IOM_SOFTWARE_OK)
        return IOM_SOFTWARE_NO_MEMORY;

    find_path(table, iova, level, &path);
    struct vtd_node *deepest = path.node[path.lowest];
    unsigned deepest_index = index_of(iova, path.lowest);
    struct vtd_node *replaced = path.lowest == level ? deepest->child[index] : NULL;
    if (replaced != NULL ? replaced->mapped != 0 : deepest->entry[deepest_index] != 0)
        return IOM_SOFTWARE_ALREADY;
    if (back(writer, table, address, UINT64_C(1) << size_log2) != IOM_SOFTWARE_OK ||
        !extend_path(writer, table, iova, level, &path))
        return IOM_SOFTWARE_NO_MEMORY;

    struct vtd_node *node = path.node[level];
    set_entry(writer, node, index, page_entry(table, address, level, permissions));
    count_pages(table, &path, level, true);
    if (replaced != NULL) {
        node->child[index] = NULL;
        node->links--;
        node_retire(writer, replaced);
    }
    return writer->failed ? IOM_SOFTWARE_NO_MEMORY : IOM_SOFTWARE_OK;
}

// Makes the backing stage map [first, first + bytes) to itself.
static enum iom_software_result back(struct vtd_writer *writer, const struct vtd_page_table *table,
                                     uint64_t first, uint64_t bytes)
{
    if (table->backing == NULL)
        return IOM_SOFTWARE_OK;
    uint64_t step = UINT64_C(1) << table->backing_log2;
    for (uint64_t page = iom_align_down(first, table->backing_log2); page < first + bytes; page += step) {
        enum iom_software_result result = vtd_page_table_map(
            writer, table->backing, page, page, table->backing_log2, IOM_PERM_READ | IOM_PERM_WRITE);
        if (result == IOM_SOFTWARE_NO_MEMORY)
            return result;
    }
    return IOM_SOFTWARE_OK;
}

enum iom_software_result vtd_page_table_unmap(struct vtd_writer *writer, struct vtd_page_table *table,
                                              uint64_t iova, unsigned size_log2, bool prune)
{
    unsigned level = level_of(size_log2);
    unsigned index = index_of(iova, level);
    struct path path;
    if (table->root == NULL)
        return IOM_SOFTWARE_NOT_MAPPED;
    find_path(table, iova, level, &path);
    if (path.lowest != level || path.node[level]->child[index] != NULL || path.node[level]->entry[index] == 0)
        return IOM_SOFTWARE_NOT_MAPPED;

    set_entry(writer, path.node[level], index, 0);
    count_pages(table, &path, level, false);
    // Unlink from below; the root stays.
    for (unsigned l = level; prune && l < table->levels && path.node[l]->mapped == 0; l++) {
        struct vtd_node *above = path.node[l + 1];
        unsigned at = index_of(iova, l + 1);
        set_entry(writer, above, at, 0);
        above->child[at] = NULL;
        above->links--;
        node_retire(writer, path.node[l]);
    }
    return writer->failed ? IOM_SOFTWARE_NO_MEMORY : IOM_SOFTWARE_OK;
}

bool vtd_page_table_find(const struct vtd_page_table *table, uint64_t iova,
                         struct iom_software_mapping *mapping)
{
    struct path path;
    if (table->root == NULL)
        return false;
    find_path(table, iova, 1, &path);
    uint64_t entry = path.node[path.lowest]->entry[index_of(iova, path.lowest)];
    if (entry == 0)
        return false;
    mapping->size_log2 = (uint8_t)IOM_VTD_LEVEL_SHIFT(path.lowest);
    mapping->output = iom_align_down(entry & IOM_VTD_PAGE_ADDRESS, mapping->size_log2);
    mapping->permissions = entry_permissions(table, entry);
    return true;
}
