// SPDX-License-Identifier: Apache-2.0
//
// JSON result files: the same document gives the same bytes on every machine. Keys stay in the
// order of insertion, numbers follow no locale, doubles are written so that they read back exactly.
#ifndef IOM_MODELS_REPORT_JSON_DOCUMENT_H
#define IOM_MODELS_REPORT_JSON_DOCUMENT_H

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace iommu_sim
{

/// JSON pointer (RFC 6901) of the first number that is infinite or not a number, which JSON cannot
/// express and the library would silently turn into null.
std::optional<std::string> find_non_finite(const nlohmann::ordered_json &document);

/// Indented by two spaces, with a final newline. Bytes that are not UTF-8 become U+FFFD.
std::string json_text(const nlohmann::ordered_json &document);

/// Writes through AtomicFile. Returns an empty string, or an error that names path and reason.
std::string write_json_file(const std::string &path, const nlohmann::ordered_json &document);

} // namespace iommu_sim

#endif
