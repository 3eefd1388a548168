// SPDX-License-Identifier: Apache-2.0
//
// Choice of systems: see target_factory.h.
#include "models/verify/target_factory.h"

#include <stdexcept>

#include "models/verify/functional_target.h"

namespace iommu_sim::verify
{

std::vector<TargetVariant> target_variants(const TargetOptions &options, Mode mode)
{
    if (options.kernel != "functional")
        throw std::runtime_error(
            "--kernel " + options.kernel +
            ": vectors are played on the functional system only; use --kernel functional");
    if (!options.config_file.empty() || !options.settings.empty() || !options.geometry.empty())
        throw std::runtime_error("--config and --set describe a timed system; the functional system takes "
                                 "everything from the vectors");
    if (mode == Mode::cached)
        throw std::runtime_error("--mode cached: the functional system has no caches; use --mode uncached");
    return {{"functional", make_functional_target}};
}

} // namespace iommu_sim::verify
