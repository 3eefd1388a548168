// SPDX-License-Identifier: Apache-2.0
//
// The software side of VT-d: creation, mappings, start-up registers. Attachments are
// in vtd_devices.c, formats of page tables in vtd_page_table.c, the invalidation queue in vtd_commands.c.
#include <stdlib.h>

#include "core/arch/vtd/vtd_tables_internal.h"

// ---- creation ------------------------------------------------------------------------------------

struct iom_vtd_software_settings iom_vtd_software_defaults(enum iom_vtd_mode mode)
{
    return (struct iom_vtd_software_settings){.mode = mode,
                                              .second_stage_levels = 4,
                                              .first_stage_levels = 4,
                                              .nested_page_log2 = 12,
                                              .pasid_bits = 20};
}

static const char *check_second(const struct iom_vtd_software_settings *s,
                                const struct iom_vtd_config *config)
{
    if (s->second_stage_levels > 5 || !(config->derived.second_levels >> s->second_stage_levels & 1))
        return "the second stage does not support this number of levels";
    return NULL;
}

static const char *check_first(const struct iom_vtd_software_settings *s, const struct iom_vtd_config *config)
{
    if (s->first_stage_levels != 4 && s->first_stage_levels != 5)
        return "first-stage tables have 4 or 5 levels";
    if (s->first_stage_levels == 5 && !IOM_VTD_CAP_FS5LP(config->cap))
        return "5-level first-stage tables are not supported";
    return NULL;
}

static const char *check_scalable(const struct iom_vtd_software_settings *s,
                                  const struct iom_vtd_config *config)
{
    unsigned limit = IOM_VTD_ECAP_PASID(config->ecap) ? (unsigned)IOM_VTD_ECAP_PSS(config->ecap) : 20;
    if (!IOM_VTD_ECAP_SMTS(config->ecap))
        return "scalable mode is not supported";
    if (s->pasid_bits < 6 || s->pasid_bits > limit)
        return "PASIDs have 6 bits up to what the capabilities report";
    if (s->rid_pasid >> s->pasid_bits != 0 || (s->rid_pasid != 0 && !IOM_VTD_ECAP_RPS(config->ecap)))
        return "the PASID of requests without PASID is not possible";
    return NULL;
}

static const char *check_settings(const struct iom_vtd_software_settings *s,
                                  const struct iom_vtd_config *config)
{
    const char *error = s->mode == IOM_VTD_MODE_LEGACY ? NULL : check_scalable(s, config);
    if (error == NULL && s->mode != IOM_VTD_MODE_FIRST_STAGE)
        error = check_second(s, config);
    if (error == NULL && (s->mode == IOM_VTD_MODE_FIRST_STAGE || s->mode == IOM_VTD_MODE_NESTED))
        error = check_first(s, config);
    if (error != NULL)
        return error;
    if (s->mode == IOM_VTD_MODE_SECOND_STAGE && !IOM_VTD_ECAP_SSTS(config->ecap))
        return "second-stage translation is not supported";
    if (s->mode == IOM_VTD_MODE_FIRST_STAGE && !IOM_VTD_ECAP_FSTS(config->ecap))
        return "first-stage translation is not supported";
    if (s->mode == IOM_VTD_MODE_NESTED) {
        unsigned level = (s->nested_page_log2 - 12u) / 9u + 1u;
        if (!IOM_VTD_ECAP_NEST(config->ecap))
            return "nested translation is not supported";
        if (s->nested_page_log2 < 12 || s->nested_page_log2 % 9 != 3 ||
            !(config->derived.second_large >> level & 1))
            return "the second stage does not support this page size";
    }
    if (s->device_tlb && !IOM_VTD_ECAP_DT(config->ecap))
        return "device TLBs are not supported";
    return NULL;
}

static void destroy(struct iom_software *software)
{
    if (software == NULL)
        return;
    for (unsigned bus = 0; bus < VTD_FAN; bus++) {
        for (unsigned i = 0; i < VTD_FAN && software->bus[bus] != NULL; i++) {
            struct vtd_device *device = software->bus[bus]->device[i];
            if (device != NULL)
                free(device->pasid_table);
            free(device);
        }
        free(software->bus[bus]);
    }
    iom_table_domains_free(&software->domains);
    iom_table_writer_free(&software->writer);
    free(software);
}

static void init_domains(struct iom_software *software)
{
    const struct iom_vtd_software_settings *settings = &software->settings;
    struct iom_table_domain *initial = &software->domains.initial;
    software->domains.writer = &software->writer;
    software->domains.first_is_mapped = vtd_has_first(software);
    initial->second.format = &vtd_second_format;
    initial->second.levels = settings->second_stage_levels;
    initial->first.format = &vtd_first_format;
    initial->first.levels = settings->first_stage_levels;
    initial->first.clear_flags = settings->clear_accessed_dirty;
    if (settings->mode == IOM_VTD_MODE_NESTED) {
        initial->first.backing = &initial->second;
        initial->first.backing_log2 = settings->nested_page_log2;
    }
}

