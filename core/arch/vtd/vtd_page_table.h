// SPDX-License-Identifier: Apache-2.0
//
// Page tables as software keeps them: a shadow tree that turns changes into stores.
//
// Private to the software side (vtd_tables.c). One type serves both stages; nested translation puts a
// second-stage table behind a first-stage one as its `backing`.
#ifndef IOM_CORE_ARCH_VTD_PAGE_TABLE_H
#define IOM_CORE_ARCH_VTD_PAGE_TABLE_H

#include "core/arch/vtd/vtd_formats.h"
#include "core/software.h"

#define VTD_TABLE_ENTRIES 512u

/// The builder's way to its host: stores are counted, the first failure sticks.
struct vtd_writer {
    struct iom_software_host host;
    uint64_t stores;        ///< emitted in the current call
    uint32_t retired;       ///< tables retired in the current call
    bool failed;            ///< host refused a store or a table
    struct vtd_node *spare; ///< unused shadows, linked through child_list
};

struct vtd_node {
    uint64_t address;                          ///< of the 4 KiB table in simulated memory
    uint64_t mapped;                           ///< pages mapped in the subtree
    uint32_t links;                            ///< entries that refer to tables
    uint32_t pages;                            ///< entries that map a page
    struct vtd_node *child_list;               ///< next spare shadow
    struct vtd_node *child[VTD_TABLE_ENTRIES]; ///< table behind an entry, null for pages and holes
    uint64_t entry[VTD_TABLE_ENTRIES];
};

enum vtd_table_format { VTD_FORMAT_FIRST, VTD_FORMAT_SECOND };

struct vtd_page_table {
    enum vtd_table_format format;
    uint8_t levels;
    uint8_t backing_log2;           ///< page size of `backing`
    bool clear_flags;               ///< first stage: leave accessed and dirty for hardware to set
    struct vtd_page_table *backing; ///< second stage that must reach every table and page, or null
    struct vtd_node *root;          ///< null until first used
};

void vtd_writer_store(struct vtd_writer *writer, uint64_t address, uint64_t value);
/// A zeroed table; false if the host has none.
bool vtd_writer_take(struct vtd_writer *writer, unsigned size_log2, uint64_t *address);
void vtd_writer_free(struct vtd_writer *writer);

/// Makes sure that there is a root table.
enum iom_software_result vtd_page_table_open(struct vtd_writer *writer, struct vtd_page_table *table);
void vtd_page_table_free(struct vtd_page_table *table);
/// As in iom_software_ops; page size and width have been checked.
enum iom_software_result vtd_page_table_map(struct vtd_writer *writer, struct vtd_page_table *table,
                                            uint64_t iova, uint64_t address, unsigned size_log2,
                                            uint8_t permissions);
enum iom_software_result vtd_page_table_unmap(struct vtd_writer *writer, struct vtd_page_table *table,
                                              uint64_t iova, unsigned size_log2, bool prune);
bool vtd_page_table_find(const struct vtd_page_table *table, uint64_t iova,
                         struct iom_software_mapping *mapping);

#endif
