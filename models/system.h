// SPDX-License-Identifier: Apache-2.0
//
// A whole system from one configuration: memory, IOMMU, host, devices or a trace to replay, the netlist
// that connects them, and the hazard tracker that watches. Kernel-agnostic; models/session.h runs it.
//
//   device ── device TLB ── link ──> iommu0.frontend ── ... ──> memory
//   host (bring-up, threads of the workload, their DMA) ──> iommu0.registers, memory, devices' ports
//   replay: devices and driver of a recording in one unit
#ifndef IOMMU_SIM_MODELS_SYSTEM_H
#define IOMMU_SIM_MODELS_SYSTEM_H

#include <memory>
#include <string>
#include <vector>

#include "core/device_tlb.h"
#include "core/iommu.h"
#include "core/link.h"
#include "core/memory.h"
#include "core/memory_image.h"
#include "core/netlist.h"
#include "core/tracker.h"
#include "models/architecture.h"
#include "models/system_settings.h"
#include "models/workload.h"
#include "traffic/device.h"
#include "traffic/mapper.h"
#include "traffic/replay.h"
#include "traffic/trace.h"

namespace iommu_sim
{

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
    /// Null in a replay.
    iom_host *host()
    {
        return host_;
    }
    /// Null if tracker.enabled is false.
    iom_tracker *tracker() const
    {
        return tracker_;
    }
    iom_replay *replay()
    {
        return replay_;
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
    /// All threads of the workload are over; false without a workload.
    bool workload_over() const
    {
        return threads_running_ == 0 && !threads_.empty();
    }
    /// Null, or why driver, host or replay gave up.
    const char *error() const;

    /// Set at the end of bring-up, when `completed()` reaches the limit set here, and when the workload
    /// or the trace is over.
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
    void make_tracker();
    void make_memory();
    void make_mapper();
    void make_iommu(uint32_t inputs);
    void make_devices();
    void make_replay();
    iom_replay_driver replay_driver() const;
    uint8_t queue_log2() const;
    void premap();
    void make_host();
    std::vector<iom_host_domain> host_domains(std::vector<iom_iova_config> &addresses) const;
    std::vector<iom_host_program> host_programs();
    void connect_host();
    void connect_devices();
    void connect_device(iom_port *port, uint32_t input);
    iom_port *insert_device_tlb(iom_port *port, uint32_t input);
    iom_port *insert_link(iom_port *port, uint32_t input);
    void connect_invalidations(uint32_t tlb, iom_link *link);
    void attach();
    void check(iom_mapper_result result, const std::string &what) const;
    void count_completed(uint64_t requests);
    static void on_completed(void *context, uint64_t total);
    static void on_report(void *context, const iom_host_report *report);

    SystemConfig config_;
    std::unique_ptr<ArchitectureInstance> arch_;
    iom_netlist netlist_{};
    iom_memory_image *image_ = nullptr;
    iom_memory *memory_ = nullptr;
    iom_iommu iommu_{};
    bool iommu_made_ = false;
    iom_mapper *mapper_ = nullptr;
    iom_tracker *tracker_ = nullptr;
    iom_host *host_ = nullptr;
    std::vector<iom_device *> devices_; ///< one per configured device; null: the workload's
    std::vector<const iom_generator *> generators_;
    std::vector<iom_device_tlb *> device_tlbs_; ///< of the devices that have one, in their order
    std::vector<iom_link *> links_;
    std::vector<WorkloadThread> threads_;
    uint64_t threads_running_ = 0;
    iom_trace_reader *reader_ = nullptr;
    iom_replay *replay_ = nullptr;
    std::vector<std::unique_ptr<Completion>> completions_;
    uint64_t completed_ = 0;
    uint64_t stop_at_ = 0;
    bool stop_ = false;
};

} // namespace iommu_sim

#endif
