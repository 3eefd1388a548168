// SPDX-License-Identifier: Apache-2.0
//
// The software side of the RISC-V IOMMU: creation, mappings, limits. Attachments are in riscv_devices.c,
// formats of page tables in riscv_page_table.c, start-up and command queue in riscv_commands.c.
#include <stdlib.h>

#include "core/arch/riscv/riscv_tables_internal.h"

// ---- creation ------------------------------------------------------------------------------------------

struct iom_riscv_software_settings iom_riscv_software_defaults(enum iom_riscv_software_mode mode)
{
    return (struct iom_riscv_software_settings){.mode = mode,
                                                .first_stage_levels = 4,
                                                .second_stage_levels = 4,
                                                .directory_levels = 3,
                                                .nested_page_log2 = IOM_PAGE_LOG2,
                                                .guest = 1};
}

static bool has_levels(uint16_t modes, unsigned levels)
{
    return levels >= 3 && levels <= 5 && (modes >> (IOM_RISCV_MODE_SV39 + levels - 3) & 1) != 0;
}

static const char *check_processes(const struct iom_riscv_software_settings *s,
                                   const struct iom_riscv_config *config)
{
    enum iom_riscv_capability bit = IOM_RISCV_CAP_PD8_BIT;
    if (s->process_bits == 0)
        return NULL;
    if (s->mode == IOM_RISCV_SOFTWARE_SECOND_STAGE)
        return "processes have first-stage tables, which this mode does not use";
    if (s->process_bits != 8 && s->process_bits != 17 && s->process_bits != 20)
        return "a process directory has 8, 17 or 20 bits";
    if (s->process_bits != 8)
        bit = s->process_bits == 17 ? IOM_RISCV_CAP_PD17_BIT : IOM_RISCV_CAP_PD20_BIT;
    return riscv_has(config, bit) ? NULL : "process directories of this size are not supported";
}

static const char *check_nested(const struct iom_riscv_software_settings *s)
{
    if (s->nested_page_log2 != 12 && s->nested_page_log2 != 21 && s->nested_page_log2 != 30)
        return "pages of the second stage in nested mode have 12, 21 or 30 bits";
    return NULL;
}

const char *iom_riscv_software_check(const struct iom_riscv_software_settings *s,
                                     const struct iom_riscv_config *config)
{
    const char *error = check_processes(s, config);
    if (error == NULL && s->mode == IOM_RISCV_SOFTWARE_NESTED)
        error = check_nested(s);
    if (error != NULL)
        return error;
    if (config->fctl & (IOM_RISCV_FCTL_BE | IOM_RISCV_FCTL_GXL))
        return "tables are little-endian and for 64 bits";
    if (s->mode != IOM_RISCV_SOFTWARE_SECOND_STAGE &&
        !has_levels(config->derived.first_modes[0], s->first_stage_levels))
        return "the first stage does not support this number of levels";
    if (s->mode != IOM_RISCV_SOFTWARE_FIRST_STAGE &&
        !has_levels(config->derived.second_modes[0], s->second_stage_levels))
        return "the second stage does not support this number of levels";
    if (s->directory_levels < 1 || s->directory_levels + IOM_RISCV_BARE > config->max_mode)
        return "the device directory does not support this number of levels";
    if (s->device_tlb && !riscv_has(config, IOM_RISCV_CAP_ATS_BIT))
        return "device TLBs are not supported";
    if (s->hardware_flags && !riscv_has(config, IOM_RISCV_CAP_AMO_HWAD_BIT))
        return "hardware does not set accessed and dirty bits";
    return NULL;
}

static struct iom_page_table second_stage(const struct iom_riscv_software_settings *settings)
{
    return (struct iom_page_table){.format = &riscv_page_format,
                                   .levels = settings->second_stage_levels,
                                   .root_extra_bits = IOM_RISCV_GUEST_BITS,
                                   .clear_flags = settings->hardware_flags};
}

static void init(struct iom_software *software)
{
    const struct iom_riscv_software_settings *settings = &software->settings;
    bool extended = software->config->derived.extended_context;
    software->devices.levels = settings->directory_levels;
    software->devices.leaf_bits = extended ? 6 : 7;
    software->devices.context_log2 = extended ? 6 : 5;
    software->guest = second_stage(settings);

    struct iom_table_domain *initial = &software->domains.initial;
    software->domains.writer = &software->writer;
    software->domains.first_is_mapped = riscv_builds_first(software);
    initial->second = second_stage(settings);
    initial->first.format = &riscv_page_format;
    initial->first.levels = settings->first_stage_levels;
    initial->first.clear_flags = settings->hardware_flags;
    if (riscv_builds_nested(software)) {
        initial->first.backing = &software->guest;
        initial->first.backing_log2 = settings->nested_page_log2;
    }
}

