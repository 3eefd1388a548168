// SPDX-License-Identifier: Apache-2.0
//
// Reads the host side: the log of a QEMU started with -trace for its IOMMU and device models.
//
//     THREAD@SECONDS.MICROSECONDS:EVENT ARGS        (-msg timestamp=on)
//     EVENT ARGS                                    (without)
//
// The formats are those of the trace-events files under hw/i386, hw/arm, hw/virtio, hw/riscv and
// hw/nvme of QEMU 7.2 to 10.0.
#include <string.h>

#include "traffic/import_internal.h"

/// Arm GICv3 ITS: GITS_TRANSLATER of QEMU's "virt" machine (ITS frame at 0x08080000, register at
/// 0x10040). A device's write there is a message-signalled interrupt that passed the SMMU.
#define QEMU_VIRT_GITS_TRANSLATER UINT64_C(0x08090040)

enum { THREADS = 16 };

/// What one line said about a translation whose result stands on a later line of the same thread.
struct pending {
    uint64_t iova;
    uint32_t thread;
    uint32_t device;
    uint8_t access;
    uint8_t permission;
    bool valid;
};

struct host_reader {
    struct iom_import *import;
    struct pending pending[THREADS];
    struct iom_qemu_line parts;
};

bool iom_qemu_split(const char *line, struct iom_qemu_line *parts)
{
    struct iom_cursor cursor = {line};
    uint64_t thread;
    parts->thread = 0;
    parts->time_ns = 0;
    if (iom_take_decimal(&cursor, &thread) && iom_take(&cursor, "@") &&
        iom_take_seconds_ns(&cursor, &parts->time_ns) && iom_take(&cursor, ":"))
        parts->thread = (uint32_t)thread;
    else
        cursor.at = line;
    parts->event = cursor.at;
    parts->event_length =
        strspn(cursor.at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    const char *end = cursor.at + parts->event_length;
    if (parts->event_length == 0 || (*end != ' ' && *end != '\0'))
        return false;
    if (cursor.at == line) { // without a time stamp only names of known devices are events
        static const char *const families[] = {"vtd_",          "smmu",         "amdvi_",
                                               "virtio_iommu_", "riscv_iommu_", "pci_nvme_"};
        size_t i = 0;
        while (i < sizeof families / sizeof *families && strncmp(line, families[i], strlen(families[i])) != 0)
            i++;
        if (i == sizeof families / sizeof *families)
            return false;
    }
    cursor.at = end;
    iom_skip_blanks(&cursor);
    parts->rest = cursor.at;
    return true;
}

static const char *out_of_memory(void)
{
    return "more memory (out of memory)";
}

static struct pending *pending_of(struct host_reader *reader)
{
    struct pending *pending = &reader->pending[reader->parts.thread % THREADS];
    if (pending->thread != reader->parts.thread)
        pending->valid = false;
    pending->thread = reader->parts.thread;
    return pending;
}

static struct iom_host_event *new_event(struct host_reader *reader, enum iom_host_kind kind)
{
    struct iom_host_event *event = iom_new_host(reader->import, kind);
    if (event != NULL) {
        event->time_ns = reader->parts.time_ns;
        event->thread = reader->parts.thread;
    }
    return event;
}

static struct iom_host_event *new_translation(struct host_reader *reader, uint32_t device, uint64_t iova,
                                              uint64_t address)
{
    struct iom_host_event *event = new_event(reader, IOM_HOST_TRANSLATE);
    if (event == NULL || iom_import_device(reader->import, device) == IOM_NO_EVENT)
        return NULL;
    event->device = device;
    event->iova = iova;
    event->address = address;
    iom_count(reader->import, IOM_IMPORT_host_translations, 1);
    return event;
}

static const char *new_fault(struct host_reader *reader, uint32_t device, uint64_t iova, uint8_t access)
{
    struct iom_host_event *event = new_event(reader, IOM_HOST_FAULT);
    if (event == NULL || iom_import_device(reader->import, device) == IOM_NO_EVENT)
        return out_of_memory();
    event->device = device;
    event->iova = iova;
    event->access = access;
    iom_count(reader->import, IOM_IMPORT_host_faults, 1);
    return NULL;
}

static void see_arch(struct host_reader *reader, enum iom_trace_arch arch)
{
    if (reader->import->header.arch == IOM_TRACE_ARCH_UNKNOWN)
        reader->import->header.arch = arch;
}

/// IOMMUAccessFlags of QEMU and the permissions of second-level entries: bit 0 read, bit 1 write.
static uint8_t access_of(uint64_t flags)
{
    return (uint8_t)((flags & 1 ? IOM_TRACE_READ : 0) | (flags & 2 ? IOM_TRACE_WRITE : 0));
}

/// The direction if `flags` says exactly one, else 0.
static uint8_t direction_of(uint64_t flags)
{
    uint8_t access = access_of(flags);
    return access == (IOM_TRACE_READ | IOM_TRACE_WRITE) ? 0 : access;
}

// ---------------------------------------------------------------------------------------------------
// VT-d

/// "IOTLB page hit|update sid 0x20 iova 0xfffbf000 slpte 0x601f003 domain 0x3"
static const char *vtd_page(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t sid;
    uint64_t iova;
    uint64_t entry;
    if (!iom_find(c, "sid ") || !iom_take_hex(c, &sid) || !iom_take(c, " iova ") || !iom_take_hex(c, &iova) ||
        sid > UINT16_MAX)
        return "sid 0x... iova 0x...";
    struct pending *pending = pending_of(reader);
    pending->valid = true;
    pending->device = (uint32_t)sid;
    pending->iova = iova;
    pending->permission = 0;
    // A second-level entry: bits 0 and 1 are read and write (first-level entries have bit 0 present,
    // bit 1 writable; readable if present). Both print as slpte.
    if (iom_find(c, "slpte ") && iom_take_hex(c, &entry))
        pending->permission = access_of(entry);
    return NULL;
}

/// "dev 00:04.00 iova 0xffffd000 -> gpa 0x3cf82000 mask 0xfff": the page; the byte stands on the hit or
/// update line before.
static const char *vtd_translate(struct host_reader *reader, struct iom_cursor *c)
{
    uint32_t device;
    uint64_t iova;
    uint64_t address;
    uint64_t mask;
    if (!iom_take(c, "dev ") || !iom_take_bdf(c, &device) || !iom_take(c, " iova ") ||
        !iom_take_hex(c, &iova) || !iom_take(c, " -> gpa ") || !iom_take_hex(c, &address) ||
        !iom_take(c, " mask ") || !iom_take_hex(c, &mask))
        return "dev BB:DD.F iova 0x... -> gpa 0x... mask 0x...";
    struct pending *pending = pending_of(reader);
    bool exact = pending->valid && pending->device == device && (pending->iova & ~mask) == (iova & ~mask);
    uint64_t byte = exact ? pending->iova : iova;
    struct iom_host_event *event = new_translation(reader, device, byte, (address & ~mask) | (byte & mask));
    if (event == NULL)
        return out_of_memory();
    event->pages_only = !exact;
    event->permission = exact ? pending->permission : 0;
    pending->valid = false;
    see_arch(reader, IOM_TRACE_ARCH_VTD);
    return NULL;
}

/// "invalidate desc type iotlb high 0x.. low 0x.."
static const char *vtd_descriptor(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t high;
    uint64_t low;
    if (!iom_find(c, "type "))
        return "invalidate desc type TYPE";
    bool wait = iom_take(c, "wait ");
    if (!iom_find(c, "high ") || !iom_take_hex(c, &high) || !iom_take(c, " low ") || !iom_take_hex(c, &low))
        return "high 0x... low 0x...";
    see_arch(reader, IOM_TRACE_ARCH_VTD);
    if (wait)
        return NULL;
    struct iom_host_event *event = new_event(reader, IOM_HOST_INVALIDATE);
    if (event == NULL)
        return out_of_memory();
    event->form = IOM_INVALIDATION_DESCRIPTOR;
    event->iova = low;
    event->address = high;
    iom_count(reader->import, IOM_IMPORT_host_invalidations, 1);
    return NULL;
}

/// "sid 0x38 fault 6 addr 0x700000 write 0"
static const char *vtd_fault(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t sid;
    uint64_t iova;
    uint64_t write;
    if (!iom_take(c, "sid ") || !iom_take_hex(c, &sid) || !iom_find(c, " addr ") || !iom_take_hex(c, &iova) ||
        !iom_find(c, "write ") || !iom_take_decimal(c, &write) || sid > UINT16_MAX)
        return "sid 0x... fault N addr 0x... write 0|1";
    return new_fault(reader, (uint32_t)sid, iova, write != 0 ? IOM_TRACE_WRITE : IOM_TRACE_READ);
}

// ---------------------------------------------------------------------------------------------------
// SMMUv3

/// "REGION sid=0x20 iova=0xffff9010 translated=0x46bfa010 perm=0x3 stage=1"
static const char *smmu_translate(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t sid;
    uint64_t iova;
    uint64_t address;
    uint64_t permission;
    if (!iom_find(c, "sid=") || !iom_take_hex(c, &sid) || !iom_take(c, " iova=") || !iom_take_hex(c, &iova) ||
        !iom_take(c, " translated=") || !iom_take_hex(c, &address) || !iom_take(c, " perm=") ||
        !iom_take_hex(c, &permission) || sid > UINT16_MAX)
        return "sid=0x... iova=0x... translated=0x... perm=0x...";
    struct iom_host_event *event = new_translation(reader, (uint32_t)sid, iova, address);
    if (event == NULL)
        return out_of_memory();
    event->permission = access_of(permission);
    if (address == QEMU_VIRT_GITS_TRANSLATER) {
        event->classified = true;
        event->access = IOM_TRACE_WRITE;
        event->bytes = 4;
    }
    see_arch(reader, IOM_TRACE_ARCH_SMMUV3);
    pending_of(reader)->valid = false;
    return NULL;
}

/// "IOTLB cache MISS asid=3 vmid=0 addr=0xfffbb000 ...": kept for a fault that may follow.
static const char *smmu_lookup(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t iova;
    if (!iom_find(c, "addr=") || !iom_take_hex(c, &iova))
        return "addr=0x...";
    struct pending *pending = pending_of(reader);
    pending->valid = true;
    pending->iova = iova;
    return NULL;
}

/// "SMMU_EVT_F_TRANSLATION sid=0x38": the address is that of the look-up before.
static const char *smmu_event(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t sid;
    if (!iom_find(c, "sid=") || !iom_take_hex(c, &sid) || sid > UINT16_MAX)
        return "EVENT sid=0x...";
    struct pending *pending = pending_of(reader);
    if (!pending->valid)
        return NULL; // a fault without an address concerns no page
    pending->valid = false;
    return new_fault(reader, (uint32_t)sid, pending->iova, 0);
}

static const char *new_range_invalidation(struct host_reader *reader, uint64_t iova)
{
    struct iom_host_event *event = new_event(reader, IOM_HOST_INVALIDATE);
    if (event == NULL)
        return out_of_memory();
    event->form = IOM_INVALIDATION_RANGE;
    event->iova = iova;
    iom_count(reader->import, IOM_IMPORT_host_invalidations, 1);
    return NULL;
}

/// "vmid=0 asid=3 addr=0xfff60000 tg=1 num_pages=0x20 ttl=3 leaf=1 ..."
static const char *smmu_range(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t iova;
    if (!iom_find(c, "addr=") || !iom_take_hex(c, &iova))
        return "addr=0x...";
    see_arch(reader, IOM_TRACE_ARCH_SMMUV3);
    // leaf=0 is the driver freeing a table (also when it maps a block over one), not an unmap's flush.
    if (iom_find(c, " leaf=0"))
        return NULL;
    return new_range_invalidation(reader, iova);
}

// ---------------------------------------------------------------------------------------------------
// virtio-iommu, AMD-Vi, RISC-V

/// "domain=4 virt_start=0x.. virt_end=0x.. phys_start=0x.. flags=2"
static const char *virtio_map(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t iova;
    uint64_t address;
    if (!iom_find(c, "virt_start=") || !iom_take_hex(c, &iova) || !iom_find(c, "phys_start=") ||
        !iom_take_hex(c, &address))
        return "virt_start=0x... phys_start=0x...";
    struct iom_host_event *event = new_event(reader, IOM_HOST_MAP);
    if (event == NULL)
        return out_of_memory();
    event->iova = iova;
    event->address = address;
    see_arch(reader, IOM_TRACE_ARCH_VIRTIO);
    return NULL;
}

static const char *virtio_unmap(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t iova;
    if (!iom_find(c, "virt_start=") || !iom_take_hex(c, &iova))
        return "virt_start=0x...";
    see_arch(reader, IOM_TRACE_ARCH_VIRTIO);
    return new_range_invalidation(reader, iova);
}

/// "mr=NAME rid=32 addr=0xfffb0000 flag=2": the direction of the access; its result is the next line.
static const char *virtio_translate(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t iova;
    uint64_t flag;
    if (!iom_find(c, "addr=") || !iom_take_hex(c, &iova) || !iom_take(c, " flag=") ||
        !iom_take_decimal(c, &flag))
        return "addr=0x... flag=N";
    struct pending *pending = pending_of(reader);
    pending->valid = true;
    pending->iova = iova;
    pending->access = direction_of(flag);
    return NULL;
}

/// "0xfffb0000 -> 0x531c000 for sid=32"
static const char *virtio_result(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t iova;
    uint64_t address;
    uint64_t sid;
    if (!iom_take_hex(c, &iova) || !iom_take(c, " -> ") || !iom_take_hex(c, &address) ||
        !iom_find(c, "sid=") || !iom_take_decimal(c, &sid) || sid > UINT16_MAX)
        return "0x... -> 0x... for sid=N";
    struct iom_host_event *event = new_translation(reader, (uint32_t)sid, iova, address);
    if (event == NULL)
        return out_of_memory();
    struct pending *pending = pending_of(reader);
    if (pending->valid && pending->iova == iova)
        event->access = pending->access;
    pending->valid = false;
    see_arch(reader, IOM_TRACE_ARCH_VIRTIO);
    return NULL;
}

/// "FAULT reason=2 flags=256 endpoint=56 address =0x700000"
static const char *virtio_fault(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t flags;
    uint64_t endpoint;
    uint64_t iova;
    if (!iom_find(c, "flags=") || !iom_take_decimal(c, &flags) || !iom_find(c, "endpoint=") ||
        !iom_take_decimal(c, &endpoint) || !iom_find(c, "address =") || !iom_take_hex(c, &iova) ||
        endpoint > UINT16_MAX)
        return "flags=N endpoint=N address =0x...";
    return new_fault(reader, (uint32_t)endpoint, iova, direction_of(flags));
}

/// "devid: 00:04.0 gpa 0xffff7010 hpa 0x45f35000": gpa is the IOVA, hpa the begin of the
/// page, whatever its size (AMD page sizes are any power of two).
static const char *amd_translate(struct host_reader *reader, struct iom_cursor *c)
{
    uint32_t device;
    uint64_t iova;
    uint64_t address;
    if (!iom_take(c, "devid: ") || !iom_take_bdf(c, &device) || !iom_find(c, "gpa ") ||
        !iom_take_hex(c, &iova) || !iom_take(c, " hpa ") || !iom_take_hex(c, &address))
        return "devid: BB:DD.F gpa 0x... hpa 0x...";
    address = iom_align_down(address, IOM_PAGE_LOG2) | iom_low_bits(iova, IOM_PAGE_LOG2);
    see_arch(reader, IOM_TRACE_ARCH_AMDVI);
    struct iom_host_event *event = new_translation(reader, device, iova, address);
    if (event == NULL)
        return out_of_memory();
    event->block_only = true;
    return NULL;
}

/// "AMD-Vi pages for domain 0x8 invalidated": no address.
static const char *amd_invalidate(struct host_reader *reader, struct iom_cursor *c)
{
    (void)c;
    struct iom_host_event *event = new_event(reader, IOM_HOST_INVALIDATE);
    if (event == NULL)
        return out_of_memory();
    event->form = IOM_INVALIDATION_COUNTED;
    see_arch(reader, IOM_TRACE_ARCH_AMDVI);
    iom_count(reader->import, IOM_IMPORT_host_invalidations, 1);
    return NULL;
}

/// "00:01.0: translate 0000:04.0 #0 RO 0x859f4008 -> 0x859f4008"
static const char *riscv_dma(struct host_reader *reader, struct iom_cursor *c)
{
    uint32_t device;
    uint64_t iova;
    uint64_t address;
    uint8_t access = 0;
    if (!iom_find(c, "translate ") || !iom_take_bdf(c, &device) || !iom_find(c, " #") || !iom_find(c, " "))
        return "UNIT: translate BB:DD.F #PASID ACCESS 0x... -> 0x...";
    if (iom_take(c, "RO"))
        access = IOM_TRACE_READ;
    else if (iom_take(c, "WO"))
        access = IOM_TRACE_WRITE;
    else
        c->at += iom_token_length(c->at, 8);
    if (!iom_take(c, " ") || !iom_take_hex(c, &iova) || !iom_take(c, " -> ") || !iom_take_hex(c, &address))
        return "0x... -> 0x...";
    struct iom_host_event *event = new_translation(reader, device, iova, address);
    if (event == NULL)
        return out_of_memory();
    event->access = access;
    see_arch(reader, IOM_TRACE_ARCH_RISCV);
    return NULL;
}

// ---------------------------------------------------------------------------------------------------
// NVMe

/// "cid 4635 nsid 0x1 sqid 2 opc 0x2 opname '...'" (admin commands have no nsid)
static const char *nvme_command(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t cid;
    uint64_t queue;
    uint64_t opcode;
    if (!iom_take(c, "cid ") || !iom_take_decimal(c, &cid) || !iom_find(c, "sqid ") ||
        !iom_take_decimal(c, &queue) || !iom_find(c, "opc ") || !iom_take_hex(c, &opcode) ||
        cid > UINT16_MAX || queue > UINT16_MAX || opcode > UINT8_MAX)
        return "cid N ... sqid N opc 0x...";
    struct iom_host_event *event = new_event(reader, IOM_HOST_COMMAND);
    if (event == NULL)
        return out_of_memory();
    event->cid = (uint16_t)cid;
    event->queue = (uint16_t)queue;
    event->opcode = (uint8_t)opcode;
    iom_count(reader->import, IOM_IMPORT_commands, 1);
    return NULL;
}

/// "addr 0xfffbb000 len 4096"
static const char *nvme_data(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t iova;
    uint64_t bytes;
    if (!iom_take(c, "addr ") || !iom_take_hex(c, &iova) || !iom_take(c, " len ") ||
        !iom_take_decimal(c, &bytes) || (bytes != 0 && bytes - 1 > UINT64_MAX - iova))
        return "addr 0x... len BYTES";
    struct iom_host_event *event = new_event(reader, IOM_HOST_DATA);
    if (event == NULL)
        return out_of_memory();
    event->iova = iova;
    event->bytes = bytes;
    return NULL;
}

/// "cid 287 cqid 1 dw0 ..."
static const char *nvme_completion(struct host_reader *reader, struct iom_cursor *c)
{
    uint64_t cid;
    uint64_t queue;
    if (!iom_take(c, "cid ") || !iom_take_decimal(c, &cid) || !iom_take(c, " cqid ") ||
        !iom_take_decimal(c, &queue) || cid > UINT16_MAX || queue > UINT16_MAX)
        return "cid N cqid N";
    struct iom_host_event *event = new_event(reader, IOM_HOST_COMPLETE);
    if (event == NULL)
        return out_of_memory();
    event->cid = (uint16_t)cid;
    event->queue = (uint16_t)queue;
    iom_count(reader->import, IOM_IMPORT_completions, 1);
    return NULL;
}

// ---------------------------------------------------------------------------------------------------

typedef const char *(*handler)(struct host_reader *reader, struct iom_cursor *cursor);

struct event_name {
    const char *name; ///< a name ending in * stands for all that begin so
    handler handle;
    enum iom_import_use use;
};

#define USED(name, handle)                                                                                   \
    {                                                                                                        \
        name, handle, IOM_IMPORT_USED                                                                        \
    }
#define IGNORED(name)                                                                                        \
    {                                                                                                        \
        name, NULL, IOM_IMPORT_IGNORED                                                                       \
    }
#define INTERRUPT(name)                                                                                      \
    {                                                                                                        \
        name, NULL, IOM_IMPORT_INTERRUPT                                                                     \
    }

/// Searched in order, so exact names stand before families.
static const struct event_name event_names[] = {
    USED("vtd_dmar_translate", vtd_translate),
    USED("vtd_iotlb_page_hit", vtd_page),
    USED("vtd_iotlb_page_update", vtd_page),
    USED("vtd_inv_desc", vtd_descriptor),
    USED("vtd_dmar_fault", vtd_fault),
    USED("smmuv3_translate_success", smmu_translate),
    USED("smmu_iotlb_lookup_miss", smmu_lookup),
    USED("smmu_iotlb_lookup_hit", smmu_lookup),
    USED("smmuv3_record_event", smmu_event),
    USED("smmuv3_range_inval", smmu_range),
    USED("smmuv3_s1_range_inval", smmu_range),
    USED("virtio_iommu_map", virtio_map),
    USED("virtio_iommu_unmap", virtio_unmap),
    USED("virtio_iommu_translate", virtio_translate),
    USED("virtio_iommu_translate_out", virtio_result),
    USED("virtio_iommu_report_fault", virtio_fault),
    USED("amdvi_translation_result", amd_translate),
    USED("amdvi_pages_inval", amd_invalidate),
    USED("riscv_iommu_dma", riscv_dma),
    USED("pci_nvme_io_cmd", nvme_command),
    USED("pci_nvme_admin_cmd", nvme_command),
    USED("pci_nvme_map_addr", nvme_data),
    USED("pci_nvme_enqueue_req_completion", nvme_completion),
    INTERRUPT("vtd_ir_*"),
    INTERRUPT("vtd_irq_*"),
    INTERRUPT("vtd_warn_ir_*"),
    INTERRUPT("amdvi_ir_*"),
    INTERRUPT("amdvi_mem_ir_*"),
    INTERRUPT("smmuv3_trigger_irq"),
    INTERRUPT("pci_nvme_irq_*"),
    IGNORED("vtd_*"),
    IGNORED("smmu*"),
    IGNORED("virtio_iommu_*"),
    IGNORED("amdvi_*"),
    IGNORED("riscv_iommu_*"),
    IGNORED("pci_nvme_*"),
    IGNORED("edu_*"),
};

static const struct event_name *find_event(const struct iom_qemu_line *parts)
{
    for (size_t i = 0; i < sizeof event_names / sizeof *event_names; i++) {
        const char *name = event_names[i].name;
        size_t length = strlen(name);
        bool family = name[length - 1] == '*';
        if (family ? parts->event_length >= length - 1 && strncmp(name, parts->event, length - 1) == 0
                   : parts->event_length == length && strncmp(name, parts->event, length) == 0)
            return &event_names[i];
    }
    return NULL;
}

static bool read_line(struct host_reader *reader, const struct iom_lines *lines, const char *line,
                      struct iom_trace_error *error)
{
    struct iom_qemu_line *parts = &reader->parts;
    if (line[0] == '\0')
        return true;
    if (!iom_qemu_split(line, parts)) {
        // QEMU also writes messages of its own into the log ("qemu-system-...: warning: ...").
        if (strncmp(line, "qemu", 4) == 0)
            return iom_count_line(reader->import, "(messages)", 10, true, IOM_IMPORT_IGNORED) ||
                   iom_trace_fail(error, "%s: out of memory", iom_lines_name(lines));
        return iom_malformed(reader->import, lines, line, "THREAD@SECONDS.MICROSECONDS:EVENT ...", error);
    }
    const struct event_name *name = find_event(parts);
    enum iom_import_use use = name == NULL ? IOM_IMPORT_UNKNOWN : name->use;
    if (!iom_count_line(reader->import, parts->event, parts->event_length, true, use))
        return iom_trace_fail(error, "%s: out of memory", iom_lines_name(lines));
    if (name == NULL || name->handle == NULL)
        return true;
    struct iom_cursor cursor = {parts->rest};
    const char *expected = name->handle(reader, &cursor);
    return expected == NULL || iom_malformed(reader->import, lines, cursor.at, expected, error);
}

bool iom_import_host(struct iom_import *import, struct iom_lines *lines, struct iom_trace_error *error)
{
    struct host_reader reader = {.import = import};
    char *line;
    int got;
    import->has_host = true;
    while ((got = iom_lines_next(lines, &line, error)) == 1) {
        iom_count(import, IOM_IMPORT_host_lines, 1);
        if (!read_line(&reader, lines, line, error))
            return false;
    }
    return got == 0;
}
