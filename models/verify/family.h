// SPDX-License-Identifier: Apache-2.0
//
// What the runner must know about one architecture's programming interface to play its vectors:
// names of registers, how software reads and clears fault records, how it appends to the queue.
// All of it goes through Target's registers and memory, as a driver would.
#ifndef IOM_MODELS_VERIFY_FAMILY_H
#define IOM_MODELS_VERIFY_FAMILY_H

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/verify/functional_target.h"
#include "models/verify/target.h"

namespace iommu_sim::verify
{

struct RegisterRef {
    uint32_t offset = 0;
    unsigned bytes = 4;
};

/// A fault record found pending.
struct FaultRecord {
    uint32_t index = 0; ///< recording register or queue entry
    FaultFields fault;
};

/// What an `inv` step left behind.
struct QueueResult {
    uint64_t head = 0, tail = 0;
    bool error = false;
};

/// The table entries of a request, as evidence for a mask.
struct TablePath {
    bool pass_through = false;
    bool first_stage = false;
    unsigned width_bits = 0;       ///< input width that the context or PASID entry gives
    std::vector<uint64_t> entries; ///< page-table entries from the top to where the walk ends
};

class Family
{
  public:
    virtual ~Family() = default;

    virtual std::vector<RamRange> ram(const VectorConfig &config) const = 0;
    /// Requests to device TLBs that may be under way; 0: a vector's devices complete them at once.
    virtual unsigned invalidation_tags(const VectorConfig &) const
    {
        return 0;
    }
    /// Architecture instance with the capabilities a vector asks for.
    virtual ArchInstance make_arch(const VectorConfig &config) const = 0;

    /// Register by the name that vectors use; nothing if there is no such register.
    virtual std::optional<RegisterRef> find_register(const VectorConfig &config,
                                                     const std::string &name) const = 0;
    /// Fault records that software could read now, lowest index first.
    virtual std::vector<FaultRecord> pending_faults(const VectorConfig &config, Target &target) const = 0;
    /// Acknowledges every fault and overflow.
    virtual void clear_faults(const VectorConfig &config, Target &target) const = 0;
    /// The code of a fault record in words.
    virtual std::string reason_text(uint64_t reason) const = 0;
    /// Entries that a request without PASID meets; nothing if it does not get to page tables.
    virtual std::optional<TablePath> table_path(const DmaStep &step, Target &target) const = 0;
    /// Appends the descriptors at the current tail, rings the doorbell and waits.
    virtual QueueResult invalidate(const InvalidationStep &step, Target &target) const;
    /// Likewise with commands; what the vector's `res` may name. Both throw std::runtime_error if the family
    /// has no such step.
    virtual std::map<std::string, uint64_t> command(const CommandStep &step, Target &target) const;
};

/// The family of `cfg.machine`; throws std::runtime_error naming the supported ones.
const Family &family_of(const std::string &machine);

} // namespace iommu_sim::verify

#endif
