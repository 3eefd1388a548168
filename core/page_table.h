// SPDX-License-Identifier: Apache-2.0
//
// Page tables as the software side of an architecture keeps them: a shadow tree that turns changes into
// stores.
//
// What all formats share: tables of 8-byte entries, 9 address bits a level, 4 KiB at the bottom; an entry is
// a page, a link to the next table, or 0. What an entry looks like is the format's. One type serves both
// stages; nested translation puts a second-stage table behind a first-stage one as its `backing`.
//
// Domains (the page tables behind one identifier) and the checks that map and unmap have in common are here
// as well: the builders in core/arch/ differ in formats and in what leads to the tables.
#ifndef IOM_CORE_PAGE_TABLE_H
#define IOM_CORE_PAGE_TABLE_H

#include "core/software.h"

#ifdef __cplusplus
extern "C" {
#endif

#define IOM_TABLE_INDEX_BITS 9u
#define IOM_TABLE_LEVELS 5u
/// log2 of the bytes that an entry of `level` (1 = lowest) covers.
#define IOM_TABLE_LEVEL_LOG2(level) (IOM_PAGE_LOG2 + IOM_TABLE_INDEX_BITS * ((level)-1u))

/// The builder's way to its host: stores are counted, the first failure sticks.
struct iom_table_writer {
    struct iom_software_host host;
    uint64_t stores;              ///< emitted in the current call
    uint32_t retired;             ///< tables retired in the current call
    bool failed;                  ///< host refused a store or a table
    struct iom_table_node *spare; ///< unused shadows, private
};

/// A call begins: counts from 0.
void iom_table_writer_begin(struct iom_table_writer *writer);
void iom_table_writer_store(struct iom_table_writer *writer, uint64_t address, uint64_t value);
/// A zeroed table; false if the host has none.
bool iom_table_writer_take(struct iom_table_writer *writer, unsigned size_log2, uint64_t *address);
void iom_table_writer_free(struct iom_table_writer *writer);

/// What entries look like. `clear_flags`: accessed and dirty are left for hardware to set. No entry that says
/// something is 0.
struct iom_page_table_format {
    uint64_t (*link)(uint64_t address, bool clear_flags);
    uint64_t (*page)(uint64_t address, unsigned level, uint8_t permissions, bool clear_flags);
    uint64_t (*address)(uint64_t entry);    ///< of a page; bits below its size are ignored
    uint8_t (*permissions)(uint64_t entry); ///< of a page
};

struct iom_page_table {
    const struct iom_page_table_format *format;
    uint8_t levels;                 ///< 1 to IOM_TABLE_LEVELS
    uint8_t root_extra_bits;        ///< further index bits of the root, which is that much larger
    uint8_t backing_log2;           ///< page size of `backing`
    bool clear_flags;               ///< see the format
    struct iom_page_table *backing; ///< second stage that must reach every table and page, or null
    struct iom_table_node *root;    ///< null until first used
};

/// Makes sure that there is a root table.
enum iom_software_result iom_page_table_open(struct iom_table_writer *writer, struct iom_page_table *table);
void iom_page_table_free(struct iom_page_table *table);
/// Address of the root table, 0 if there is none.
uint64_t iom_page_table_root(const struct iom_page_table *table);
/// As in iom_software_ops; page size and width have been checked.
enum iom_software_result iom_page_table_map(struct iom_table_writer *writer, struct iom_page_table *table,
                                            uint64_t iova, uint64_t address, unsigned size_log2,
                                            uint8_t permissions);
enum iom_software_result iom_page_table_unmap(struct iom_table_writer *writer, struct iom_page_table *table,
                                              uint64_t iova, unsigned size_log2, bool prune);
bool iom_page_table_find(const struct iom_page_table *table, uint64_t iova,
                         struct iom_software_mapping *mapping);
/// Makes the table map what is not mapped of [first, first + bytes) to itself, with every permission, in
/// pages of 2^size_log2 bytes. REFUSED: it does not reach so far.
enum iom_software_result iom_page_table_identity(struct iom_table_writer *writer,
                                                 struct iom_page_table *table, uint64_t first, uint64_t bytes,
                                                 unsigned size_log2);

// ---- domains -----------------------------------------------------------------------------------------

#define IOM_TABLE_DOMAINS (1u << 16)
#define IOM_TABLE_DOMAIN_BLOCK (1u << 8)

struct iom_table_domain {
    struct iom_page_table second; ///< stages that are not used have no root
    struct iom_page_table first;
};

struct iom_table_domain_block; // private

/// Domains by identifier, made on first use.
struct iom_table_domains {
    struct iom_table_writer *writer;
    struct iom_table_domain initial; ///< what a new one looks like
    bool first_is_mapped;            ///< map and unmap change the first stage, else the second
    struct iom_table_domain_block *block[IOM_TABLE_DOMAINS / IOM_TABLE_DOMAIN_BLOCK];
};

/// Null if it has not been used yet.
struct iom_table_domain *iom_table_domain_find(const struct iom_table_domains *domains, uint32_t id);
/// The domain with the root of the tables that are mapped; null when memory is out.
struct iom_table_domain *iom_table_domain_open(struct iom_table_domains *domains, uint32_t id);
/// The tables that map and unmap change.
struct iom_page_table *iom_table_domain_mapped(const struct iom_table_domains *domains,
                                               struct iom_table_domain *domain);
void iom_table_domains_free(struct iom_table_domains *domains);

/// map, unmap and find of iom_software_ops, within `limits`; `above` holds the address bits that no page may
/// have.
enum iom_software_result iom_table_domains_map(struct iom_table_domains *domains,
                                               const struct iom_software_limits *limits, uint64_t above,
                                               uint32_t domain, uint64_t iova, uint64_t address,
                                               unsigned size_log2, uint8_t permissions,
                                               struct iom_software_change *change);
enum iom_software_result iom_table_domains_unmap(struct iom_table_domains *domains,
                                                 const struct iom_software_limits *limits, uint32_t domain,
                                                 uint64_t iova, unsigned size_log2, bool prune,
                                                 struct iom_software_change *change);
bool iom_table_domains_lookup(const struct iom_table_domains *domains,
                              const struct iom_software_limits *limits, uint32_t domain, uint64_t iova,
                              struct iom_software_mapping *mapping);

#ifdef __cplusplus
}
#endif

#endif
