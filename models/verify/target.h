// SPDX-License-Identifier: Apache-2.0
//
// A system under test as the vector runner sees it: memory, registers, DMA. Nothing here depends on
// an architecture; what does (register names, fault records, queues) is in family.h.
//
// Two implementations: functional_target.h, the pure walk without caches and time, and the timed
// system with its caches and either simulation kernel.
#ifndef IOM_MODELS_VERIFY_TARGET_H
#define IOM_MODELS_VERIFY_TARGET_H

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
    interrupt,    ///< taken by the interrupt window: no DMA
    denied,       ///< translation request: success without permission
    unsupported,  ///< refused: unsupported request
    aborted,      ///< refused: completer abort
    access_error, ///< translated, but memory did not answer at the resulting address
};

struct DmaResult {
    Completion completion = Completion::unsupported;
    uint64_t pa = 0;       ///< of the first byte, with address and access_error
    uint8_t size_log2 = 0; ///< translation request: bytes covered
    bool read = false, write = false, exec = false, priv = false, global = false; ///< translation request
    bool hit = false; ///< served by a cache (information only)
};

/// Memory that answers: first .. last byte. Accesses elsewhere are access errors.
struct RamRange {
    uint64_t first = 0;
    uint64_t last = 0;
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
