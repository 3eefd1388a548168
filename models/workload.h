// SPDX-License-Identifier: Apache-2.0
//
// The workload: CPU threads that do what a network or storage driver does with streaming DMA - map a
// buffer, let the device use it, unmap it - as programs for the host unit (traffic/host.h).
//
//   repeat iterations
//     map (or map a scatter-gather list), addresses from the allocator
//     DMA requests over the mapping, wait for their answers
//     unmap under the driver's policy
//     late requests of a device with a bug; think
//   mark: the thread is over
#ifndef IOMMU_SIM_MODELS_WORKLOAD_H
#define IOMMU_SIM_MODELS_WORKLOAD_H

#include <string>
#include <vector>

#include "models/config/system_config.h"
#include "traffic/host.h"

namespace iommu_sim
{

/// One thread: its operations and what its program refers to.
struct WorkloadThread {
    std::string name;
    uint32_t cpu = 0;
    uint32_t device = 0; ///< index into SystemConfig::devices
    std::vector<iom_host_op> ops;
};

/// log2 of the bytes of physical memory that the buffers of one thread take.
unsigned workload_buffers_log2(const WorkloadSettings &settings);

/// The threads of a configuration. `buffers` holds the physical address of each thread's buffers.
std::vector<WorkloadThread> workload_threads(const SystemConfig &config,
                                             const std::vector<uint64_t> &buffers);

} // namespace iommu_sim

#endif
