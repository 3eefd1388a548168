// SPDX-License-Identifier: Apache-2.0
//
// The software side of an architecture: what a driver writes to memory and registers.
//
// A builder keeps its own shadow of every table and never reads simulated memory back. Each call
// turns into stores, handed to the host's `store` in program order: an entry becomes visible after
// everything it refers to, and is cleared by its word with the present bit first. The order relative
// to invalidations is the caller's business.
//
// Table pages come from the host and are expected to hold zeros. Pages that a call makes unreachable
// are retired to the host, which must not reuse them before caches have been invalidated: hardware may
// still walk them. They hold only zeros again, so they may be reused as they are.
//
// The operations are a constant table per architecture; nothing here knows one.
#ifndef IOM_CORE_SOFTWARE_H
#define IOM_CORE_SOFTWARE_H

#include "core/arch.h"
#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/// "Requests without PASID" where a PASID is expected.
#define IOM_NO_PASID UINT32_MAX

struct iom_software; // opaque, one per IOMMU and operating system

/// What a builder is created from. The architecture copies what it needs.
struct iom_software_config {
    const struct iom_arch *arch; ///< the IOMMU that will read the tables (kept, must outlive the builder)
    const void *settings;        ///< architecture's own settings struct (copied)
};

/// What a builder needs from its host.
struct iom_software_host {
    void *context;
    /// Memory for a table: 2^size_log2 bytes, aligned to its size, all zero, never at address 0.
    /// False: none left.
    bool (*take_table)(void *context, unsigned size_log2, uint64_t *address);
    /// One store in program order. False: the store could not be taken; the call that made it returns
    /// NO_MEMORY and the builder must not be used any further.
    bool (*store)(void *context, const struct iom_store *store);
    /// A 4 KiB table has become unreachable; it may be reused once caches have been invalidated. May be
    /// null: then such tables are lost.
    void (*retire)(void *context, uint64_t address);
};

enum iom_software_result {
    IOM_SOFTWARE_OK,
    IOM_SOFTWARE_NO_MEMORY,  ///< host out of tables or stores, or the simulator out of memory
    IOM_SOFTWARE_REFUSED,    ///< the configuration cannot express it (width, page size, PASID, ...)
    IOM_SOFTWARE_NOT_MAPPED, ///< detach, unmap: nothing there, or another page size
    IOM_SOFTWARE_ALREADY,    ///< attach, map: something is there already; nothing was changed
};

/// How an attachment treats requests.
enum iom_software_kind {
    IOM_SOFTWARE_TRANSLATE, ///< through the tables of the domain
    IOM_SOFTWARE_BYPASS,    ///< unchanged; the domain only tags
};

/// What one map or unmap did.
struct iom_software_change {
    uint64_t stores;  ///< stores emitted
    uint32_t retired; ///< tables unlinked (each reported through the host's `retire`)
};

/// What the tables can express.
struct iom_software_limits {
    uint64_t page_sizes; ///< bit n set: pages of 2^n bytes
    uint8_t input_bits;  ///< width of an input address that translates (unsigned)
    uint8_t pasid_bits;  ///< 0: no requests with PASID
    uint32_t domains;    ///< number of domain identifiers
};

/// A mapping as software sees it.
struct iom_software_mapping {
    uint64_t output;     ///< address of the page
    uint8_t size_log2;   ///< its size
    uint8_t permissions; ///< enum iom_permission (unprivileged bits)
};

/// A register write of the start-up sequence; afterwards software polls until
/// (register at poll_offset & poll_mask) == poll_value, when poll_bytes is not 0.
struct iom_register_write {
    uint64_t value;
    uint64_t poll_mask, poll_value;
    uint32_t offset, poll_offset;
    uint8_t bytes, poll_bytes;
};

/// What a driver wants flushed, in terms of no architecture. Fields a kind does not name are ignored.
enum iom_flush_kind {
    IOM_FLUSH_CONTEXT_ALL,    ///< every context entry
    IOM_FLUSH_CONTEXT_DOMAIN, ///< context entries of `domain`
    IOM_FLUSH_CONTEXT_DEVICE, ///< the context entry of `source` (and functions under `function_mask`), tagged
                              ///< `domain`
    IOM_FLUSH_PASID_ALL,      ///< every PASID entry
    IOM_FLUSH_PASID_DOMAIN,   ///< PASID entries of `domain`
    IOM_FLUSH_PASID_ONE,      ///< the entry of `pasid`: tagged `domain`, of `source` (either may count)
    IOM_FLUSH_IOTLB_ALL,      ///< every translation
    IOM_FLUSH_IOTLB_DOMAIN,   ///< all translations of `domain`
    IOM_FLUSH_IOTLB_PAGES,    ///< second-stage translations of 2^pages_log2 pages at `iova` of `domain`
    IOM_FLUSH_SPACE_ALL,      ///< all first-stage translations of `pasid` in `domain`
    IOM_FLUSH_SPACE_PAGES,    ///< first-stage translations of 2^pages_log2 pages at `iova`
    IOM_FLUSH_DEVICE_ALL,     ///< device TLB of `source`: everything
    IOM_FLUSH_DEVICE_PAGES, ///< device TLB of `source`: requests without PASID, 2^pages_log2 pages at `iova`
    IOM_FLUSH_DEVICE_SPACE, ///< device TLB of `source`: everything of `pasid`
    IOM_FLUSH_DEVICE_SPACE_PAGES, ///< device TLB of `source`: 2^pages_log2 pages at `iova` of `pasid`
    IOM_FLUSH_INTERRUPTS,         ///< interrupt entry cache
    IOM_FLUSH_KINDS,
};

