// SPDX-License-Identifier: Apache-2.0
//
// The keys of a system configuration: SystemConfig bound to the schema machinery.
#ifndef IOM_MODELS_CONFIG_SYSTEM_SCHEMA_H
#define IOM_MODELS_CONFIG_SYSTEM_SCHEMA_H

#include "models/config/schema.h"
#include "models/config/system_config.h"

namespace iommu_sim
{

/// Declares every key, and the checks for `use`. Cheap; callers that need it often keep the result.
std::shared_ptr<const SectionSchema> make_system_schema(ConfigUse use = ConfigUse::run);

/// Conditions between keys, each beside the section it belongs to (system_checks.cpp).
void check_cache_geometry(const CacheGeometry &cache, CheckReport &report);
void check_vtd(const VtdSettings &vtd, CheckReport &report);
void check_generator(const GeneratorSettings &generator, CheckReport &report);
void check_driver(const DriverSettings &driver, CheckReport &report);
void check_workload(const WorkloadSettings &workload, CheckReport &report);
void check_link(const LinkSettings &link, CheckReport &report);
void check_trace(const TraceSettings &trace, CheckReport &report);
void check_system(const SystemConfig &config, CheckReport &report);
/// Of settings that describe hardware to the cycle (timing_checks.cpp): for every use, and for one.
void check_timing(const SystemConfig &config, CheckReport &report);
void check_run(const SystemConfig &config, CheckReport &report);
void check_records(const SystemConfig &config, CheckReport &report);

} // namespace iommu_sim

#endif
