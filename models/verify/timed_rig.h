// SPDX-License-Identifier: Apache-2.0
//
// The test bench around timed systems: for each cache geometry one complete IOMMU with memory and a
// probe unit that injects DMA and register accesses, all in one netlist under one kernel.
//
// A rig is built once and reset for each vector, because SystemC elaborates only once in a process.
// What a vector asks for (capabilities, widths) lives in the architecture's configuration struct,
// which the rig overwrites in place while nothing is under way.
#ifndef IOM_MODELS_VERIFY_TIMED_RIG_H
#define IOM_MODELS_VERIFY_TIMED_RIG_H

#include <memory>
#include <string>
#include <vector>

#include "core/control.h"
#include "core/dma.h"
#include "core/iommu.h"
#include "core/memory.h"
#include "core/tracker_report.h"
#include "models/config/system_config.h"
#include "models/kernel.h"
#include "models/systemc/systemc_kernel.h"
#include "models/verify/device_side.h"
#include "models/verify/functional_target.h"

namespace iommu_sim::verify
{

/// A named set of caches and wiring that vectors are played on.
struct Geometry {
    std::string name;
    SystemConfig config;
};

/// Built-in geometries: "large" (fully associative, nothing is ever displaced), "small" (one to four
/// entries, everything is displaced all the time), "chained" (each cache a unit of its own).
std::vector<Geometry> builtin_geometries();

/// A unit that sends what it is given and keeps what comes back. It stands for the host and for every device
/// of a vector. Ports: 0 DMA, 1 registers, 2 messages to devices.
class Probe
{
  public:
    Probe(const std::string &name);
    ~Probe();
    Probe(const Probe &) = delete;
    Probe &operator=(const Probe &) = delete;

    iom_unit *unit()
    {
        return &unit_.unit;
    }
    iom_port *dma_port()
    {
        return &ports_[0];
    }
    iom_port *mmio_port()
    {
        return &ports_[1];
    }
    iom_port *message_port()
    {
        return &ports_[2];
    }
    /// Forgets what has been received; from now on devices behave as `devices` says.
    void reset(const DeviceSide &devices)
    {
        devices_ = devices;
    }
    DeviceSide &devices()
    {
        return devices_;
    }
    /// Queues the completion message of one tag.
    void complete(const InvalidationCompletion &completion, unsigned tag);
    /// Queues a request; it leaves when the unit is next advanced.
    void send(const iom_xlate &request);
    void write_register(uint32_t offset, unsigned bytes, uint64_t value);
    /// The answer to the last request; valid when the kernel is idle again.
    const iom_dma &answer() const
    {
        return answer_;
    }
    bool answered() const
    {
        return answered_;
    }

  private:
    struct Unit {
        iom_unit unit; // first: found back from the unit pointer
        Probe *probe;
    };
    static iom_cycle advance(iom_unit *unit, iom_cycle now);
    void step(iom_cycle now);
    void take_message(iom_msg *msg, iom_cycle now);

    static const iom_unit_ops ops_;
    Unit unit_ = {};
    static constexpr unsigned port_count = 3;
    iom_port ports_[port_count] = {};
    iom_pool dma_pool_, mmio_pool_, completion_pool_;
    DeviceSide devices_{0};
    std::vector<std::pair<unsigned, iom_msg *>> queued_; ///< port, message
    iom_dma answer_ = {};
    bool answered_ = false;
};

/// One system of a rig.
class RigSystem
{
  public:
    /// `tracked`: with a hazard tracker.
    RigSystem(const Geometry &geometry, const std::string &name, iom_netlist &netlist, bool tracked);
    ~RigSystem();
    RigSystem(const RigSystem &) = delete;
    RigSystem &operator=(const RigSystem &) = delete;

    /// Back to reset with another architecture configuration; nothing may be under way but requests that
    /// devices hold (TimedRig::give_up).
    void reset(const ArchInstance &instance, const std::vector<RamRange> &ram, const DeviceSide &devices,
               iom_cycle now);

    Probe probe;
    iom_memory_image *image = nullptr;
    iom_iommu iommu = {};
    iom_tracker *tracker = nullptr; ///< null: none
    ChangeLog changes;              ///< what the IOMMU has changed in the image

    /// Stale uses that the tracker has seen up to and including cycle `now`.
    uint64_t stale_uses(iom_cycle now);

  private:
    iom_memory *memory_ = nullptr;
    ArchInstance instance_; ///< keeps the configuration alive
};

class TimedRig
{
  public:
    /// `kernel` is "core" or "systemc".
    TimedRig(const std::vector<Geometry> &geometries, const std::string &kernel, bool tracked);
    ~TimedRig();
    TimedRig(const TimedRig &) = delete;
    TimedRig &operator=(const TimedRig &) = delete;

    RigSystem &system(size_t index)
    {
        return *systems_[index];
    }
    /// Runs until nothing is left to do, or nothing but waiting for devices to complete invalidations. Throws
    /// std::runtime_error on a deadlock.
    void settle();
    /// The time of these invalidation requests of a system is over.
    void expire(RigSystem &system, uint32_t tags);
    /// Ends all that waits for devices.
    void give_up(RigSystem &system);
    iom_cycle now() const
    {
        return kernel_->now();
    }

  private:
    Partition partition() const;

    iom_netlist netlist_ = {};
    std::vector<std::unique_ptr<RigSystem>> systems_;
    std::unique_ptr<Kernel> kernel_;
};

} // namespace iommu_sim::verify

#endif