struct iom_flush {
    enum iom_flush_kind kind;
    uint32_t domain;
    uint32_t source;
    uint32_t pasid;
    uint64_t iova;         ///< aligned to the range
    uint8_t pages_log2;    ///< log2 of the number of 4 KiB pages
    bool leaf_only;        ///< only leaf entries were changed: paging-structure caches may keep theirs
    uint8_t function_mask; ///< CONTEXT_DEVICE: function bits ignored, 0 none, 1 bit 2, 2 bits 2:1, 3 all
    uint8_t queue_depth;   ///< DEVICE_*: invalidations the device takes at once, 0 = 32
};

/// The end of a batch of flushes: says when all before it are complete.
struct iom_sync {
    bool write_status;        ///< write `status` to `address` (4-byte aligned)
    bool interrupt;           ///< raise the completion interrupt
    bool fence;               ///< later commands wait for it
    bool drain_page_requests; ///< page requests received so far must be in memory
    uint64_t address;
    uint32_t status;
};

/// What the queue can be asked, and how its registers are used.
struct iom_queue_registers {
    uint32_t command_bytes;     ///< size of a command
    uint32_t capacity_bytes;    ///< of the queue memory given to set_queue; one command stays unused
    uint8_t largest_pages_log2; ///< largest IOTLB_PAGES / SPACE_PAGES (VT-d: CAP.MAMV)
    bool page_selective;        ///< IOTLB_PAGES exists (VT-d: CAP.PSI)
    uint32_t page_commands;     ///< a longer range takes up to so many of them, else the whole domain goes
    uint32_t error_offset;      ///< 4-byte status register that shows queue errors
    uint32_t error_fatal;       ///< bits: a command was refused (head stays); write them back to go on
    uint32_t error_timeout;     ///< bits: a device did not answer; see timeout_offset
    uint32_t error_keep;        ///< bits to be written along with those
    uint32_t head_offset;       ///< register with the next command to fetch
    uint8_t head_bytes;         ///< its size
    uint8_t head_unit;          ///< bytes of the queue it counts in
    /// 8-byte register that names the requester that did not answer; pending syncs were aborted. 0: none, the
    /// head stays at the sync that found out, which is carried out again when the queue goes on.
    uint32_t timeout_offset;
    uint8_t timeout_shift; ///< its 16 bits begin there
};

struct iom_software_ops {
    const char *name; ///< as in iom_arch_ops

    /// A builder with its top-level table. Null on failure; *error (may be null) is then a static text.
    struct iom_software *(*create)(const struct iom_software_config *config,
                                   const struct iom_software_host *host, const char **error);
    void (*destroy)(struct iom_software *software);
    struct iom_software_limits (*limits)(const struct iom_software *software);

    /// Attaches (source, pasid) to `domain`, which comes into being on first use.
    enum iom_software_result (*attach)(struct iom_software *software, uint32_t source, uint32_t pasid,
                                       uint32_t domain, enum iom_software_kind kind);
    enum iom_software_result (*detach)(struct iom_software *software, uint32_t source, uint32_t pasid);
    /// The domain that (source, pasid) is attached to, from the shadow. False if it is not attached.
    bool (*attachment)(const struct iom_software *software, uint32_t source, uint32_t pasid,
                       uint32_t *domain);

    /// Maps one page of 2^size_log2 bytes; both addresses are aligned to it. `permissions` holds
    /// IOM_PERM_READ, IOM_PERM_WRITE, IOM_PERM_EXEC. A larger page replaces tables in its place that map
    /// nothing; they are retired. `change` (here and below) may be null.
    enum iom_software_result (*map)(struct iom_software *software, uint32_t domain, uint64_t iova,
                                    uint64_t address, unsigned size_log2, uint8_t permissions,
                                    struct iom_software_change *change);
    /// Clears the page of exactly 2^size_log2 bytes at `iova`. With `prune`, tables that become empty are
    /// unlinked and retired.
    enum iom_software_result (*unmap)(struct iom_software *software, uint32_t domain, uint64_t iova,
                                      unsigned size_log2, bool prune, struct iom_software_change *change);
    /// The mapping of `iova`, from the shadow. False if there is none.
    bool (*find)(const struct iom_software *software, uint32_t domain, uint64_t iova,
                 struct iom_software_mapping *mapping);

    /// Register writes that make the IOMMU use the tables. Fills up to `capacity` of `list`, returns how
    /// many there are.
    size_t (*startup)(const struct iom_software *software, struct iom_register_write *list, size_t capacity);

    // ---- command queue ----------------------------------------------------------------------------
    /// Gives the command queue 2^size_log2 zeroed bytes at `base` (aligned to its size, at least 4 KiB);
    /// `startup` then also sets it up. REFUSED: no such queue, or the size cannot be expressed.
    enum iom_software_result (*set_queue)(struct iom_software *software, uint64_t base, unsigned size_log2);
    void (*queue_registers)(const struct iom_software *software, struct iom_queue_registers *registers);
    /// The register write that tells the hardware that the queue's tail is now at byte offset `tail`.
    void (*doorbell)(const struct iom_software *software, uint32_t tail, struct iom_register_write *write);
    /// One command in memory order, command_bytes long. REFUSED: cannot be expressed (range too large, no
    /// PASID support, ...).
    enum iom_software_result (*encode_flush)(const struct iom_software *software,
                                             const struct iom_flush *flush,
                                             uint64_t words[IOM_COMMAND_WORDS]);
    enum iom_software_result (*encode_sync)(const struct iom_software *software, const struct iom_sync *sync,
                                            uint64_t words[IOM_COMMAND_WORDS]);
};

#ifdef __cplusplus
}
#endif

#endif
