// SPDX-License-Identifier: Apache-2.0
//
// From an invalidation descriptor to what it means (VT-d Rev. 4.1, 6.5.2.1 to 6.5.2.10), with every check
// that makes hardware stop the queue at it (6.5.2.11, 11.4.9.9).
#include <string.h>

#include "core/arch/vtd/vtd_internal.h"

// Reserved fields of words 0 and 1, without the type.
static const uint64_t reserved_fields[VTD_DESCRIPTOR_TYPES][2] = {
    [VTD_DESCRIPTOR_CONTEXT] = {UINT64_C(0xfffc00000000f1c0), UINT64_MAX},
    [VTD_DESCRIPTOR_IOTLB] = {UINT64_C(0xffffffff0000f100), 0xf80},
    [VTD_DESCRIPTOR_DEVICE_TLB] = {UINT64_C(0x000f0000ffe001f0), 0xffe},
    [VTD_DESCRIPTOR_INTERRUPT] = {UINT64_C(0xffff000007fff1e0), UINT64_MAX},
    [VTD_DESCRIPTOR_WAIT] = {UINT64_C(0x00000000fffff100), 3},
    [VTD_DESCRIPTOR_SPACE] = {UINT64_C(0xfff000000000f1c0), 0xf80},
    [VTD_DESCRIPTOR_PASID] = {UINT64_C(0xfff000000000f1c0), UINT64_MAX},
    [VTD_DESCRIPTOR_DEVICE_SPACE] = {0, 0x7fe},
    [VTD_DESCRIPTOR_PAGE_RESPONSE] = {UINT64_C(0xfff00000000001c0), UINT64_C(0xfffffffffffff003)},
};

// Is the type known to this hardware, in a queue of this width?
static bool type_is_supported(const struct iom_vtd_config *config, unsigned type, uint32_t command_bytes)
{
    bool wide = command_bytes == VTD_WIDE_BYTES || config->quirk_narrow_commands;
    bool scalable = wide && IOM_VTD_ECAP_SMTS(config->ecap);
    switch (type) {
    case VTD_DESCRIPTOR_CONTEXT:
    case VTD_DESCRIPTOR_IOTLB:
    case VTD_DESCRIPTOR_INTERRUPT:
    case VTD_DESCRIPTOR_WAIT:
        return true;
    case VTD_DESCRIPTOR_DEVICE_TLB:
        return IOM_VTD_ECAP_DT(config->ecap) != 0;
    case VTD_DESCRIPTOR_SPACE:
    case VTD_DESCRIPTOR_PASID:
        return scalable;
    case VTD_DESCRIPTOR_DEVICE_SPACE:
        return scalable && IOM_VTD_ECAP_DT(config->ecap);
    case VTD_DESCRIPTOR_PAGE_RESPONSE:
        return scalable && IOM_VTD_ECAP_PRS(config->ecap);
    default:
        return false;
    }
}

static bool has_reserved(const struct iom_vtd_config *config, unsigned type, const uint64_t *words,
                         uint32_t command_bytes)
{
    uint64_t bits = (words[0] & reserved_fields[type][0]) | (words[1] & reserved_fields[type][1]);
    if (type == VTD_DESCRIPTOR_WAIT && !IOM_VTD_ECAP_PDS(config->ecap))
        bits |= words[0] & VTD_WAIT_PAGE_DRAIN;
    // The second half of a page group response is private data of the device.
    if (command_bytes == VTD_WIDE_BYTES && type != VTD_DESCRIPTOR_PAGE_RESPONSE)
        bits |= words[2] | words[3];
    return bits != 0;
}

// Reserved encodings, and ranges larger than the hardware supports (CAP.MAMV).
static bool has_reserved_value(const struct iom_vtd_config *config, unsigned type, const uint64_t *words)
{
    unsigned granularity = VTD_DESCRIPTOR_G(words[0]);
    bool too_large = VTD_DESCRIPTOR_AM(words[1]) > IOM_VTD_CAP_MAMV(config->cap);
    switch (type) {
    case VTD_DESCRIPTOR_CONTEXT:
        return granularity == VTD_GRANULARITY_RESERVED;
    case VTD_DESCRIPTOR_IOTLB:
        return granularity == VTD_GRANULARITY_RESERVED ||
               (granularity == VTD_GRANULARITY_NARROW && too_large);
    case VTD_DESCRIPTOR_SPACE:
        return granularity < VTD_SPACE_ALL || (granularity == VTD_SPACE_PAGES && too_large);
    case VTD_DESCRIPTOR_PASID:
        return granularity == VTD_PASID_RESERVED;
    default:
        return false;
    }
}

static struct vtd_invalidated_pages pages_of(uint64_t word)
{
    return (struct vtd_invalidated_pages){.address = word & VTD_DESCRIPTOR_ADDRESS,
                                          .address_mask = VTD_DESCRIPTOR_AM(word),
                                          .leaf_only = (word & VTD_DESCRIPTOR_IH) != 0};
}

static void decode_iotlb(const struct iom_arch *arch, const uint64_t *words, struct iom_invalidation *result)
{
    uint64_t cap = vtd_config(arch)->cap;
    struct vtd_invalidated_pages pages = pages_of(words[1]);
    result->drain_writes = (words[0] & VTD_DESCRIPTOR_DW) != 0 && IOM_VTD_CAP_DWD(cap);
    result->drain_reads = (words[0] & VTD_DESCRIPTOR_DR) != 0 && IOM_VTD_CAP_DRD(cap);
    vtd_invalidate_iotlb(arch, result, (enum vtd_granularity)VTD_DESCRIPTOR_G(words[0]),
                         VTD_DESCRIPTOR_DID(words[0]), &pages);
}

