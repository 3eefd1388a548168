// SPDX-License-Identifier: Apache-2.0
//
// What the software side keeps: domains with their page tables, devices with their PASID tables.
//
// Shared by vtd_tables.c (creation, mappings), vtd_devices.c (attachments) and vtd_commands.c (the
// invalidation queue).
#ifndef IOM_CORE_ARCH_VTD_TABLES_INTERNAL_H
#define IOM_CORE_ARCH_VTD_TABLES_INTERNAL_H

#include "core/arch/vtd/vtd.h"
#include "core/arch/vtd/vtd_formats.h"
#include "core/arch/vtd/vtd_tables.h"
#include "core/page_table.h"

#define VTD_FAN 256u ///< 16-bit identifiers are kept in 256 blocks of 256

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
    struct iom_table_writer writer;
    struct iom_vtd_software_settings settings;
    const struct iom_vtd_config *config;
    uint64_t root_table;
    uint64_t queue_base;
    uint8_t queue_log2; ///< log2 of the queue's bytes, 0 = no queue
    struct vtd_bus *bus[VTD_FAN];
    struct iom_table_domains domains;
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

/// Formats of page tables (vtd_page_table.c).
extern const struct iom_page_table_format vtd_first_format, vtd_second_format;

struct iom_software_limits vtd_software_limits(const struct iom_software *software);

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
