// SPDX-License-Identifier: Apache-2.0
//
// Attaching devices and PASIDs: context tables, PASID directories, PASID tables (VT-d Rev. 4.1, 9.1
// to 9.6).
//
// An entry is complete before its present bit is set, and the present bit goes first when it is
// cleared; a PASID-table entry is in place before the context entry that leads to it.
#include <stdlib.h>

#include "core/arch/vtd/vtd_tables_internal.h"

static unsigned directory_size(const struct iom_software *software) // as coded in PDTS
{
    return software->settings.pasid_bits > 13 ? software->settings.pasid_bits - 13u : 0;
}

// ---- devices -------------------------------------------------------------------------------------

static struct vtd_device *find_device(const struct iom_software *software, uint32_t source)
{
    const struct vtd_bus *bus = source < VTD_FAN * VTD_FAN ? software->bus[source / VTD_FAN] : NULL;
    return bus != NULL ? bus->device[source % VTD_FAN] : NULL;
}

static struct vtd_device *need_device(struct iom_software *software, uint32_t source)
{
    struct vtd_bus **bus = &software->bus[source / VTD_FAN];
    if (*bus == NULL)
        *bus = calloc(1, sizeof **bus);
    if (*bus == NULL)
        return NULL;
    struct vtd_device **slot = &(*bus)->device[source % VTD_FAN];
    if (*slot == NULL)
        *slot = calloc(1, sizeof **slot);
    return *slot;
}

// Address of a device's context entry; its table is created and linked when `create` is set.
// 0: none (no table may lie there, the root table comes first).
static uint64_t context_entry_at(struct iom_software *software, uint32_t source, bool create_table)
{
    bool scalable = vtd_is_scalable(software);
    unsigned half = scalable ? source >> 7 & 1 : 0;
    uint64_t *table = &software->bus[source / VTD_FAN]->context_table[half];
    if (*table == 0 && create_table) {
        if (!iom_table_writer_take(&software->writer, IOM_PAGE_LOG2, table))
            return 0;
        iom_table_writer_store(&software->writer,
                               software->root_table + (source / VTD_FAN) * UINT64_C(16) + half * UINT64_C(8),
                               *table | IOM_VTD_PRESENT);
    }
    if (*table == 0)
        return 0;
    return scalable ? *table + (source & 0x7f) * UINT64_C(32) : *table + (source & 0xff) * UINT64_C(16);
}

static uint64_t address_width_code(const struct iom_software *software)
{
    return software->settings.second_stage_levels - 2u;
}

static enum iom_software_result attach_legacy(struct iom_software *software, struct vtd_device *device,
                                              uint32_t source, uint32_t domain, enum iom_software_kind kind)
{
    struct iom_table_domain *owner = NULL;
    uint64_t type = software->settings.device_tlb ? IOM_VTD_TT_ALL : IOM_VTD_TT_UNTRANSLATED;
    uint64_t low = IOM_VTD_PRESENT;
    if (kind == IOM_SOFTWARE_BYPASS) {
        type = IOM_VTD_TT_PASS_THROUGH;
    } else {
        owner = iom_table_domain_open(&software->domains, domain);
        if (owner == NULL)
            return IOM_SOFTWARE_NO_MEMORY;
        low |= iom_page_table_root(&owner->second);
    }
    uint64_t entry = context_entry_at(software, source, true);
    if (entry == 0)
        return IOM_SOFTWARE_NO_MEMORY;
    iom_table_writer_store(&software->writer, entry + 8,
                           address_width_code(software) | (uint64_t)domain << IOM_VTD_CONTEXT_DID_SHIFT);
    iom_table_writer_store(&software->writer, entry, low | type << IOM_VTD_CONTEXT_TT_SHIFT);
    device->present = true;
    device->domain = (uint16_t)domain;
    return software->writer.failed ? IOM_SOFTWARE_NO_MEMORY : IOM_SOFTWARE_OK;
}

// ---- PASIDs --------------------------------------------------------------------------------------

static enum iom_software_result need_directory(struct iom_software *software, struct vtd_device *device)
{
    unsigned entries_log2 = directory_size(software) + 7;
    if (device->directory != 0)
        return IOM_SOFTWARE_OK;
    device->pasid_table = calloc((size_t)1 << entries_log2, sizeof *device->pasid_table);
    if (device->pasid_table == NULL ||
        !iom_table_writer_take(&software->writer, entries_log2 + 3 > 12 ? entries_log2 + 3 : 12,
                               &device->directory))
        return IOM_SOFTWARE_NO_MEMORY;
    return IOM_SOFTWARE_OK;
}

