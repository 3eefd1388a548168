// SPDX-License-Identifier: Apache-2.0
//
// Shared parts of the commands. See support.h.
#include "models/cli/support.h"

#include <cerrno>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <system_error>

#include "models/kernel.h"

namespace iommu_sim
{

namespace
{

constexpr const char *standard_input = "<standard input>";

bool sets_trace(const std::string &setting)
{
    return setting.rfind("trace.file=", 0) == 0 || setting.rfind("trace=", 0) == 0;
}

} // namespace

std::string ConfigArguments::shown() const
{
    return path == "-" ? standard_input : path;
}

void add_config_arguments(CLI::App &command, ConfigArguments &arguments)
{
    command.add_option("CONFIG", arguments.path, "Configuration (YAML); - reads standard input")
        ->required()
        ->type_name("");
    command.add_option("--set", arguments.settings, "Override one key; may be repeated")
        ->allow_extra_args(false)
        ->type_name("KEY=VALUE");
}

LoadedConfig load(const ConfigArguments &arguments, ConfigUse use)
{
    if (arguments.path != "-")
        return load_config(arguments.path, arguments.settings, use);
    // It can be read once, and may be asked for again for another use.
    static const std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
    return load_config_text(text, standard_input, arguments.settings, use);
}

std::string resolve_trace_file(const std::string &file, const ConfigArguments &arguments,
                               bool on_command_line)
{
    for (const std::string &setting : arguments.settings)
        on_command_line = on_command_line || sets_trace(setting);
    const std::filesystem::path path(file);
    if (file.empty() || file == "-" || on_command_line || path.is_absolute() || arguments.path == "-")
        return file;
    return (std::filesystem::path(arguments.path).parent_path() / path).lexically_normal().string();
}

std::string quoted(const std::string &text)
{
    std::string result = "'";
    for (const char c : text)
        result += c == '\'' ? "''" : std::string(1, c);
    return result + "'";
}

int bad_input(const std::string &text)
{
    std::cout.flush();
    std::cerr << "iommu-sim: " << text << (text.empty() || text.back() != '\n' ? "\n" : "");
    return exit_bad_input;
}

int bad_connections(const ConfigArguments &arguments, const std::invalid_argument &problem)
{
    return bad_input(arguments.shown() + ": " + connections_text(problem));
}

int print(const std::string &text, int status)
{
    errno = 0;
    std::cout << text;
    std::cout.flush();
    if (std::cout)
        return status;
    const int error = errno;
    std::cout.clear();
    return bad_input("standard output cannot be written" +
                     (error != 0 ? ": " + std::generic_category().message(error) : std::string()));
}

} // namespace iommu_sim