static struct iom_software *create(const struct iom_software_config *config,
                                   const struct iom_software_host *host, const char **error)
{
    const struct iom_vtd_software_settings *settings = config->settings;
    const struct iom_vtd_config *hardware = config->arch->config;
    struct iom_software *software = NULL;
    const char *problem = check_settings(settings, hardware);
    if (problem == NULL) {
        problem = "out of memory";
        software = calloc(1, sizeof *software);
    }
    if (software != NULL) {
        software->writer.host = *host;
        software->settings = *settings;
        software->config = hardware;
        init_domains(software);
        if (iom_table_writer_take(&software->writer, IOM_PAGE_LOG2, &software->root_table))
            return software;
        destroy(software);
    }
    if (error != NULL)
        *error = problem;
    return NULL;
}

struct iom_software_limits vtd_software_limits(const struct iom_software *software)
{
    const struct iom_vtd_config *config = software->config;
    bool first = vtd_has_first(software);
    unsigned large = first ? config->derived.first_large : config->derived.second_large;
    struct iom_software_limits result = {.page_sizes = UINT64_C(1) << 12};
    if (large >> 2 & 1)
        result.page_sizes |= UINT64_C(1) << 21;
    if (large >> 3 & 1)
        result.page_sizes |= UINT64_C(1) << 30;
    // First-stage addresses are canonical: only the lower half counts here.
    if (first)
        result.input_bits = (uint8_t)(IOM_VTD_BITS_OF_LEVELS(software->settings.first_stage_levels) - 1);
    else
        result.input_bits = (uint8_t)iom_min_u64(
            config->derived.mgaw_bits, IOM_VTD_BITS_OF_LEVELS(software->settings.second_stage_levels));
    if (vtd_is_scalable(software) && IOM_VTD_ECAP_PASID(config->ecap))
        result.pasid_bits = software->settings.pasid_bits;
    result.domains = UINT32_C(1) << (4 + 2 * IOM_VTD_CAP_ND(config->cap));
    return result;
}

// ---- mappings ------------------------------------------------------------------------------------

static enum iom_software_result map(struct iom_software *software, uint32_t domain, uint64_t iova,
                                    uint64_t address, unsigned size_log2, uint8_t permissions,
                                    struct iom_software_change *change)
{
    struct iom_software_limits limits = vtd_software_limits(software);
    return iom_table_domains_map(&software->domains, &limits, software->config->derived.above_haw, domain,
                                 iova, address, size_log2, permissions, change);
}

static enum iom_software_result unmap(struct iom_software *software, uint32_t domain, uint64_t iova,
                                      unsigned size_log2, bool prune, struct iom_software_change *change)
{
    struct iom_software_limits limits = vtd_software_limits(software);
    return iom_table_domains_unmap(&software->domains, &limits, domain, iova, size_log2, prune, change);
}

static bool find(const struct iom_software *software, uint32_t domain, uint64_t iova,
                 struct iom_software_mapping *mapping)
{
    struct iom_software_limits limits = vtd_software_limits(software);
    return iom_table_domains_lookup(&software->domains, &limits, domain, iova, mapping);
}

// ---- start-up ------------------------------------------------------------------------------------

// A write to the global command register that sets `bit`; `levels` are the bits that must stay as they are.
static struct iom_register_write command(uint32_t bit, uint32_t levels)
{
    return (struct iom_register_write){.offset = IOM_VTD_GCMD,
                                       .bytes = 4,
                                       .value = bit | levels,
                                       .poll_offset = IOM_VTD_GSTS,
                                       .poll_bytes = 4,
                                       .poll_mask = bit,
                                       .poll_value = bit};
}

static size_t startup(const struct iom_software *software, struct iom_register_write *list, size_t capacity)
{
    uint64_t mode = vtd_is_scalable(software) ? IOM_VTD_TTM_SCALABLE : IOM_VTD_TTM_LEGACY;
    struct iom_register_write writes[6];
    size_t count = 0;
    uint32_t levels = 0;
    if (software->queue_log2 != 0) {
        vtd_doorbell(software, 0, &writes[count++]);
        writes[count++] = (struct iom_register_write){
            .offset = IOM_VTD_IQA, .bytes = 8, .value = vtd_queue_address(software)};
        writes[count++] = command(IOM_VTD_GCMD_QIE, levels);
        levels |= IOM_VTD_GCMD_QIE;
    }
    writes[count++] =
        (struct iom_register_write){.offset = IOM_VTD_RTADDR,
                                    .bytes = 8,
                                    .value = software->root_table | mode << IOM_VTD_RTADDR_TTM_SHIFT};
    writes[count++] = command(IOM_VTD_GCMD_SRTP, levels);
    writes[count++] = command(IOM_VTD_GCMD_TE, levels);
    for (size_t i = 0; i < count && i < capacity; i++)
        list[i] = writes[i];
    return count;
}

const struct iom_software_ops iom_vtd_software_ops = {
    .name = "vtd",
    .create = create,
    .destroy = destroy,
    .limits = vtd_software_limits,
    .attach = vtd_attach,
    .detach = vtd_detach,
    .map = map,
    .unmap = unmap,
    .find = find,
    .startup = startup,
    .attachment = vtd_attachment,
    .set_queue = vtd_set_queue,
    .queue_registers = vtd_queue_registers,
    .doorbell = vtd_doorbell,
    .encode_flush = vtd_encode_flush,
    .encode_sync = vtd_encode_sync,
};
