// SPDX-License-Identifier: Apache-2.0
//
// What the tests that play vectors share: where the files lie, the functional system, failures as text.
#ifndef IOM_TESTS_MODELS_VERIFY_FIXTURE_HPP
#define IOM_TESTS_MODELS_VERIFY_FIXTURE_HPP

#include <string>
#include <vector>

#include "models/verify/functional_target.h"
#include "models/verify/runner.h"

namespace verify_fixture
{

using namespace iommu_sim::verify;

inline std::string vector_path(const std::string &family)
{
    return std::string(IOM_SOURCE_DIR) + "/tests/data/vectors/" + family + ".jsonl.zst";
}

inline std::vector<TargetVariant> functional()
{
    return {{"functional", make_functional_target}};
}

inline std::string text_of(const Failure &failure)
{
    std::string text = failure.vector + " step " +
                       (failure.step ? std::to_string(*failure.step) : std::string("(end)")) + " " +
                       failure.operation;
    for (const Difference &difference : failure.differences)
        text += "; " + difference.what + ": expected " + difference.expected + ", got " + difference.got;
    return text;
}
} // namespace verify_fixture

#endif
