// SPDX-License-Identifier: Apache-2.0
//
// The command `iommu-sim docs`: prints the documents that are generated from declarations in the
// program, so that they cannot fall behind it (tests/cli/docs_test.py compares the committed files).
#include "models/cli/docs_command.h"

#include <memory>

#include "models/cli/support.h"
#include "models/report/statistics_document.h"

namespace iommu_sim
{

void add_docs_command(CLI::App &app, int &status)
{
    CLI::App *command = app.add_subcommand("docs", "Print a generated document (Markdown)");
    const auto which = std::make_shared<std::string>();
    command->add_option("DOCUMENT", *which, "configuration: all keys; statistics: all statistics")
        ->required()
        ->check(CLI::IsMember({"configuration", "statistics"}));
    command->footer("Example:\n  iommu-sim docs statistics > docs/statistics.md");
    command->callback([which, &status] {
        status = print(*which == "configuration" ? configuration_document() : statistics_document());
    });
}

} // namespace iommu_sim
