// SPDX-License-Identifier: Apache-2.0
//
// Finding and reading scenario files. See library.h.
#include "models/scenario/library.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

namespace iommu_sim
{

ScenarioText read_scenario_text(const std::string &path)
{
    std::error_code code;
    if (std::filesystem::is_directory(path, code))
        throw std::runtime_error(path + ": is a directory, not a scenario file");
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw std::runtime_error(path + ": cannot open: " + std::generic_category().message(errno));
    ScenarioText result{path, {std::istreambuf_iterator<char>(file), {}}};
    if (file.bad())
        throw std::runtime_error(path + ": cannot read");
    return result;
}

std::vector<ScenarioText> scenarios_of_folder(const std::string &folder)
{
    std::error_code code;
    std::vector<std::string> paths;
    for (std::filesystem::directory_iterator at(folder, code), end; !code && at != end; at.increment(code)) {
        if (at->path().extension() == ".yaml")
            paths.push_back(at->path().string());
    }
    if (code)
        throw std::runtime_error(folder + ": cannot read this folder: " + code.message());
    if (paths.empty())
        throw std::runtime_error(folder + ": holds no scenario files (*.yaml)");
    std::sort(paths.begin(), paths.end());
    std::vector<ScenarioText> texts;
    texts.reserve(paths.size());
    for (const std::string &path : paths)
        texts.push_back(read_scenario_text(path));
    return texts;
}

std::vector<ScenarioFile> read_scenarios(const std::vector<ScenarioText> &texts)
{
    std::vector<ScenarioFile> files;
    std::string problems;
    const auto report = [&](const std::string &line) { problems += (problems.empty() ? "" : "\n") + line; };
    for (const ScenarioText &text : texts) {
        ScenarioFile file(text.text, text.name);
        for (const std::string &problem : file.problems())
            report(problem);
        const auto same = std::find_if(files.begin(), files.end(),
                                       [&](const ScenarioFile &other) { return other.id() == file.id(); });
        if (same != files.end() && file.problems().empty())
            report(text.name + ": id " + file.id() + " is that of another file, too");
        files.push_back(std::move(file));
    }
    if (!problems.empty())
        throw std::runtime_error(problems);
    std::sort(files.begin(), files.end(), [](const ScenarioFile &a, const ScenarioFile &b) {
        return scenario_id_before(a.id(), b.id());
    });
    return files;
}

} // namespace iommu_sim
