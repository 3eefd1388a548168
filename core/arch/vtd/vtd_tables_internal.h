// SPDX-License-Identifier: Apache-2.0
//
// What the software side keeps: domains with their page tables, devices with their PASID tables.
//
// Shared by vtd_tables.c (creation, domains, mappings), vtd_devices.c (attachments) and vtd_commands.c (the
// invalidation queue).
#ifndef IOM_CORE_ARCH_VTD_TABLES_INTERNAL_H
#define IOM_CORE_ARCH_VTD_TABLES_INTERNAL_H

#include "core/arch/vtd/vtd.h"
#include "core/arch/vtd/vtd_page_table.h"
#include "core/arch/vtd/vtd_tables.h"

#define VTD_FAN 256u ///< 16-bit identifiers are kept in 256 blocks of 256

struct vtd_domain {
    struct vtd_page_table second; ///< legacy, second stage, nested
    struct vtd_page_table first;  ///< first stage, nested
};

struct vtd_domain_block {
    struct vtd_domain *domain[VTD_FAN];
};

struct vtd_pasid_table {
    uint64_t address;
    uint64_t present;    ///< bit n: entry n
    uint16_t domain[64]; ///< of the entries present
};

struct vtd_device {
    bool present;                        ///< context entry present
    uint16_t domain;                     ///< of the context entry, legacy mode
    uint32_t attached;                   ///< PASID entries present
    uint64_t directory;                  ///< address of the PASID directory, 0 = none yet
    struct vtd_pasid_table *pasid_table; ///< by directory index, host memory, null until first used
};

struct vtd_bus {
    uint64_t context_table[2]; ///< legacy: [0]; scalable: lower and upper; 0 = none yet
    struct vtd_device *device[VTD_FAN];
};

struct iom_software {
    struct vtd_writer writer;
    struct iom_vtd_software_settings settings;
    const struct iom_vtd_config *config;
    uint64_t root_table;
    uint64_t queue_base;
    uint8_t queue_log2; ///< log2 of the queue's bytes, 0 = no queue
    struct vtd_bus *bus[VTD_FAN];
    struct vtd_domain_block *domains[VTD_FAN];
};

static inline bool vtd_is_scalable(const struct iom_software *software)
{
    return software->settings.mode != IOM_VTD_MODE_LEGACY;
}

static inline bool vtd_has_first(const struct iom_software *software)
{
    return software->settings.mode == IOM_VTD_MODE_FIRST_STAGE ||
           software->settings.mode == IOM_VTD_MODE_NESTED;
}

/// The tables that map() and unmap() change.
static inline struct vtd_page_table *vtd_tables_of(const struct iom_software *software,
                                                   struct vtd_domain *domain)
{
    return vtd_has_first(software) ? &domain->first : &domain->second;
}

struct iom_software_limits vtd_software_limits(const struct iom_software *software);
/// The domain with its top-level table; null when memory is out.
struct vtd_domain *vtd_open_domain(struct iom_software *software, uint32_t id);
void vtd_begin_call(struct iom_software *software);

enum iom_software_result vtd_attach(struct iom_software *software, uint32_t source, uint32_t pasid,
                                    uint32_t domain, enum iom_software_kind kind);
enum iom_software_result vtd_detach(struct iom_software *software, uint32_t source, uint32_t pasid);
bool vtd_attachment(const struct iom_software *software, uint32_t source, uint32_t pasid, uint32_t *domain);

enum iom_software_result vtd_set_queue(struct iom_software *software, uint64_t base, unsigned size_log2);
void vtd_queue_registers(const struct iom_software *software, struct iom_queue_registers *registers);
void vtd_doorbell(const struct iom_software *software, uint32_t tail, struct iom_register_write *write);
enum iom_software_result vtd_encode_flush(const struct iom_software *software, const struct iom_flush *flush,
                                          uint64_t words[IOM_COMMAND_WORDS]);
enum iom_software_result vtd_encode_sync(const struct iom_software *software, const struct iom_sync *sync,
                                         uint64_t words[IOM_COMMAND_WORDS]);
/// What the invalidation queue address register is set to.
uint64_t vtd_queue_address(const struct iom_software *software);

#endif
