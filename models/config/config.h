// SPDX-License-Identifier: Apache-2.0
//
// Loading, dumping, exporting and documenting configurations: what the rest of the program uses.
//
//     LoadedConfig loaded = load_config("system.yaml", {"iotlb.entries=256"});
//     if (!loaded.ok()) { for (const Diagnostic &d : loaded.diagnostics) ... d.text() ...; exit 2; }
//
// Nothing is thrown for bad input: every mistake of every file and --set argument is in
// `diagnostics`, sorted by position, and `config` must not be used unless ok().
#ifndef IOM_MODELS_CONFIG_CONFIG_H
#define IOM_MODELS_CONFIG_CONFIG_H

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/config/diagnostic.h"
#include "models/config/system_config.h"

namespace iommu_sim
{

struct LoadedConfig {
    SystemConfig config;
    std::vector<Diagnostic> diagnostics;

    bool ok() const
    {
        return diagnostics.empty();
    }
    /// One message per line, each with a newline; what goes to standard error.
    std::string messages() const;
};

/// Reads the file at `path` with its includes and lays `settings` ("key=value") over it, in order. `use` says
/// which keys can be used: others are mistakes, not passed over.
LoadedConfig load_config(const std::string &path, const std::vector<std::string> &settings = {},
                         ConfigUse use = ConfigUse::run);

/// The same for text in memory; `name` stands for the path in messages, includes are relative to it.
LoadedConfig load_config_text(const std::string &text, const std::string &name,
                              const std::vector<std::string> &settings = {}, ConfigUse use = ConfigUse::run);

/// Defaults with `settings` laid over them; for commands whose --config is optional.
LoadedConfig load_default_config(const std::vector<std::string> &settings = {});

/// YAML with every key, defaults included, units, ranges and descriptions as comments. Loading the
/// text again gives the same configuration and the same text.
std::string dump_config(const SystemConfig &config);

/// The whole configuration for result files, keys in the order of the documentation. Addresses and
/// registers are text ("0x10000000"), an absent optional is null.
nlohmann::ordered_json config_json(const SystemConfig &config);

/// The text of docs/configuration.md.
std::string configuration_document();

} // namespace iommu_sim

#endif
