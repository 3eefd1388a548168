// SPDX-License-Identifier: Apache-2.0
//
// The scenario that the tests of reading and of playing vary: one device, one mapped page, one CPU.
#ifndef IOM_TESTS_MODELS_SUPPORT_SCENARIO_TEXT_H
#define IOM_TESTS_MODELS_SUPPORT_SCENARIO_TEXT_H

#include <string>

namespace iommu_sim
{

/// A scenario file of the id T1 with these steps, expectations and, behind them, `more`.
inline std::string scenario_text(const std::string &steps, const std::string &expect,
                                 const std::string &more = "")
{
    return R"(id: T1
title: a test
source: none
question: why
answer: because
about: text
parameters: {n: 2, page: 0x1000}
system:
  devices:
    - {name: nic, source_id: "00:04.0"}
setup:
  - attach: {device: nic, domain: 2}
  - map: {domain: 2, iova: page, address: 0x100000}
threads:
  cpu:
)" + steps +
           "expect:\n" + expect + more;
}

} // namespace iommu_sim

#endif
