// SPDX-License-Identifier: Apache-2.0
//
// A timed system as the vector runner sees it: requests and register writes are messages, results are
// what comes back when the kernel has nothing left to do.
#ifndef IOM_MODELS_VERIFY_TIMED_TARGET_H
#define IOM_MODELS_VERIFY_TIMED_TARGET_H

#include <memory>

#include "models/verify/target.h"
#include "models/verify/timed_rig.h"

namespace iommu_sim::verify
{

class TimedTarget final : public Target, public Surroundings
{
  public:
    /// System `index` of the rig, out of reset, with what `config` asks for.
    TimedTarget(std::shared_ptr<TimedRig> rig, size_t index, const VectorConfig &config);

    void write_memory(uint64_t address, const void *data, size_t bytes) override;
    void read_memory(uint64_t address, void *data, size_t bytes) override;
    void write_register(uint32_t offset, unsigned bytes, uint64_t value) override;
    uint64_t read_register(uint32_t offset, unsigned bytes) override;
    DmaResult dma(const DmaStep &step) override;
    void flush_caches() override;
    void settle() override;
    bool executes_queue() const override;
    bool has_caches() const override;
    std::optional<bool> stale_use() override;
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
    iom_dma send(const iom_xlate &request);

    std::shared_ptr<TimedRig> rig_;
    RigSystem &system_;
    uint64_t stale_before_ = 0;                       ///< stale uses before the last request
    uint64_t reads_drained_ = 0, writes_drained_ = 0; ///< before the last take_drain()
};

} // namespace iommu_sim::verify

#endif
