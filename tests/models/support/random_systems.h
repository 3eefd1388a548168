// SPDX-License-Identifier: Apache-2.0
//
// Systems of random shape, each from its seed alone, and the results of runs as text, for the tests that
// compare kernels, partitions and evaluation orders.
#ifndef IOMMU_SIM_TESTS_MODELS_SUPPORT_RANDOM_SYSTEMS_H
#define IOMMU_SIM_TESTS_MODELS_SUPPORT_RANDOM_SYSTEMS_H

#include <string>

#include "models/config/system_config.h"
#include "models/session.h"
#include "models/systemc/systemc_kernel.h"
#include "tests/core/support/dice.h"

/// Devices with generators; no device TLBs, no workload.
iommu_sim::SystemConfig random_system(uint64_t seed, uint64_t requests);
/// Threads that map and unmap under a random policy, devices with and without device TLBs, and others with
/// traffic of their own. Hardware and driver are correct.
iommu_sim::SystemConfig random_workload(uint64_t seed);

/// The same around a RISC-V IOMMU, in a mode and with extensions that the seed decides.
iommu_sim::SystemConfig as_riscv(const iommu_sim::SystemConfig &config, uint64_t seed);

/// Everything a run has measured; the number of events is the kernels' own.
std::string text_of(const iommu_sim::SessionResult &result);
/// Empty, or the first line in which two results differ.
std::string difference(const std::string &expected, const std::string &found);

/// Results of whole runs as text. `shuffle` (may be null) seeds the evaluation order.
std::string core_result(const iommu_sim::SystemConfig &config, const uint64_t *shuffle);
enum class Cut { by_unit, three, random };
std::string systemc_result(const iommu_sim::SystemConfig &config, Cut cut, uint64_t seed);

struct Seeds {
    uint64_t first, count;
};
/// The range given, or that of IOMMU_SIM_RANDOM_SYSTEMS=first:count in the environment.
Seeds seeds(uint64_t first, uint64_t count);

#endif
