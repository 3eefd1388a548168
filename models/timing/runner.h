// SPDX-License-Identifier: Apache-2.0
//
// Plays files of records and adds up what differs.
#ifndef IOMMU_SIM_MODELS_TIMING_RUNNER_H
#define IOMMU_SIM_MODELS_TIMING_RUNNER_H

#include <functional>
#include <string>
#include <vector>

#include "models/config/system_config.h"
#include "models/timing/compare.h"
#include "models/timing/rig.h"

namespace iommu_sim::timing
{

/// One record played.
struct RecordResult {
    std::string id;
    size_t line = 0;
    Comparison comparison;
    std::vector<uint32_t> stale; ///< requests that used a translation after it was reported gone
};

struct FileResult {
    std::string path;
    uint64_t records = 0, exact_records = 0;
    Count requests, commands, fault_records, operations;
    uint64_t max_error_cycles = 0;
    std::vector<RecordResult> off;   ///< records with something off
    std::vector<RecordResult> stale; ///< records with stale uses
    std::vector<std::string> notes;  ///< fields of the records that are not known

    uint64_t off_items() const
    {
        return requests.off + commands.off + fault_records.off + operations.off;
    }
    void add(const RecordResult &record);
};

/// Plays one record. Under the SystemC kernel in a process of its own, since it elaborates once per process.
/// Throws std::runtime_error naming the record.
RecordResult play_record(const SystemConfig &profile, const Record &record, KernelKind kernel);

struct RunOptions {
    KernelKind kernel = KernelKind::core;
    std::string filter; ///< shell pattern for ids; empty: all
};

/// Plays the records of a file; `observe` is called after each. Throws InputError or std::runtime_error; the
/// message names the file.
FileResult play_file(const std::string &path, const SystemConfig &profile, const RunOptions &options,
                     const std::function<void(const RecordResult &, const FileResult &)> &observe);

} // namespace iommu_sim::timing

#endif
