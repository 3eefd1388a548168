// SPDX-License-Identifier: Apache-2.0
//
// Choice of systems: see target_factory.h.
#include "models/verify/target_factory.h"

#include <memory>
#include <stdexcept>

#include "models/config/config.h"
#include "models/verify/functional_target.h"
#include "models/verify/timed_target.h"

namespace iommu_sim::verify
{

namespace
{

// The geometry that a configuration file and settings describe.
Geometry configured_geometry(const TargetOptions &options)
{
    LoadedConfig loaded = options.config_file.empty() ? load_default_config(options.settings)
                                                      : load_config(options.config_file, options.settings);
    if (!loaded.ok())
        throw std::runtime_error("the configuration cannot be used\n" + loaded.messages());
    return {options.config_file.empty() ? "--set" : options.config_file, loaded.config};
}

std::vector<Geometry> chosen_geometries(const TargetOptions &options)
{
    if (!options.config_file.empty() || !options.settings.empty())
        return {configured_geometry(options)};
    std::vector<Geometry> all = builtin_geometries();
    if (options.geometry.empty())
        return all;
    for (const Geometry &geometry : all) {
        if (geometry.name == options.geometry)
            return {geometry};
    }
    throw std::runtime_error("there is no cache geometry '" + options.geometry + "'");
}

} // namespace

std::vector<TargetVariant> target_variants(const TargetOptions &options, Mode mode)
{
    if (options.kernel == "functional") {
        if (mode == Mode::cached)
            throw std::runtime_error("--mode cached: the functional system has no caches; choose --kernel "
                                     "core or systemc");
        if (!options.config_file.empty() || !options.settings.empty() || !options.geometry.empty())
            throw std::runtime_error(
                "--config and --set describe a timed system; the functional system takes "
                "everything from the vectors");
        return {{"functional", make_functional_target}};
    }
    const std::vector<Geometry> geometries = chosen_geometries(options);
    auto rig = std::make_shared<TimedRig>(geometries, options.kernel, mode == Mode::cached);
    std::vector<TargetVariant> variants;
    for (size_t i = 0; i < geometries.size(); i++) {
        variants.push_back(
            {geometries[i].name, [rig, i](const VectorConfig &config) -> std::unique_ptr<Target> {
                 return std::make_unique<TimedTarget>(rig, i, config);
             }});
    }
    return variants;
}

} // namespace iommu_sim::verify
