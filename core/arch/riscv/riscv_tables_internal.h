// SPDX-License-Identifier: Apache-2.0
//
// What the software side keeps: domains with their page tables, the device directory, process directories.
//
// Shared by riscv_tables.c (creation, mappings, start-up), riscv_devices.c (attachments), riscv_directory.c
// (directories) and riscv_commands.c (the command queue).
#ifndef IOM_CORE_ARCH_RISCV_TABLES_INTERNAL_H
#define IOM_CORE_ARCH_RISCV_TABLES_INTERNAL_H

#include "core/arch/riscv/riscv_state.h"
#include "core/arch/riscv/riscv_tables.h"
#include "core/page_table.h"

/// Format of page tables of both stages (riscv_page_table.c).
extern const struct iom_page_table_format riscv_page_format;

// ---- directories -----------------------------------------------------------------------------------------

struct riscv_directory_node; // private to riscv_directory.c

/// Device or process directory: tables of 4 KiB, 9 index bits each, but for the lowest, which holds contexts.
struct riscv_directory {
    uint8_t levels;
    uint8_t leaf_bits;    ///< index bits of the lowest table
    uint8_t context_log2; ///< size of a context
    bool in_guest;        ///< nested: its tables have guest addresses
    struct riscv_directory_node *root;
};

/// A context in its table, and what software keeps beside it.
struct riscv_place {
    uint64_t address; ///< 0: there is no such table
    void **item;
};

/// Makes sure that there is a root table; its address.
bool riscv_directory_open(struct iom_software *software, struct riscv_directory *directory);
uint64_t riscv_directory_root(const struct riscv_directory *directory);
/// The place of `id`. Tables on the way to it are made and linked; address 0 when memory is out.
struct riscv_place riscv_directory_need(struct iom_software *software, struct riscv_directory *directory,
                                        uint32_t id);
/// The place of `id` if its table is there.
struct riscv_place riscv_directory_find(const struct riscv_directory *directory, uint32_t id);
void riscv_directory_free(struct riscv_directory *directory, void (*free_item)(void *item));

// ---- devices ---------------------------------------------------------------------------------------------

/// What a context refers to.
struct riscv_binding {
    bool present;
    uint32_t domain;
};

struct riscv_device {
    struct riscv_binding own;         ///< of the device context, without process directories
    struct riscv_directory processes; ///< items: struct riscv_binding
    uint32_t attached;                ///< contexts present
};

struct iom_software {
    struct iom_table_writer writer;
    struct iom_riscv_software_settings settings;
    const struct iom_riscv_config *config;
    struct riscv_directory devices; ///< items: struct riscv_device
    struct iom_table_domains domains;
    struct iom_page_table guest; ///< nested: the second stage
    uint64_t queue_base, fault_base;
    uint8_t queue_log2; ///< log2 of the command queue's bytes, 0 = none
};

static inline bool riscv_builds_first(const struct iom_software *software)
{
    return software->settings.mode != IOM_RISCV_SOFTWARE_SECOND_STAGE;
}

static inline bool riscv_builds_nested(const struct iom_software *software)
{
    return software->settings.mode == IOM_RISCV_SOFTWARE_NESTED;
}

/// iosatp, iohgatp: the table with its MODE.
static inline uint64_t riscv_table_pointer(const struct iom_page_table *table)
{
    uint64_t mode = table->levels + (uint64_t)IOM_RISCV_MODE_SV39 - 3;
    return mode << 60 | iom_page_table_root(table) >> IOM_PAGE_LOG2;
}

/// Device ids that the directory holds.
uint32_t riscv_device_bits(const struct iom_software *software);
struct iom_software_limits riscv_software_limits(const struct iom_software *software);
/// A device directory's item goes.
void riscv_free_device(void *item);

enum iom_software_result riscv_attach(struct iom_software *software, uint32_t source, uint32_t pasid,
                                      uint32_t domain, enum iom_software_kind kind);
enum iom_software_result riscv_detach(struct iom_software *software, uint32_t source, uint32_t pasid);
bool riscv_attachment(const struct iom_software *software, uint32_t source, uint32_t pasid, uint32_t *domain);

enum iom_software_result riscv_set_queue(struct iom_software *software, uint64_t base, unsigned size_log2);
void riscv_queue_registers(const struct iom_software *software, struct iom_queue_registers *registers);
void riscv_doorbell(const struct iom_software *software, uint32_t tail, struct iom_register_write *write);
enum iom_software_result riscv_encode_flush(const struct iom_software *software,
                                            const struct iom_flush *flush, uint64_t words[IOM_COMMAND_WORDS]);
enum iom_software_result riscv_encode_sync(const struct iom_software *software, const struct iom_sync *sync,
                                           uint64_t words[IOM_COMMAND_WORDS]);
size_t riscv_startup(const struct iom_software *software, struct iom_register_write *list, size_t capacity);

#endif
