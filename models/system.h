// SPDX-License-Identifier: Apache-2.0
//
// A whole system from one configuration: memory, IOMMU, driver, devices or a trace to replay, and the
// netlist that connects them. Kernel-agnostic; models/session.h runs it.
//
//   device ── link latency ──> iommu0.frontend ── ... ──> memory
//   driver (bring-up) ──> iommu0.registers, memory
//   replay: devices and driver of a recording in one unit
#ifndef IOMMU_SIM_MODELS_SYSTEM_H
#define IOMMU_SIM_MODELS_SYSTEM_H

#include <memory>
#include <string>
#include <vector>

#include "core/iommu.h"
#include "core/link.h"
#include "core/memory.h"
#include "core/memory_image.h"
#include "core/netlist.h"
#include "models/architecture.h"
#include "models/config/system_config.h"
#include "traffic/device.h"
#include "traffic/driver.h"
#include "traffic/mapper.h"
#include "traffic/replay.h"
#include "traffic/trace.h"

namespace iommu_sim
{

/// Settings of the IOMMU's units as the core takes them.
iom_iommu_config iommu_config(const SystemConfig &config, const iom_arch &arch, uint32_t inputs);
/// Settings of the memory unit, without inputs.
iom_memory_config memory_config(const SystemConfig &config);

class System
{
  public:
    /// Builds everything and maps what the configuration wants mapped before the run. Throws
    /// std::runtime_error with a message for the user (key or file, what is wrong, what to do).
    explicit System(const SystemConfig &config);
    ~System();
    System(const System &) = delete;
    System &operator=(const System &) = delete;

    const SystemConfig &config() const
    {
        return config_;
    }
    iom_netlist &netlist()
    {
        return netlist_;
    }
    iom_iommu &iommu()
    {
        return iommu_;
    }
    iom_driver *driver()
    {
        return driver_;
    }
    iom_replay *replay()
    {
        return replay_;
    }
    const std::vector<iom_device *> &devices() const
    {
        return devices_;
    }
    /// Header of the trace, null without one.
    const iom_trace_header *trace_header() const;
    /// Records of the trace read so far.
    uint64_t trace_position() const;

    /// Traffic begins in `cycle` (not evaluated yet).
    void start_traffic(iom_cycle cycle);
    /// DMA requests that have come back so far, over all devices.
    uint64_t completed() const;
    /// Nothing more will be sent and nothing is in flight.
    bool traffic_finished() const;
    /// Null, or why driver or replay gave up.
    const char *error() const;

    /// Set at the end of bring-up, and when `completed()` reaches the limit set here.
    const bool *stop_flag() const
    {
        return &stop_;
    }
    void stop_at_completed(uint64_t total);
    void clear_stop()
    {
        stop_ = false;
    }
    /// Forgets the statistics of all units.
    void reset_stats();

  private:
    struct Completion {
        System *system = nullptr;
        uint64_t total = 0;
    };
    void free_all();
    void make_memory();
    void make_mapper();
    void make_iommu(uint32_t inputs);
    void make_driver();
    void make_devices();
    void make_replay();
    void connect_host();
    void connect_device(iom_port *port, uint32_t input);
    iom_port *insert_link(iom_port *port, uint32_t input);
    void attach_and_map();
    void check(iom_mapper_result result, const std::string &what) const;
    static void on_completed(void *context, uint64_t total);

    SystemConfig config_;
    std::unique_ptr<ArchitectureInstance> arch_;
    iom_netlist netlist_{};
    iom_memory_image *image_ = nullptr;
    iom_memory *memory_ = nullptr;
    iom_iommu iommu_{};
    bool iommu_made_ = false;
    iom_mapper *mapper_ = nullptr;
    iom_driver *driver_ = nullptr;
    std::vector<iom_device *> devices_;
    std::vector<iom_link *> links_;
    std::vector<const iom_generator *> generators_;
    iom_trace_reader *reader_ = nullptr;
    iom_replay *replay_ = nullptr;
    std::vector<std::unique_ptr<Completion>> completions_;
    uint64_t completed_ = 0;
    uint64_t stop_at_ = 0;
    bool stop_ = false;
};

} // namespace iommu_sim

#endif
