// SPDX-License-Identifier: Apache-2.0
//
// Explaining unusable command lines. See arguments.h.
#include "models/cli/arguments.h"

#include <algorithm>

#include "models/config/suggest.h"

namespace iommu_sim
{

namespace
{

std::vector<std::string> command_names(const CLI::App &app)
{
    std::vector<std::string> names;
    for (const CLI::App *command : app.get_subcommands({}))
        names.push_back(command->get_name());
    return names;
}

std::vector<std::string> option_names(const CLI::App &app)
{
    std::vector<std::string> names;
    for (const CLI::Option *option : app.get_options({})) {
        for (const std::string &name : option->get_lnames())
            names.push_back("--" + name);
        for (const std::string &name : option->get_snames())
            names.push_back("-" + name);
    }
    return names;
}

bool contains(const std::vector<std::string> &names, const std::string &name)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::string joined(const std::vector<std::string> &words)
{
    std::string text;
    for (const std::string &word : words)
        text += (text.empty() ? "" : ", ") + word;
    return text;
}

/// The command a command line means, and where its own arguments begin.
struct Selection {
    const CLI::App *command;
    std::string name; ///< "iommu-sim trace import"
    size_t next = 0;
};

Selection select(const CLI::App &app, const std::vector<std::string> &arguments)
{
    Selection selection = {&app, app.get_name(), 0};
    for (; selection.next < arguments.size(); selection.next++) {
        const std::string &word = arguments[selection.next];
        if (!contains(command_names(*selection.command), word))
            break;
        selection.command = selection.command->get_subcommand(word);
        selection.name += " " + word;
    }
    return selection;
}

std::string unknown_word(const Selection &selection, const std::vector<std::string> &arguments)
{
    const std::vector<std::string> commands = command_names(*selection.command);
    if (!commands.empty() && selection.next < arguments.size() &&
        arguments[selection.next].rfind('-', 0) != 0) {
        const std::string &word = arguments[selection.next];
        const std::string hint = did_you_mean(word, commands);
        return "unknown command '" + word + "'" + (hint.empty() ? "; commands: " + joined(commands) : hint);
    }
    const std::vector<std::string> options = option_names(*selection.command);
    for (size_t i = selection.next; i < arguments.size() && arguments[i] != "--"; i++) {
        const std::string name = arguments[i].substr(0, arguments[i].find('='));
        if (name.size() > 1 && name[0] == '-' && !contains(options, name))
            return "unknown option '" + name + "'" + did_you_mean(name, options);
    }
    if (!commands.empty())
        return "no command given; commands: " + joined(commands);
    return "";
}

} // namespace

std::string argument_problem(const CLI::App &app, const std::vector<std::string> &arguments,
                             const CLI::ParseError &error)
{
    const Selection selection = select(app, arguments);
    std::string problem = unknown_word(selection, arguments);
    if (problem.empty())
        problem = error.what();
    while (!problem.empty() && (problem.back() == '\n' || problem.back() == '.'))
        problem.pop_back();
    return problem + "; see `" + selection.name + " --help`";
}

} // namespace iommu_sim
