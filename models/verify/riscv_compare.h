// SPDX-License-Identifier: Apache-2.0
//
// Comparison for the vectors of riscv_vector.h: exact, but for what the specification leaves open (each such
// case stands at its place and in docs/verify.md).
#ifndef IOM_MODELS_VERIFY_RISCV_COMPARE_H
#define IOM_MODELS_VERIFY_RISCV_COMPARE_H

#include "models/verify/compare.h"
#include "models/verify/riscv_vector.h"

namespace iommu_sim::verify::riscv
{

/// How a request came back.
Differences compare_result(const DmaStep &request, const Result &expected, const DmaResult &got);

Differences compare_faults(const std::vector<FaultEntry> &expected, const std::vector<FaultEntry> &got);
Differences compare_page_requests(const std::vector<PageEntry> &expected, const std::vector<PageEntry> &got);
/// Tags of invalidations are not compared: the IOMMU chooses them.
Differences compare_messages(const std::vector<DeviceMessage> &expected,
                             const std::vector<DeviceMessage> &got);
/// Both ascending by address, or in any order.
Differences compare_memory(const std::vector<MemoryWord> &expected, const std::vector<MemoryWord> &got);
Differences compare_drain(const std::optional<Drain> &expected, const std::optional<Drain> &got);

/// Everything that a step brought about, except registers, whose values hold beyond the step.
Differences compare_effects(const Effects &expected, const Effects &got);

/// Texts for messages.
std::string describe(const FaultEntry &entry);
std::string describe(const PageEntry &entry);
std::string describe(const DeviceMessage &message);

} // namespace iommu_sim::verify::riscv

#endif
