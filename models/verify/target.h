// SPDX-License-Identifier: Apache-2.0
//
// A system under test as the vector runner sees it: memory, registers, DMA. Nothing here depends on
// an architecture; what does (register names, fault records, queues) is in family.h.
//
// Two implementations: functional_target.h, the pure walk without caches and time, and the timed
// system with its caches and either simulation kernel.
#ifndef IOM_MODELS_VERIFY_TARGET_H
#define IOM_MODELS_VERIFY_TARGET_H

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/verify/vector.h"

namespace iommu_sim::verify
{

/// How a request came back on its bus.
enum class Completion {
    address,      ///< translated or passed through
    mrif,         ///< for a memory-resident interrupt file: no DMA
    interrupt,    ///< taken by the interrupt window: no DMA
    denied,       ///< translation request: success without permission
    unsupported,  ///< refused: unsupported request
    aborted,      ///< refused: completer abort
    access_error, ///< translated, but memory did not answer at the resulting address
};

struct DmaResult {
    Completion completion = Completion::unsupported;
    uint64_t pa = 0;         ///< of the first byte, with address and access_error; of the file, with mrif
    uint8_t size_log2 = 0;   ///< bytes covered
    uint64_t attributes = 0; ///< the architecture's (iom_leaf.attributes)
    bool read = false, write = false, exec = false, priv = false, global = false; ///< translation request
    uint8_t permissions = 0; ///< enum iom_permission: those found, whether asked for or not
    bool hit = false;        ///< served by a cache (information only)
};

/// Memory that answers: first .. last byte. Accesses elsewhere are access errors.
struct RamRange {
    uint64_t first = 0;
    uint64_t last = 0;
};

/// A page request message (PCI Express Base 6.0, 10.4.1).
struct PageRequest {
    uint32_t device = 0;
    std::optional<uint32_t> pasid;
    bool priv = false, exec = false;
    uint64_t payload = 0; ///< address of the page; bits 11:0: R, W, L, group index
};

/// What the IOMMU sent to a device.
struct DeviceMessage {
    enum class Kind {
        invalidation,  ///< invalidation request
        page_response, ///< response to a page request
    };
    Kind kind = Kind::invalidation;
    uint32_t device = 0;
    std::optional<uint32_t> pasid;
    uint8_t tag = 0; ///< of an invalidation
    uint64_t payload = 0;
};

/// Invalidation completion messages of a device (10.3.1).
struct InvalidationCompletion {
    uint32_t device = 0;
    uint32_t tags = 0;    ///< bit mask
    uint8_t expected = 1; ///< completions that the device sends for each tag (1 to 8); this is one of them
};

/// Older DMA that was waited for.
struct Drain {
    bool reads = false, writes = false;
};

/// Memory that does not answer the IOMMU as it should; software's own accesses are not concerned.
struct MemoryMark {
    uint64_t address = 0; ///< of 8 bytes
    enum class Kind {
        refuses, ///< reads and writes are refused
        corrupt, ///< reads bring poisoned data
    };
    Kind kind = Kind::refuses;
};

/// What surrounds the IOMMU besides software and DMA: messages from and to devices, memory that errs, and
/// what the IOMMU changes in memory. The vectors of riscv_vector.h need it.
class Surroundings
{
  public:
    virtual ~Surroundings() = default;

    /// A device sends a page request; returns when everything that follows from it has happened.
    virtual void page_request(const PageRequest &request) = 0;
    /// Messages that devices have received since the last call, in order.
    virtual std::vector<DeviceMessage> take_messages() = 0;
    /// A device sends completions of invalidation requests.
    virtual void complete(const InvalidationCompletion &completion) = 0;
    /// The time of these invalidation requests is over.
    virtual void expire(uint32_t tags) = 0;
    virtual void mark_memory(const MemoryMark &mark) = 0;
    /// Aligned 8-byte words that the IOMMU has changed since the last call, ascending, as they are now.
    virtual std::vector<MemoryWord> take_changes() = 0;
    /// What waits of the command queue have waited for since the last call; nothing if for no DMA.
    virtual std::optional<Drain> take_drain() = 0;
};

class Target
{
  public:
    Target() = default;
    Target(const Target &) = delete;
    Target &operator=(const Target &) = delete;
    virtual ~Target() = default;

    /// Software's own accesses: never translated, immediately visible, not snooped by any cache of
    /// the IOMMU. Bytes outside RAM are ignored and read as zero.
    virtual void write_memory(uint64_t address, const void *data, size_t bytes) = 0;
    virtual void read_memory(uint64_t address, void *data, size_t bytes) = 0;
    /// Eight bytes as software reads them.
    uint64_t read_word(uint64_t address, bool big_endian = false)
    {
        std::array<uint8_t, 8> bytes = {};
        read_memory(address, bytes.data(), bytes.size());
        uint64_t value = 0;
        for (unsigned i = 0; i < bytes.size(); i++)
            value |= uint64_t{bytes[big_endian ? bytes.size() - 1 - i : i]} << (8 * i);
        return value;
    }

    /// Register accesses, 4 or 8 bytes; a write returns when the register has taken it.
    virtual void write_register(uint32_t offset, unsigned bytes, uint64_t value) = 0;
    virtual uint64_t read_register(uint32_t offset, unsigned bytes) = 0;

    /// Plays one request to completion. Only the request fields of the step are looked at.
    virtual DmaResult dma(const DmaStep &step) = 0;

    /// Empties every cache of the IOMMU and of the devices, as if by magic (no commands, no time).
    virtual void flush_caches() = 0;
    /// Lets everything finish that earlier register writes started (queue fetch, handshakes).
    virtual void settle() = 0;

    /// True if commands in the queue are executed: head, status words and errors can be compared.
    virtual bool executes_queue() const = 0;
    /// True if translations are cached, so that cached mode means something.
    virtual bool has_caches() const = 0;
    /// What the hazard tracker says of the last request: did it use a stale translation? Nothing if there
    /// is no tracker.
    virtual std::optional<bool> stale_use()
    {
        return std::nullopt;
    }
    /// Null if the target has none.
    virtual Surroundings *surroundings()
    {
        return nullptr;
    }
};

/// What the command line asks for.
struct TargetOptions {
    std::string kernel = "core";       ///< "core", "systemc", or "functional" (no caches, no time)
    std::string geometry;              ///< built-in cache geometry; empty = the default
    std::string config_file;           ///< system configuration; empty = built-in
    std::vector<std::string> settings; ///< key=value
};

/// Makes the system that a vector asks for (capabilities, address widths, RAM), fresh out of reset.
using TargetFactory = std::function<std::unique_ptr<Target>(const VectorConfig &)>;

/// One system that a vector must pass on; a vector counts once however many variants there are.
struct TargetVariant {
    std::string name; ///< for messages
    TargetFactory make;
};

} // namespace iommu_sim::verify

#endif
