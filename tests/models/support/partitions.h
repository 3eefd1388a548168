// SPDX-License-Identifier: Apache-2.0
//
// Results must not depend on the kernel, on how units are put into SystemC modules, or on the order in which
// modules are evaluated.
#ifndef IOM_TESTS_MODELS_SUPPORT_PARTITIONS_H
#define IOM_TESTS_MODELS_SUPPORT_PARTITIONS_H

#include <gtest/gtest.h>

#include <string>

#include "models/systemc/systemc_kernel.h"
#include "tests/models/support/child_process.h"

/// Runs a new Platform(arguments...) in each of several partitions on the SystemC kernel, in the given order
/// and shuffled. What its run(kernel) returns must be `expected`, which the core kernel gave. Each run is a
/// process of its own.
template <typename Platform, typename... Arguments>
void expect_in_every_partition(const std::string &expected, const Arguments &...arguments)
{
    for (unsigned modules : {0u, 1u, 3u}) { // 0: one per unit
        for (bool shuffle : {false, true}) {
            SCOPED_TRACE(std::to_string(modules) + (shuffle ? " shuffled" : ""));
            EXPECT_EQ(in_child([&] {
                          Platform platform(arguments...);
                          const iommu_sim::Partition parts =
                              modules == 0 ? iommu_sim::partition_by_unit(platform.netlist)
                                           : iommu_sim::partition_into(platform.netlist, modules);
                          iommu_sim::SystemcKernel kernel(platform.netlist, parts, 1000);
                          if (shuffle)
                              kernel.shuffle(5);
                          const std::string found = platform.run(kernel);
                          return kernel.payloads_in_use() == 0 ? found : "payloads leaked";
                      }),
                      expected);
        }
    }
}

#endif
