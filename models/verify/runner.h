// SPDX-License-Identifier: Apache-2.0
//
// Plays vectors on systems under test and counts.
//
// A vector counts once, whatever the number of systems (kernels, cache geometries) it is played on;
// it passes if it passes on all of them. Playing stops at a vector's first step that deviates, since
// later steps may fail only in consequence.
#ifndef IOM_MODELS_VERIFY_RUNNER_H
#define IOM_MODELS_VERIFY_RUNNER_H

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "models/verify/compare.h"
#include "models/verify/disputes.h"
#include "models/verify/target.h"
#include "models/verify/vector.h"
#include "models/verify/vector_file.h"

namespace iommu_sim::verify
{

enum class Mode {
    uncached, ///< caches are emptied before each DMA
    cached,   ///< caches work; comparison allows what caches may do
};

/// Where a vector deviated.
struct Failure {
    std::string vector;
    size_t line = 0; ///< of the file
    std::string variant;
    std::optional<size_t> step; ///< index from 0; absent: state after the last step
    std::string operation;      ///< "dma r device 0x18 address 0x1000", "final memory"
    Differences differences;
};

enum class Status { passed, failed, skipped };

struct VectorResult {
    Status status = Status::passed;
    std::vector<Failure> failures; ///< one for each variant that deviated
    const Dispute *dispute = nullptr;
    bool queue_ignored = false; ///< a system could not execute the vector's queue commands
    uint64_t stale_uses = 0;    ///< cached mode, all variants: stale uses, flagged by the hazard tracker
    MaskUse use;
};

/// Plays one vector on every variant. Throws std::runtime_error if a system cannot be made.
VectorResult play_vector(const Vector &vector, const std::vector<TargetVariant> &variants, Mode mode);
VectorResult play_vector(const riscv::Vector &vector, const std::vector<TargetVariant> &variants, Mode mode);
VectorResult play_vector(const AnyVector &vector, const std::vector<TargetVariant> &variants, Mode mode);

struct FileResult {
    std::string path;
    uint64_t passed = 0, failed = 0, skipped = 0;
    bool queue_ignored = false;
    uint64_t stale_uses = 0; ///< sum over its vectors
    MaskUse use;
    std::vector<Failure> failures;
    std::vector<std::string> skips; ///< "id: rule"
    std::set<std::string> notes;    ///< unknown fields

    uint64_t total() const
    {
        return passed + failed + skipped;
    }
};

/// Called after each vector: the vector, its result, and the counts so far.
using VectorObserver = std::function<void(const VectorName &, const VectorResult &, const FileResult &)>;

/// Plays the vectors of a file whose id matches `filter` (shell pattern; empty = all). Throws
/// VectorError or std::runtime_error; the message names the file.
FileResult play_file(const std::string &path, const std::string &filter,
                     const std::vector<TargetVariant> &variants, Mode mode, const VectorObserver &observer);

/// True if `id` matches the shell pattern (empty matches everything).
bool matches_filter(const std::string &id, const std::string &filter);

} // namespace iommu_sim::verify

#endif
