// SPDX-License-Identifier: Apache-2.0
//
// Attaching devices and processes: device contexts and process contexts ("Device-context",
// "Process-context").
//
// A context is complete before its V bit is set, and V goes first when it is cleared; a process context is in
// place before the device context that leads to it.
#include <stdlib.h>

#include "core/arch/riscv/riscv_tables_internal.h"

uint32_t riscv_device_bits(const struct iom_software *software)
{
    uint32_t bits = software->devices.leaf_bits + 9u * (software->devices.levels - 1u);
    return (uint32_t)iom_min_u64(bits, 24);
}

void riscv_free_device(void *item)
{
    struct riscv_device *device = item;
    riscv_directory_free(&device->processes, free);
    free(device);
}

// The item of a context, made on first use.
static void *need_item(struct riscv_place place, size_t bytes)
{
    if (place.address != 0 && *place.item == NULL)
        *place.item = calloc(1, bytes);
    return place.address != 0 ? *place.item : NULL;
}

static struct riscv_device *find_device(const struct iom_software *software, uint32_t source)
{
    if (source >> riscv_device_bits(software) != 0)
        return NULL;
    struct riscv_place place = riscv_directory_find(&software->devices, source);
    return place.address != 0 ? *place.item : NULL;
}

// ---- contexts ------------------------------------------------------------------------------------------

// The table that a first-stage pointer names; null `owner`: nothing is translated.
static uint64_t first_pointer(const struct iom_software *software, const struct iom_table_domain *owner)
{
    return owner != NULL && riscv_builds_first(software) ? riscv_table_pointer(&owner->first) : 0;
}

static uint64_t second_pointer(const struct iom_software *software, const struct iom_table_domain *owner,
                               uint32_t domain)
{
    const struct iom_page_table *table = &software->guest;
    uint32_t gscid = software->settings.guest;
    if (owner == NULL || software->settings.mode == IOM_RISCV_SOFTWARE_FIRST_STAGE)
        return 0;
    if (!riscv_builds_nested(software)) {
        table = &owner->second;
        gscid = domain;
    }
    return riscv_table_pointer(table) | (uint64_t)gscid << 44;
}

static uint64_t process_mode(const struct iom_software *software)
{
    return software->settings.process_bits == 20   ? IOM_RISCV_PD20
           : software->settings.process_bits == 17 ? IOM_RISCV_PD17
                                                   : IOM_RISCV_PD8;
}

static void write_device_context(struct iom_software *software, const struct riscv_device *device,
                                 uint64_t address, const struct iom_table_domain *owner, uint32_t domain)
{
    const struct iom_riscv_software_settings *settings = &software->settings;
    uint64_t word[IOM_RISCV_DC_BASE_WORDS] = {
        [IOM_RISCV_DC_TC] = IOM_RISCV_VALID | (settings->device_tlb ? IOM_RISCV_TC_EN_ATS : 0),
        [IOM_RISCV_DC_IOHGATP] = second_pointer(software, owner, domain),
    };
    if (settings->hardware_flags) {
        word[IOM_RISCV_DC_TC] |= riscv_builds_first(software) ? IOM_RISCV_TC_SADE : 0;
        word[IOM_RISCV_DC_TC] |= word[IOM_RISCV_DC_IOHGATP] != 0 ? IOM_RISCV_TC_GADE : 0;
    }
    if (settings->process_bits != 0) {
        word[IOM_RISCV_DC_TC] |= IOM_RISCV_TC_PDTV | IOM_RISCV_TC_DPE;
        word[IOM_RISCV_DC_FSC] =
            process_mode(software) << 60 | riscv_directory_root(&device->processes) >> IOM_PAGE_LOG2;
    } else {
        word[IOM_RISCV_DC_FSC] = first_pointer(software, owner);
        word[IOM_RISCV_DC_TA] = word[IOM_RISCV_DC_FSC] != 0 ? (uint64_t)domain << 12 : 0;
    }
    for (unsigned i = IOM_RISCV_DC_BASE_WORDS; i-- > 0;) // tc with V last
        iom_table_writer_store(&software->writer, address + UINT64_C(8) * i, word[i]);
}

static void clear_context(struct iom_software *software, uint64_t address, unsigned words)
{
    for (unsigned i = 0; i < words; i++) // V first
        iom_table_writer_store(&software->writer, address + UINT64_C(8) * i, 0);
}

static void write_process_context(struct iom_software *software, uint64_t address,
                                  const struct iom_table_domain *owner, uint32_t domain)
{
    iom_table_writer_store(&software->writer, address + UINT64_C(8) * IOM_RISCV_PC_FSC,
                           first_pointer(software, owner));
    iom_table_writer_store(&software->writer, address + UINT64_C(8) * IOM_RISCV_PC_TA,
                           IOM_RISCV_VALID | (uint64_t)domain << 12);
}

// ---- attaching -----------------------------------------------------------------------------------------

