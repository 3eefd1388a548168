// SPDX-License-Identifier: Apache-2.0
//
// The loader refuses exactly the cache shapes that the cache engine cannot be made with: a
// configuration that loads never fails later, and nothing the engine can do is withheld.
#include <gtest/gtest.h>

#include "core/cache.h"
#include "models/config/schema.h"
#include "models/config/system_schema.h"

namespace iommu_sim
{
namespace
{

bool loader_accepts(const CacheGeometry &geometry)
{
    SourceTable sources;
    DiagnosticList diagnostics(sources);
    GivenKeys given;
    given.values[""] = {sources.add_file("geometry"), 1, 1};
    CheckReport report(given, diagnostics, "");
    check_cache_geometry(geometry, report);
    return diagnostics.empty();
}

bool engine_accepts(const CacheGeometry &geometry)
{
    iom_cache_config config{};
    config.entries = geometry.entries;
    config.ways = geometry.ways;
    config.policy = geometry.policy;
    config.match = IOM_TAG_ADDRESS;
    return iom_cache_config_error(&config) == nullptr;
}

TEST(ConfigGeometry, AgreesWithTheEngine)
{
    size_t accepted = 0;
    size_t refused = 0;
    for (const iom_cache_policy policy :
         {IOM_POLICY_LRU, IOM_POLICY_PLRU, IOM_POLICY_FIFO, IOM_POLICY_RANDOM, IOM_POLICY_SRRIP}) {
        for (uint32_t entries = 0; entries <= 66; entries++) {
            for (uint32_t ways = 1; ways <= 66; ways++) {
                CacheGeometry geometry(entries, ways);
                geometry.policy = policy;
                ASSERT_EQ(loader_accepts(geometry), engine_accepts(geometry))
                    << entries << " entries, " << ways << " ways, policy " << policy;
                (loader_accepts(geometry) ? accepted : refused)++;
            }
        }
    }
    EXPECT_GT(accepted, 0u);
    EXPECT_GT(refused, 0u);
}

} // namespace
} // namespace iommu_sim
