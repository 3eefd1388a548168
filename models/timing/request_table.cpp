// SPDX-License-Identifier: Apache-2.0
//
// Comma-separated requests. See request_table.h.
#include "models/timing/request_table.h"

#include "models/input/json_node.h"

namespace iommu_sim::timing
{

namespace
{

constexpr const char *side_columns[] = {"presented", "accepted", "done", "result",
                                        "address",   "cause",    "reads"};

std::string header()
{
    std::string text = "file,record,request";
    for (const char *side : {"recorded", "simulated"}) {
        for (const char *column : side_columns)
            text += std::string(",") + side + "_" + column;
    }
    return text + ",verdict,why\n";
}

/// Quoted where separators would be mistaken.
std::string field(const std::string &text)
{
    if (text.find_first_of(",\"\r\n") == std::string::npos)
        return text;
    std::string quoted = "\"";
    for (const char c : text)
        quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
}

std::string cycle_field(iom_cycle cycle)
{
    return cycle == IOM_NEVER ? "" : std::to_string(cycle);
}

const char *result_name(Result result)
{
    switch (result) {
    case Result::address:
        return "address";
    case Result::fault:
        return "fault";
    case Result::none:
        break;
    }
    return "none";
}

const char *verdict_name(Verdict verdict)
{
    switch (verdict) {
    case Verdict::exact:
        return "exact";
    case Verdict::off:
        return "off";
    case Verdict::uncounted:
        break;
    }
    return "uncounted";
}

/// In the order of side_columns.
std::string side_fields(const Outcome &outcome, uint64_t reads)
{
    std::string text;
    for (const iom_cycle cycle : {outcome.presented, outcome.accepted, outcome.done})
        text += cycle_field(cycle) + ",";
    text += std::string(result_name(outcome.result)) + ",";
    text += (outcome.result == Result::address ? hexadecimal_text(outcome.address) : "") + ",";
    text += (outcome.result == Result::fault && outcome.cause ? std::to_string(*outcome.cause) : "") + ",";
    return text + std::to_string(reads) + ",";
}

} // namespace

bool RequestTable::open(const std::string &path)
{
    return file_.open(path) && file_.write(header());
}

bool RequestTable::add(const std::string &file, const RecordResult &record)
{
    const std::string begin = field(file) + "," + field(record.id) + ",";
    const auto &requests = record.comparison.each_request;
    for (size_t i = 0; i < requests.size(); i++) {
        const ComparedRequest &request = requests[i];
        if (!file_.write(begin + std::to_string(i) + "," +
                         side_fields(request.recorded, request.recorded_reads) +
                         side_fields(request.simulated, request.simulated_reads) +
                         verdict_name(request.verdict) + "," + field(request.why) + "\n"))
            return false;
    }
    return true;
}

bool RequestTable::commit()
{
    return file_.commit();
}

} // namespace iommu_sim::timing