static struct vtd_pasid_table *need_pasid_table(struct iom_software *software, struct vtd_device *device,
                                                uint32_t pasid)
{
    struct vtd_pasid_table *table = &device->pasid_table[pasid >> 6];
    if (table->address == 0) {
        if (!iom_table_writer_take(&software->writer, IOM_PAGE_LOG2, &table->address))
            return NULL;
        iom_table_writer_store(&software->writer, device->directory + (pasid >> 6) * UINT64_C(8),
                               table->address | IOM_VTD_PRESENT);
    }
    return table;
}

// Words of a PASID-table entry; the present bit is in word 0.
static void pasid_words(const struct iom_software *software, const struct iom_table_domain *owner,
                        uint32_t domain, uint64_t word[3])
{
    static const uint8_t types[] = {[IOM_VTD_MODE_SECOND_STAGE] = IOM_VTD_PGTT_SECOND,
                                    [IOM_VTD_MODE_FIRST_STAGE] = IOM_VTD_PGTT_FIRST,
                                    [IOM_VTD_MODE_NESTED] = IOM_VTD_PGTT_NESTED};
    const struct iom_vtd_software_settings *settings = &software->settings;
    uint64_t ecap = software->config->ecap;
    uint64_t type = owner == NULL ? IOM_VTD_PGTT_PASS_THROUGH : types[settings->mode];
    word[0] = IOM_VTD_PRESENT | type << IOM_VTD_PASID_PGTT_SHIFT;
    word[1] = domain | (IOM_VTD_ECAP_SMPWC(ecap) ? IOM_VTD_PASID_PWSNP : 0);
    word[2] = (IOM_VTD_ECAP_SRS(ecap) ? IOM_VTD_PASID_SRE | IOM_VTD_PASID_WPE : 0) |
              (IOM_VTD_ECAP_ERS(ecap) ? IOM_VTD_PASID_ERE | IOM_VTD_PASID_NXE : 0);
    if (settings->mode != IOM_VTD_MODE_FIRST_STAGE)
        word[0] |= address_width_code(software) << IOM_VTD_PASID_AW_SHIFT;
    if (owner == NULL)
        return;
    word[0] |= iom_page_table_root(&owner->second);
    if (vtd_has_first(software)) {
        uint64_t mode = settings->first_stage_levels == 5 ? IOM_VTD_FSPM_5LEVEL : IOM_VTD_FSPM_4LEVEL;
        word[2] |= iom_page_table_root(&owner->first) | mode << IOM_VTD_PASID_FSPM_SHIFT;
    }
}

static void write_scalable_context(struct iom_software *software, const struct vtd_device *device,
                                   uint64_t entry)
{
    uint64_t low =
        device->directory | IOM_VTD_PRESENT | (uint64_t)directory_size(software) << IOM_VTD_SMC_PDTS_SHIFT;
    if (IOM_VTD_ECAP_PASID(software->config->ecap))
        low |= IOM_VTD_SMC_PASIDE;
    if (software->settings.device_tlb)
        low |= IOM_VTD_SMC_DTE;
    iom_table_writer_store(&software->writer, entry + 8, software->settings.rid_pasid);
    iom_table_writer_store(&software->writer, entry, low);
}

static enum iom_software_result attach_scalable(struct iom_software *software, struct vtd_device *device,
                                                uint32_t source, uint32_t pasid, uint32_t domain,
                                                enum iom_software_kind kind)
{
    struct iom_table_domain *owner = NULL;
    uint64_t word[3];
    if (need_directory(software, device) != IOM_SOFTWARE_OK)
        return IOM_SOFTWARE_NO_MEMORY;
    struct vtd_pasid_table *table = need_pasid_table(software, device, pasid);
    if (table == NULL)
        return IOM_SOFTWARE_NO_MEMORY;
    if (table->present >> (pasid & 0x3f) & 1)
        return IOM_SOFTWARE_ALREADY;
    if (kind == IOM_SOFTWARE_TRANSLATE) {
        owner = iom_table_domain_open(&software->domains, domain);
        if (owner == NULL)
            return IOM_SOFTWARE_NO_MEMORY;
    }

