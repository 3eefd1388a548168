// SPDX-License-Identifier: Apache-2.0
//
// Reads a configuration file and everything it includes into one tree of written values.
//
//     include: [parts/iotlb-large.yaml, profiles/quick.yaml]
//
// Paths are relative to the file that includes. Later files override earlier ones and the file's
// own keys override all of them; maps merge key by key, lists are replaced as a whole. Included
// files may include others; a cycle is an error, the same file twice is not.
#ifndef IOM_MODELS_CONFIG_CONFIG_SOURCE_H
#define IOM_MODELS_CONFIG_CONFIG_SOURCE_H

#include <optional>
#include <string>

#include "models/config/value_tree.h"

namespace iommu_sim
{

struct ConfigSource {
    std::optional<ValueNode> root; ///< a map, `include` resolved and removed
    bool partial = false;          ///< something could not be read; its mistakes are reported
};

/// Reads `path` as the user gave it (that is also how messages name it).
ConfigSource read_config_source(const std::string &path, SourceTable &sources, DiagnosticList &diagnostics);

/// The same for text that is in memory; `name` stands for the file, includes are relative to it.
ConfigSource read_config_text(const std::string &text, const std::string &name, SourceTable &sources,
                              DiagnosticList &diagnostics);

} // namespace iommu_sim

#endif
