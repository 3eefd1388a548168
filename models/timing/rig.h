// SPDX-License-Identifier: Apache-2.0
//
// The test bench of a record: the IOMMU of a configuration, built as the record says (cache sizes, latencies,
// registers, contents of memory), with the record's driver on one side and memory on the other.
//
//     sequence ──> AXI port ──> front end ──> walker ──┐
//        │            └──────────────> target          ├──> memory (channels)
//        ├──> registers ──> command queue ─────────────┤
//        │        └──────────(fault queue)─────────────┤
//        └─────────────────────────────────────────────┘
//
// Everything takes place in simulated time from cycle 0 of the record on; nothing is taken from what the
// record says happened.
#ifndef IOMMU_SIM_MODELS_TIMING_RIG_H
#define IOMMU_SIM_MODELS_TIMING_RIG_H

#include <memory>

#include "core/arch/riscv/riscv.h"
#include "core/axi_port.h"
#include "core/iommu.h"
#include "core/memory.h"
#include "core/tracker_report.h"
#include "models/architecture.h"
#include "models/config/system_config.h"
#include "models/kernel.h"
#include "models/timing/compare.h"
#include "models/timing/driver.h"
#include "models/timing/observer.h"

namespace iommu_sim::timing
{

enum class KernelKind { core, systemc };

/// The configuration with what the record decides: cache sizes, build options, latencies. Throws
/// std::runtime_error naming the key if the configuration cannot be combined with it.
SystemConfig config_of(const SystemConfig &profile, const Record &record);

/// What a run brought.
struct Playback {
    Observation seen;
    /// Requests presented after a change, an invalidation covering it and a drained queue, that yet used what
    /// was there before; ascending.
    std::vector<uint32_t> stale;
};

class Rig
{
  public:
    /// Throws std::runtime_error if the record cannot be built. SystemC elaborates once per process.
    Rig(const SystemConfig &profile, const Record &record, KernelKind kernel);
    ~Rig();
    Rig(const Rig &) = delete;
    Rig &operator=(const Rig &) = delete;

    /// Plays the record; once.
    Playback play();

  private:
    void make();
    void make_memory();
    void make_iommu();
    void make_driver();
    void connect();
    void set_registers();
    void write_register(uint32_t offset, unsigned bytes, uint64_t value);
    void connect_one(iom_port *requester, iom_port *responder, iom_hop hop, uint32_t depth);
    bool is_stale(const iom_finding &finding) const;
    std::vector<uint32_t> stale_requests() const;
    void free_all();

    const Record &record_;
    const SystemConfig config_;
    iom_netlist netlist_ = {};
    iom_memory_image *image_ = nullptr;
    iom_tracker *tracker_ = nullptr;
    iom_memory *memory_ = nullptr, *target_ = nullptr;
    std::unique_ptr<ArchitectureInstance> architecture_;
    iom_arch arch_ = {};
    bool iommu_made_ = false;
    iom_iommu iommu_ = {};
    iom_axi_port *axi_ = nullptr;
    Driver driver_;
    iom_sequence *sequence_ = nullptr;
    std::unique_ptr<Observer> observer_;
    std::vector<iom_cycle> drained_; ///< cycles in which the command queue became empty
    std::unique_ptr<Kernel> kernel_;
};

} // namespace iommu_sim::timing

#endif
