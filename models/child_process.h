// SPDX-License-Identifier: Apache-2.0
//
// Work in a process of its own: SystemC elaborates once per process, so whoever plays several systems under
// its kernel does each in a child.
#ifndef IOMMU_SIM_MODELS_CHILD_PROCESS_H
#define IOMMU_SIM_MODELS_CHILD_PROCESS_H

#include <functional>
#include <string>

namespace iommu_sim
{

/// Calls `work` in a child process and returns what it returns. Throws std::runtime_error with the message of
/// what `work` has thrown, or if the child could not be made or has failed.
std::string in_child_process(const std::function<std::string()> &work);

} // namespace iommu_sim

#endif