// The process that stands for `pasid`; false if it is not possible.
static bool process_of(const struct iom_software *software, uint32_t pasid, uint32_t *process)
{
    unsigned bits = software->settings.process_bits;
    *process = pasid == IOM_NO_PASID ? 0 : pasid;
    return pasid == IOM_NO_PASID || (bits != 0 && pasid >> bits == 0);
}

static enum iom_software_result attach_process(struct iom_software *software, struct riscv_device *device,
                                               uint64_t context, uint32_t process, uint32_t domain,
                                               const struct iom_table_domain *owner)
{
    device->processes.leaf_bits = 8;
    device->processes.context_log2 = 4;
    device->processes.in_guest = riscv_builds_nested(software);
    device->processes.levels = (uint8_t)process_mode(software);
    struct riscv_place place = riscv_directory_need(software, &device->processes, process);
    struct riscv_binding *attachment = need_item(place, sizeof *attachment);
    if (attachment == NULL)
        return IOM_SOFTWARE_NO_MEMORY;
    if (attachment->present)
        return IOM_SOFTWARE_ALREADY;
    write_process_context(software, place.address, owner, domain);
    *attachment = (struct riscv_binding){true, domain};
    if (device->attached++ == 0)
        write_device_context(software, device, context, owner, domain);
    return IOM_SOFTWARE_OK;
}

static enum iom_software_result attach_device(struct iom_software *software, struct riscv_device *device,
                                              uint64_t context, uint32_t domain,
                                              const struct iom_table_domain *owner)
{
    if (device->own.present)
        return IOM_SOFTWARE_ALREADY;
    write_device_context(software, device, context, owner, domain);
    device->own = (struct riscv_binding){true, domain};
    device->attached++;
    return IOM_SOFTWARE_OK;
}

enum iom_software_result riscv_attach(struct iom_software *software, uint32_t source, uint32_t pasid,
                                      uint32_t domain, enum iom_software_kind kind)
{
    uint32_t process = 0;
    bool processes = software->settings.process_bits != 0;
    iom_table_writer_begin(&software->writer);
    // A process whose first stage is Bare would still go through the guest's second stage.
    if (source >> riscv_device_bits(software) != 0 || (source & ~software->config->device_id_mask) != 0 ||
        domain >= riscv_software_limits(software).domains || !process_of(software, pasid, &process) ||
        (kind == IOM_SOFTWARE_BYPASS && processes && riscv_builds_nested(software)))
        return IOM_SOFTWARE_REFUSED;
    const struct iom_table_domain *owner = NULL;
    if (kind == IOM_SOFTWARE_TRANSLATE) {
        owner = iom_table_domain_open(&software->domains, domain);
        if (owner == NULL)
            return IOM_SOFTWARE_NO_MEMORY;
    }
    struct riscv_place place = riscv_directory_need(software, &software->devices, source);
    struct riscv_device *device = need_item(place, sizeof *device);
    if (device == NULL)
        return IOM_SOFTWARE_NO_MEMORY;
    enum iom_software_result result =
        processes ? attach_process(software, device, place.address, process, domain, owner)
                  : attach_device(software, device, place.address, domain, owner);
    return software->writer.failed ? IOM_SOFTWARE_NO_MEMORY : result;
}

// The attachment and where its process context lies (0: it is that of the device context); null: none.
static struct riscv_binding *find_attachment(const struct iom_software *software, struct riscv_device *device,
                                             uint32_t process, uint64_t *context)
{
    struct riscv_binding *attachment = NULL;
    *context = 0;
    if (device == NULL || device->attached == 0)
        return NULL;
    if (software->settings.process_bits == 0) {
        attachment = &device->own;
    } else {
        struct riscv_place place = riscv_directory_find(&device->processes, process);
        attachment = place.address != 0 ? *place.item : NULL;
        *context = place.address;
    }
    return attachment != NULL && attachment->present ? attachment : NULL;
}

enum iom_software_result riscv_detach(struct iom_software *software, uint32_t source, uint32_t pasid)
{
    uint32_t process = 0;
    uint64_t context = 0;
    iom_table_writer_begin(&software->writer);
    if (!process_of(software, pasid, &process))
        return IOM_SOFTWARE_REFUSED;
    struct riscv_device *device = find_device(software, source);
    struct riscv_binding *attachment = find_attachment(software, device, process, &context);
    if (attachment == NULL)
        return IOM_SOFTWARE_NOT_MAPPED;
    if (context != 0)
        clear_context(software, context, IOM_RISCV_PC_WORDS);
    attachment->present = false;
    if (--device->attached == 0)
        clear_context(software, riscv_directory_find(&software->devices, source).address,
                      IOM_RISCV_DC_BASE_WORDS);
    return software->writer.failed ? IOM_SOFTWARE_NO_MEMORY : IOM_SOFTWARE_OK;
}

bool riscv_attachment(const struct iom_software *software, uint32_t source, uint32_t pasid, uint32_t *domain)
{
    uint32_t process = 0;
    uint64_t context = 0;
    if (!process_of(software, pasid, &process))
        return false;
    const struct riscv_binding *attachment =
        find_attachment(software, find_device(software, source), process, &context);
    if (attachment == NULL)
        return false;
    *domain = attachment->domain;
    return true;
}
