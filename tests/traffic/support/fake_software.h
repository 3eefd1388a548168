// SPDX-License-Identifier: Apache-2.0
//
// A table builder of no architecture: one store per attachment, detachment, map and unmap, and one more
// for the first map of a domain. Everything it is asked for is written down.
#ifndef IOM_TESTS_TRAFFIC_FAKE_SOFTWARE_H
#define IOM_TESTS_TRAFFIC_FAKE_SOFTWARE_H

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/software.h"

namespace iommu_sim::test
{

struct FakeMapping {
    uint64_t address;
    unsigned size_log2;
    uint8_t permissions;
};

/// State of the fake, owned by the test; passed as `settings` (by address).
struct FakeTables {
    std::map<std::pair<uint32_t, uint64_t>, FakeMapping> pages; ///< by domain and iova
    std::map<std::pair<uint32_t, uint32_t>, uint32_t> attached; ///< by source and pasid
    std::map<uint32_t, uint64_t> roots;                         ///< table of a domain
    std::vector<iom_register_write> startup;
    iom_software_host host{};
    iom_software_limits limits{UINT64_C(1) << 12 | UINT64_C(1) << 21 | UINT64_C(1) << 30, 48, 20, 65536};
    unsigned fail_after = UINT32_MAX; ///< maps until "out of memory"

    /// Output address of `iova`, or UINT64_MAX.
    uint64_t translate(uint32_t domain, uint64_t iova, uint8_t *permissions = nullptr) const;
};

/// The operations; `iom_software_config.settings` is a FakeTables **.
extern const iom_software_ops fake_software_ops;

} // namespace iommu_sim::test

#endif
