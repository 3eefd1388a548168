// SPDX-License-Identifier: Apache-2.0
//
// The reference system under test: register operations of an architecture, the functional walk (core/arch.h)
// and its commands over sparse memory. No caches and no time: what it answers is the outcome of a walk of the
// tables as they are now, and every step is complete when it returns.
//
// The runner uses it for the uncached mode, and in cached mode to learn what an earlier memory state
// would have given.
#ifndef IOM_MODELS_VERIFY_FUNCTIONAL_TARGET_H
#define IOM_MODELS_VERIFY_FUNCTIONAL_TARGET_H

#include <memory>
#include <vector>

#include "core/arch.h"
#include "models/verify/device_side.h"
#include "models/verify/target.h"
#include "models/verify/vector_memory.h"

namespace iommu_sim::verify
{

/// An architecture with the configuration struct that `arch.config` points to.
struct ArchInstance {
    iom_arch arch = {};
    std::shared_ptr<const void> config;
};

class FunctionalTarget final : public Target, public Surroundings
{
  public:
    /// `invalidation_tags`: invalidation requests that may be under way; 0: devices answer at once.
    FunctionalTarget(ArchInstance instance, const std::vector<RamRange> &ram, unsigned invalidation_tags);

    void write_memory(uint64_t address, const void *data, size_t bytes) override;
    void read_memory(uint64_t address, void *data, size_t bytes) override;
    void write_register(uint32_t offset, unsigned bytes, uint64_t value) override;
    uint64_t read_register(uint32_t offset, unsigned bytes) override;
    DmaResult dma(const DmaStep &step) override;
    void flush_caches() override;
    void settle() override;
    bool executes_queue() const override;
    bool has_caches() const override;
    Surroundings *surroundings() override
    {
        return this;
    }

    void page_request(const PageRequest &request) override;
    std::vector<DeviceMessage> take_messages() override;
    void complete(const InvalidationCompletion &completion) override;
    void expire(uint32_t tags) override;
    void mark_memory(const MemoryMark &mark) override;
    std::vector<MemoryWord> take_changes() override;
    std::optional<Drain> take_drain() override;

  private:
    const iom_arch_ops &ops() const
    {
        return *instance_.arch.ops;
    }
    const iom_arch *arch() const
    {
        return &instance_.arch;
    }
    void translate(iom_xlate *x);
    void count(const iom_xlate &x);
    void record(const iom_fault &fault);
    void act(uint32_t actions);
    void translate_for_registers();
    void finish_stores();

    // Commands: functional_queue.cpp
    enum class Progress { next, stays };
    void run_queue();
    Progress run_command(const iom_queue_setup &setup);
    Progress invalidate(const iom_invalidation &invalidation);
    Progress wait(const iom_queue_setup &setup, const iom_command_wait &wait);
    void advance(const iom_queue_setup &setup);
    void tell(iom_queue_event event);

    ArchInstance instance_;
    SparseMemory memory_;
    std::vector<uint64_t> state_; // the architecture's register state, suitably aligned
    iom_view view_ = {};
    DeviceSide devices_;
    std::optional<Drain> drain_; // since the last take_drain()
    // Command queue
    uint32_t generation_ = 0, head_ = 0;
    bool running_ = false;   // a change of the queue's registers need not start it
    bool timed_out_ = false; // an invalidation request; the next wait tells
};

/// Request fields of a step as the core takes them.
iom_xlate request_of(const DmaStep &step);
/// Likewise of a page request.
iom_xlate request_of(const PageRequest &request);
/// What a finished translation means on the bus.
DmaResult result_of(const iom_xlate &x);

/// Makes the functional target for the machine of a vector; throws std::runtime_error if the machine
/// is not supported.
std::unique_ptr<Target> make_functional_target(const VectorConfig &config);

} // namespace iommu_sim::verify

#endif