// There is no choice about draining here: hardware with scalable mode always does.
static void decode_space(const struct iom_arch *arch, const uint64_t *words, struct iom_invalidation *result)
{
    struct vtd_invalidated_pages pages = pages_of(words[1]);
    result->drain_writes = result->drain_reads = true;
    vtd_invalidate_space(arch, result, VTD_DESCRIPTOR_DID(words[0]), VTD_DESCRIPTOR_PASID_OF(words[0]),
                         VTD_DESCRIPTOR_G(words[0]) == VTD_SPACE_PAGES ? &pages : NULL);
}

// Address and size of a device TLB invalidation: with S set, the lowest clear bit of the address from bit
// 12 on says the size; clear bit n: 2^(n+1) bytes (PCI Express Base 6.0, 10.2.3.2 and 10.3.1).
static void set_device_range(struct iom_device_invalidation *device, uint64_t word, bool sized)
{
    unsigned size_log2 = IOM_PAGE_LOG2;
    if (sized) {
        while (size_log2 < 63 && (word >> size_log2 & 1) != 0)
            size_log2++;
        size_log2++;
    }
    device->first = iom_align_down(word, size_log2);
    device->last = device->first | iom_low_bits(UINT64_MAX, size_log2);
}

// Writes the device sent before its completion reach the IOMMU before the completion does, but are only
// there: a wait must find them in memory.
static void decode_device(const uint64_t *words, struct iom_invalidation *result)
{
    result->has_device = true;
    result->drain_writes = true;
    result->device.stream = VTD_DESCRIPTOR_SID(words[0]);
    result->device.queue_depth = VTD_DESCRIPTOR_QDEP(words[0]);
    set_device_range(&result->device, words[1], (words[1] & VTD_DEVICE_SIZE) != 0);
}

static void decode_device_space(const uint64_t *words, struct iom_invalidation *result)
{
    result->has_device = true;
    result->drain_writes = true;
    result->device.stream = VTD_DESCRIPTOR_SPACE_SID(words[0]);
    result->device.pasid = VTD_DESCRIPTOR_PASID_OF(words[0]);
    result->device.has_pasid = true;
    result->device.global = (words[1] & VTD_DEVICE_SPACE_GLOBAL) != 0;
    result->device.queue_depth = VTD_DESCRIPTOR_SPACE_QDEP(words[0]);
    set_device_range(&result->device, words[1], (words[1] & VTD_DEVICE_SPACE_SIZE) != 0);
}

static void decode_wait(const uint64_t *words, struct iom_command *command)
{
    command->kind = IOM_COMMAND_WAIT;
    command->wait = (struct iom_command_wait){
        .write_status = (words[0] & VTD_WAIT_STATUS) != 0,
        .interrupt = (words[0] & VTD_WAIT_INTERRUPT) != 0,
        .fence = (words[0] & VTD_WAIT_FENCE) != 0,
        .drain_page_requests = (words[0] & VTD_WAIT_PAGE_DRAIN) != 0,
        .status_bytes = 4,
        .address = words[1] & VTD_WAIT_ADDRESS,
        .status = words[0] >> VTD_WAIT_DATA_SHIFT,
    };
}

static void decode_valid(const struct iom_arch *arch, const uint64_t *words, struct iom_command *command)
{
    struct iom_invalidation *result = &command->invalidation;
    command->kind = IOM_COMMAND_INVALIDATE;
    switch ((enum vtd_descriptor_type)VTD_DESCRIPTOR_TYPE(words[0])) {
    case VTD_DESCRIPTOR_CONTEXT:
        vtd_invalidate_context(arch, result, (enum vtd_granularity)VTD_DESCRIPTOR_G(words[0]),
                               VTD_DESCRIPTOR_DID(words[0]), VTD_DESCRIPTOR_SID(words[0]),
                               VTD_DESCRIPTOR_FM(words[0]));
        break;
    case VTD_DESCRIPTOR_IOTLB:
        decode_iotlb(arch, words, result);
        break;
    case VTD_DESCRIPTOR_DEVICE_TLB:
        decode_device(words, result);
        break;
    case VTD_DESCRIPTOR_WAIT:
        decode_wait(words, command);
        break;
    case VTD_DESCRIPTOR_SPACE:
        decode_space(arch, words, result);
        break;
    case VTD_DESCRIPTOR_PASID:
        vtd_invalidate_pasid(arch, result, (enum vtd_pasid_granularity)VTD_DESCRIPTOR_G(words[0]),
                             VTD_DESCRIPTOR_DID(words[0]), VTD_DESCRIPTOR_PASID_OF(words[0]));
        break;
    case VTD_DESCRIPTOR_DEVICE_SPACE:
        decode_device_space(words, result);
        break;
    case VTD_DESCRIPTOR_INTERRUPT:
    case VTD_DESCRIPTOR_PAGE_RESPONSE:
    case VTD_DESCRIPTOR_TYPES:
        command->kind = IOM_COMMAND_ACCEPTED;
        break;
    }
}

void vtd_decode(const struct iom_arch *arch, const struct iom_queue_setup *setup, const uint64_t *words,
                struct iom_command *command)
{
    const struct iom_vtd_config *config = vtd_config(arch);
    unsigned type = VTD_DESCRIPTOR_TYPE(words[0]);
    memset(command, 0, sizeof *command);
    vtd_invalidation_init(&command->invalidation, IOM_SOURCE_QUEUE);
    command->kind = IOM_COMMAND_INVALID;
    if (!type_is_supported(config, type, setup->command_bytes))
        command->error = IOM_VTD_QUEUE_TYPE;
    else if (has_reserved(config, type, words, setup->command_bytes) ||
             has_reserved_value(config, type, words))
        command->error = IOM_VTD_QUEUE_RESERVED;
    else
        decode_valid(arch, words, command);
}