    pasid_words(software, owner, domain, word);
    uint64_t entry = table->address + (pasid & 0x3f) * UINT64_C(64);
    iom_table_writer_store(&software->writer, entry + 16, word[2]);
    iom_table_writer_store(&software->writer, entry + 8, word[1]);
    iom_table_writer_store(&software->writer, entry, word[0]);
    table->present |= UINT64_C(1) << (pasid & 0x3f);
    table->domain[pasid & 0x3f] = (uint16_t)domain;
    device->attached++;
    if (!device->present) {
        uint64_t context = context_entry_at(software, source, true);
        if (context == 0)
            return IOM_SOFTWARE_NO_MEMORY;
        write_scalable_context(software, device, context);
        device->present = true;
    }
    return software->writer.failed ? IOM_SOFTWARE_NO_MEMORY : IOM_SOFTWARE_OK;
}

// PASID that stands for `pasid` in the tables; false if it is not possible.
static bool effective_pasid(const struct iom_software *software, uint32_t pasid, uint32_t *effective)
{
    if (!vtd_is_scalable(software))
        return pasid == IOM_NO_PASID;
    *effective = pasid == IOM_NO_PASID ? software->settings.rid_pasid : pasid;
    if (pasid != IOM_NO_PASID && !IOM_VTD_ECAP_PASID(software->config->ecap))
        return false;
    return *effective >> software->settings.pasid_bits == 0;
}

enum iom_software_result vtd_attach(struct iom_software *software, uint32_t source, uint32_t pasid,
                                    uint32_t domain, enum iom_software_kind kind)
{
    uint32_t effective = 0;
    iom_table_writer_begin(&software->writer);
    if (source >= VTD_FAN * VTD_FAN || domain >= vtd_software_limits(software).domains ||
        !effective_pasid(software, pasid, &effective) ||
        (kind == IOM_SOFTWARE_BYPASS && !IOM_VTD_ECAP_PT(software->config->ecap)))
        return IOM_SOFTWARE_REFUSED;
    struct vtd_device *device = need_device(software, source);
    if (device == NULL)
        return IOM_SOFTWARE_NO_MEMORY;
    if (vtd_is_scalable(software))
        return attach_scalable(software, device, source, effective, domain, kind);
    return device->present ? IOM_SOFTWARE_ALREADY : attach_legacy(software, device, source, domain, kind);
}

static void clear_context(struct iom_software *software, struct vtd_device *device, uint32_t source)
{
    uint64_t entry = context_entry_at(software, source, false);
    iom_table_writer_store(&software->writer, entry, 0);
    iom_table_writer_store(&software->writer, entry + 8, 0);
    device->present = false;
}

enum iom_software_result vtd_detach(struct iom_software *software, uint32_t source, uint32_t pasid)
{
    uint32_t effective = 0;
    struct vtd_device *device = find_device(software, source);
    iom_table_writer_begin(&software->writer);
    if (!effective_pasid(software, pasid, &effective))
        return IOM_SOFTWARE_REFUSED;
    if (device == NULL || !device->present)
        return IOM_SOFTWARE_NOT_MAPPED;
    if (vtd_is_scalable(software)) {
        struct vtd_pasid_table *table = &device->pasid_table[effective >> 6];
        if (!(table->present >> (effective & 0x3f) & 1))
            return IOM_SOFTWARE_NOT_MAPPED;
        uint64_t entry = table->address + (effective & 0x3f) * UINT64_C(64);
        iom_table_writer_store(&software->writer, entry, 0);
        iom_table_writer_store(&software->writer, entry + 8, 0);
        iom_table_writer_store(&software->writer, entry + 16, 0);
        table->present &= ~(UINT64_C(1) << (effective & 0x3f));
        device->attached--;
    }
    if (!vtd_is_scalable(software) || device->attached == 0)
        clear_context(software, device, source);
    return software->writer.failed ? IOM_SOFTWARE_NO_MEMORY : IOM_SOFTWARE_OK;
}

bool vtd_attachment(const struct iom_software *software, uint32_t source, uint32_t pasid, uint32_t *domain)
{
    uint32_t effective = 0;
    const struct vtd_device *device = find_device(software, source);
    if (!effective_pasid(software, pasid, &effective) || device == NULL || !device->present)
        return false;
    if (!vtd_is_scalable(software)) {
        *domain = device->domain;
        return true;
    }
    const struct vtd_pasid_table *table = &device->pasid_table[effective >> 6];
    if (!(table->present >> (effective & 0x3f) & 1))
        return false;
    *domain = table->domain[effective & 0x3f];
    return true;
}
