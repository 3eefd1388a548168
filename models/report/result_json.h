// SPDX-License-Identifier: Apache-2.0
//
// The result file of a run. docs/results.md describes the schema.
//
// Everything that depends on the machine or the moment is in the last key, `run`; all else is the same,
// byte for byte, for the same configuration, seed and trace: on both kernels, with any compiler.
#ifndef IOMMU_SIM_MODELS_REPORT_RESULT_JSON_H
#define IOMMU_SIM_MODELS_REPORT_RESULT_JSON_H

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "models/hazards.h"
#include "models/session.h"
#include "models/system.h"

namespace iommu_sim
{

inline constexpr const char *result_schema_name = "iommu-sim.result";
inline constexpr int result_schema_version = 1;

/// Version of the program, "1.2.3".
const char *tool_version();

/// CRC-32C and length of a file's bytes, for telling traces apart.
struct FileChecksum {
    uint32_t crc32c = 0;
    uint64_t bytes = 0;
};
/// Nothing for standard input and what else is no regular file. Throws std::runtime_error if the file
/// cannot be read.
std::optional<FileChecksum> checksum_file(const std::string &path);

/// What depends on machine and moment.
struct RunInfo {
    std::string kernel;
    std::string config_path; ///< as on the command line
    std::vector<std::string> command_line;
    double wall_seconds = 0; ///< simulating, without building and reporting
};

/// `config` is the configuration as it was written (System's own has its trace path resolved).
nlohmann::ordered_json result_json(const SystemConfig &config, const System &system,
                                   const SessionResult &result, const HazardReport &hazards,
                                   const std::optional<FileChecksum> &trace, const RunInfo &run);

} // namespace iommu_sim

#endif