static void destroy(struct iom_software *software)
{
    if (software == NULL)
        return;
    riscv_directory_free(&software->devices, riscv_free_device);
    iom_table_domains_free(&software->domains);
    iom_page_table_free(&software->guest);
    iom_table_writer_free(&software->writer);
    free(software);
}

static bool take_tables(struct iom_software *software)
{
    return riscv_directory_open(software, &software->devices) &&
           iom_table_writer_take(&software->writer, IOM_PAGE_LOG2, &software->fault_base) &&
           (!riscv_builds_nested(software) ||
            iom_page_table_open(&software->writer, &software->guest) == IOM_SOFTWARE_OK);
}

static struct iom_software *create(const struct iom_software_config *config,
                                   const struct iom_software_host *host, const char **error)
{
    const struct iom_riscv_software_settings *settings = config->settings;
    const struct iom_riscv_config *hardware = config->arch->config;
    struct iom_software *software = NULL;
    const char *problem = iom_riscv_software_check(settings, hardware);
    if (problem == NULL) {
        problem = "out of memory";
        software = calloc(1, sizeof *software);
    }
    if (software != NULL) {
        software->writer.host = *host;
        software->settings = *settings;
        software->config = hardware;
        init(software);
        if (take_tables(software))
            return software;
        destroy(software);
    }
    if (error != NULL)
        *error = problem;
    return NULL;
}

// ---- mappings ------------------------------------------------------------------------------------------

static unsigned second_bits(const struct iom_software *software)
{
    return IOM_TABLE_LEVEL_LOG2(software->settings.second_stage_levels + 1u) + IOM_RISCV_GUEST_BITS;
}

struct iom_software_limits riscv_software_limits(const struct iom_software *software)
{
    bool first = riscv_builds_first(software);
    unsigned levels = first ? software->settings.first_stage_levels : software->settings.second_stage_levels;
    struct iom_software_limits result = {.pasid_bits = software->settings.process_bits,
                                         .domains = IOM_TABLE_DOMAINS};
    for (unsigned level = 1; level <= levels; level++)
        result.page_sizes |= UINT64_C(1) << IOM_TABLE_LEVEL_LOG2(level);
    // First-stage addresses are sign-extended: only the lower half counts here.
    result.input_bits = (uint8_t)(first ? IOM_TABLE_LEVEL_LOG2(levels + 1u) - 1u : second_bits(software));
    return result;
}

static enum iom_software_result map(struct iom_software *software, uint32_t domain, uint64_t iova,
                                    uint64_t address, unsigned size_log2, uint8_t permissions,
                                    struct iom_software_change *change)
{
    struct iom_software_limits limits = riscv_software_limits(software);
    uint64_t above = software->config->derived.above_address;
    if (riscv_builds_nested(software))
        above |= iom_align_down(UINT64_MAX, second_bits(software));
    return iom_table_domains_map(&software->domains, &limits, above, domain, iova, address, size_log2,
                                 permissions, change);
}

static enum iom_software_result unmap(struct iom_software *software, uint32_t domain, uint64_t iova,
                                      unsigned size_log2, bool prune, struct iom_software_change *change)
{
    struct iom_software_limits limits = riscv_software_limits(software);
    return iom_table_domains_unmap(&software->domains, &limits, domain, iova, size_log2, prune, change);
}

static bool find(const struct iom_software *software, uint32_t domain, uint64_t iova,
                 struct iom_software_mapping *mapping)
{
    struct iom_software_limits limits = riscv_software_limits(software);
    return iom_table_domains_lookup(&software->domains, &limits, domain, iova, mapping);
}

const struct iom_software_ops iom_riscv_software_ops = {
    .name = "riscv",
    .create = create,
    .destroy = destroy,
    .limits = riscv_software_limits,
    .attach = riscv_attach,
    .detach = riscv_detach,
    .map = map,
    .unmap = unmap,
    .find = find,
    .startup = riscv_startup,
    .attachment = riscv_attachment,
    .set_queue = riscv_set_queue,
    .queue_registers = riscv_queue_registers,
    .doorbell = riscv_doorbell,
    .encode_flush = riscv_encode_flush,
    .encode_sync = riscv_encode_sync,
};
