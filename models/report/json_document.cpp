// SPDX-License-Identifier: Apache-2.0
//
// Serialisation of result documents (see json_document.h).
#include "models/report/json_document.h"

#include <cmath>

#include "models/report/atomic_file.h"

namespace iommu_sim
{
namespace
{

/// Escapes of RFC 6901: '~' and '/' inside a key.
std::string pointer_token(const std::string &key)
{
    std::string result;
    for (const char c : key)
        result += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return result;
}

} // namespace

std::optional<std::string> find_non_finite(const nlohmann::ordered_json &document)
{
    if (document.is_number_float() && !std::isfinite(document.get<double>()))
        return "";
    if (!document.is_structured())
        return std::nullopt;
    size_t index = 0;
    for (const auto &item : document.items()) {
        const std::string token = document.is_array() ? std::to_string(index++) : pointer_token(item.key());
        if (const auto inner = find_non_finite(item.value()))
            return "/" + token + *inner;
    }
    return std::nullopt;
}

std::string json_text(const nlohmann::ordered_json &document)
{
    return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string write_json_file(const std::string &path, const nlohmann::ordered_json &document)
{
    if (const auto bad = find_non_finite(document))
        return path + ": not written: the number at '" + *bad + "' is infinite or undefined";
    return write_file(path, json_text(document));
}

} // namespace iommu_sim
