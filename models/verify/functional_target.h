// SPDX-License-Identifier: Apache-2.0
//
// The reference system under test: register operations of an architecture and the functional walk
// (core/arch.h) over sparse memory. No caches, no time, no command queue: what it answers is the
// outcome of a walk of the tables as they are now.
//
// The runner uses it for the uncached mode, and in cached mode to learn what an earlier memory state
// would have given.
#ifndef IOM_MODELS_VERIFY_FUNCTIONAL_TARGET_H
#define IOM_MODELS_VERIFY_FUNCTIONAL_TARGET_H

#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/arch.h"
#include "models/verify/target.h"

namespace iommu_sim::verify
{

/// Byte memory in 4 KiB pages that come into being when written; the rest of RAM reads as zero.
class SparseMemory
{
  public:
    explicit SparseMemory(std::vector<RamRange> ram);
    /// True if all bytes lie in one range of RAM.
    bool contains(uint64_t address, size_t bytes) const;
    void write(uint64_t address, const void *data, size_t bytes);
    void read(uint64_t address, void *data, size_t bytes) const;
    uint64_t read64(uint64_t address) const;
    void write64(uint64_t address, uint64_t value);

  private:
    using Page = std::array<uint8_t, IOM_PAGE_BYTES>;
    std::vector<RamRange> ram_;
    std::unordered_map<uint64_t, Page> pages_; // looked up only, never iterated
};

/// An architecture with the configuration struct that `arch.config` points to.
struct ArchInstance {
    iom_arch arch = {};
    std::shared_ptr<const void> config;
};

class FunctionalTarget : public Target
{
  public:
    FunctionalTarget(ArchInstance instance, std::vector<RamRange> ram);

    void write_memory(uint64_t address, const void *data, size_t bytes) override;
    void read_memory(uint64_t address, void *data, size_t bytes) override;
    void write_register(uint32_t offset, unsigned bytes, uint64_t value) override;
    uint64_t read_register(uint32_t offset, unsigned bytes) override;
    DmaResult dma(const DmaStep &step) override;
    void flush_caches() override;
    void settle() override;
    bool executes_queue() const override;
    bool has_caches() const override;

  private:
    ArchInstance instance_;
    SparseMemory memory_;
    std::vector<uint64_t> state_; // the architecture's register state, suitably aligned
    iom_view view_ = {};
};

/// Request fields of a step as the core takes them.
iom_xlate request_of(const DmaStep &step);
/// What a finished translation means on the bus.
DmaResult result_of(const iom_xlate &x);

/// Makes the functional target for the machine of a vector; throws std::runtime_error if the machine
/// is not supported.
std::unique_ptr<Target> make_functional_target(const VectorConfig &config);

} // namespace iommu_sim::verify

#endif
