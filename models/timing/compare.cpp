// SPDX-License-Identifier: Apache-2.0
//
// Comparison of records. See compare.h.
#include "models/timing/compare.h"

#include <algorithm>

#include "models/input/json_node.h"

namespace iommu_sim::timing
{

namespace
{

std::string cycle_text(iom_cycle cycle)
{
    return cycle == IOM_NEVER ? "never" : std::to_string(cycle);
}

/// Of an item; the rest says the same once more.
constexpr size_t differences_kept = 8;

/// Collects the differences of one request, command, ...
class Item
{
  public:
    explicit Item(std::string name)
    {
        off_.name = std::move(name);
    }

    void cycle(const std::string &what, iom_cycle expected, iom_cycle got)
    {
        if (expected == got)
            return;
        if (expected != IOM_NEVER && got != IOM_NEVER)
            error_cycles_ = std::max(error_cycles_, expected > got ? expected - got : got - expected);
        note(what, cycle_text(expected), cycle_text(got), std::min(expected, got));
    }
    /// Anything else; `at` says when it shows.
    void text(const std::string &what, const std::string &expected, const std::string &got, iom_cycle at)
    {
        if (expected != got)
            note(what, expected, got, at);
    }
    void number(const std::string &what, uint64_t expected, uint64_t got, iom_cycle at)
    {
        text(what, std::to_string(expected), std::to_string(got), at);
    }
    void address(const std::string &what, uint64_t expected, uint64_t got, iom_cycle at)
    {
        text(what, hexadecimal_text(expected), hexadecimal_text(got), at);
    }

    bool exact() const
    {
        return off_.differences.empty();
    }
    /// What differs, in one line.
    std::string why() const
    {
        std::string text;
        for (const Difference &difference : off_.differences)
            text += (text.empty() ? "" : "; ") + difference.what + ": expected " + difference.expected +
                    ", got " + difference.got;
        return text + (off_.more != 0 ? "; and " + std::to_string(off_.more) + " more" : "");
    }
    /// Adds it to its count, and to the rest of the comparison.
    void finish(Count &count, Comparison &comparison)
    {
        exact() ? count.exact++ : count.off++;
        comparison.max_error_cycles = std::max(comparison.max_error_cycles, error_cycles_);
        if (!exact() && (!comparison.first || off_.cycle < comparison.first->cycle))
            comparison.first = std::move(off_);
    }

  private:
    void note(const std::string &what, const std::string &expected, const std::string &got, iom_cycle at)
    {
        off_.cycle = std::min(off_.cycle, at);
        if (off_.differences.size() < differences_kept)
            off_.differences.push_back({what, expected, got});
        else
            off_.more++;
    }

    OffItem off_;
    uint64_t error_cycles_ = 0;
};

// ---- accesses ------------------------------------------------------------------------------------------

std::string read_text(const Read *read)
{
    if (read == nullptr)
        return "none";
    return std::string(client_name(read->client)) + ", " + std::to_string(read->beats) + " beats at " +
           hexadecimal_text(read->address) + ", accepted in " + cycle_text(read->accepted) + ", beats in " +
           cycle_text(read->first) + " to " + cycle_text(read->last);
}

// Null: it did not take place.
void compare_reads(Item &item, const std::string &what, const Read *expected, const Read *got)
{
    const bool same_place = expected != nullptr && got != nullptr && expected->client == got->client &&
                            expected->address == got->address && expected->beats == got->beats;
    if (same_place) {
        item.cycle(what + ": accepted", expected->accepted, got->accepted);
        item.cycle(what + ": first beat", expected->first, got->first);
        item.cycle(what + ": last beat", expected->last, got->last);
    } else if (expected != nullptr || got != nullptr) {
        item.text(what, read_text(expected), read_text(got),
                  std::min(expected != nullptr ? expected->accepted : IOM_NEVER,
                           got != nullptr ? got->accepted : IOM_NEVER));
    }
}

std::string write_text(const Write *write)
{
    if (write == nullptr)
        return "none";
    return std::to_string(write->data.size()) + " beats at " + hexadecimal_text(write->address) +
           ", accepted in " + cycle_text(write->accepted);
}

void compare_writes(Item &item, const std::string &what, const Write *expected, const Write *got)
{
    const bool same_place = expected != nullptr && got != nullptr && expected->address == got->address &&
                            expected->data.size() == got->data.size();
    if (!same_place) {
        if (expected != nullptr || got != nullptr)
            item.text(what, write_text(expected), write_text(got),
                      std::min(expected != nullptr ? expected->accepted : IOM_NEVER,
                               got != nullptr ? got->accepted : IOM_NEVER));
        return;
    }
    item.cycle(what + ": address accepted", expected->accepted, got->accepted);
    for (size_t i = 0; i < expected->data.size(); i++) {
        const std::string beat = what + ": beat " + std::to_string(i);
        item.cycle(beat, expected->beats[i], i < got->beats.size() ? got->beats[i] : IOM_NEVER);
        item.address(beat + ", data", expected->data[i], got->data[i], expected->beats[i]);
    }
    item.cycle(what + ": response", expected->responded, got->responded);
}

// ---- requests ------------------------------------------------------------------------------------------

using Reads = std::vector<const Read *>;

/// Reads of walks, by the request they belong to.
std::vector<Reads> reads_of_requests(const Record &record)
{
    std::vector<Reads> result(record.requests.size());
    for (const Read &read : record.activity.reads) {
        if (read.request && read.client != Client::commands)
            result[*read.request].push_back(&read);
    }
    return result;
}

std::vector<Reads> reads_of_requests(const Observation &seen)
{
    Reads walks;
    std::vector<iom_cycle> cycles;
    for (const Read &read : seen.activity.reads) {
        if (read.client == Client::commands)
            continue;
        walks.push_back(&read);
        cycles.push_back(read.accepted);
    }
    const auto owners = requests_in_service(seen.requests, cycles);
    std::vector<Reads> result(seen.requests.size());
    for (size_t i = 0; i < walks.size(); i++) {
        if (owners[i])
            result[*owners[i]].push_back(walks[i]);
    }
    return result;
}

std::string result_text(const Outcome &outcome)
{
    switch (outcome.result) {
    case Result::address:
        return "address " + hexadecimal_text(outcome.address);
    case Result::fault:
        return outcome.cause ? "fault, cause " + std::to_string(*outcome.cause) : "refused";
    case Result::none:
        break;
    }
    return "none";
}

void compare_request(Item &item, const Outcome &expected, const Outcome &got, const Reads &expected_reads,
                     const Reads &got_reads)
{
    item.text("result", result_text(expected), result_text(got), std::min(expected.done, got.done));
    item.cycle("presented", expected.presented, got.presented);
    item.cycle("accepted", expected.accepted, got.accepted);
    item.cycle("done", expected.done, got.done);
    item.number("reads", expected_reads.size(), got_reads.size(),
                std::min(expected.presented, got.presented));
    for (size_t i = 0; i < std::max(expected_reads.size(), got_reads.size()); i++)
        compare_reads(item, "read " + std::to_string(i),
                      i < expected_reads.size() ? expected_reads[i] : nullptr,
                      i < got_reads.size() ? got_reads[i] : nullptr);
}

void compare_requests(const Record &record, const Observation &seen, Comparison &comparison)
{
    const std::vector<Reads> expected_reads = reads_of_requests(record), got_reads = reads_of_requests(seen);
    for (uint32_t i = 0; i < record.requests.size(); i++) {
        const Outcome &expected = record.requests[i].outcome, &got = seen.requests[i];
        ComparedRequest &request = comparison.each_request.emplace_back();
        request.recorded = expected;
        request.simulated = got;
        request.recorded_reads = expected_reads[i].size();
        request.simulated_reads = got_reads[i].size();
        if (expected.presented == IOM_NEVER)
            continue;
        Item item("request " + std::to_string(i));
        if (expected.result != Result::none)
            compare_request(item, expected, got, expected_reads[i], got_reads[i]);
        else if (got.done < record.cycles)
            item.text("result", "none by cycle " + std::to_string(record.cycles),
                      result_text(got) + " in " + cycle_text(got.done), got.done);
        request.verdict = item.exact() ? Verdict::exact : Verdict::off;
        request.why = item.why();
        item.finish(comparison.requests, comparison);
    }
}

// ---- commands and fault records ------------------------------------------------------------------------

struct Command {
    const Read *read = nullptr;
    const Event *head = nullptr;
    std::vector<const Event *> flushes;
    const Write *data = nullptr;
};

struct FaultRecord {
    const Write *write = nullptr;
    const Event *tail = nullptr;
};

/// The n-th element of a list that grows to have it.
template <class Element> Element &grown(std::vector<Element> &list, size_t n)
{
    if (list.size() <= n)
        list.resize(n + 1);
    return list[n];
}

// What comes after the n-th fetch and not after the next belongs to the n-th command.
std::vector<Command> commands_of(const Activity &activity)
{
    std::vector<Command> commands;
    std::vector<iom_cycle> fetched;
    for (const Read &read : activity.reads) {
        if (read.client != Client::commands)
            continue;
        commands.emplace_back().read = &read;
        fetched.push_back(read.accepted);
    }
    const auto number_at = [&](iom_cycle cycle) {
        const auto next = std::upper_bound(fetched.begin(), fetched.end(), cycle);
        return next == fetched.begin() ? size_t{0} : static_cast<size_t>(next - fetched.begin()) - 1;
    };
    size_t heads = 0;
    for (const Event &event : activity.events) {
        if (event.kind == EventKind::command_head)
            grown(commands, heads++).head = &event;
        else if (event.kind < EventKind::command_head)
            grown(commands, number_at(event.cycle)).flushes.push_back(&event);
    }
    for (const Write &write : activity.writes) {
        if (write.client == Client::commands)
            grown(commands, number_at(write.accepted)).data = &write;
    }
    return commands;
}

std::vector<FaultRecord> fault_records_of(const Activity &activity)
{
    std::vector<FaultRecord> records;
    size_t writes = 0, tails = 0;
    for (const Write &write : activity.writes) {
        if (write.client == Client::records)
            grown(records, writes++).write = &write;
    }
    for (const Event &event : activity.events) {
        if (event.kind == EventKind::fault_tail)
            grown(records, tails++).tail = &event;
    }
    return records;
}

void compare_register(Item &item, const Event *expected, const Event *got, EventKind kind)
{
    const std::string name = event_name(kind);
    const auto cycle = [](const Event *event) { return event != nullptr ? event->cycle : IOM_NEVER; };
    item.cycle(name + " changed", cycle(expected), cycle(got));
    if (expected != nullptr && got != nullptr)
        item.number(name, expected->value, got->value, expected->cycle);
}

void compare_flushes(Item &item, const Command &expected, const Command &got)
{
    for (size_t i = 0; i < std::max(expected.flushes.size(), got.flushes.size()); i++) {
        const Event *want = i < expected.flushes.size() ? expected.flushes[i] : nullptr;
        const Event *have = i < got.flushes.size() ? got.flushes[i] : nullptr;
        const auto name = [](const Event *event) {
            return event != nullptr ? event_name(event->kind) : "none";
        };
        const iom_cycle want_at = want != nullptr ? want->cycle : IOM_NEVER;
        const iom_cycle have_at = have != nullptr ? have->cycle : IOM_NEVER;
        item.text("takes effect", name(want), name(have), std::min(want_at, have_at));
        item.cycle("takes effect", want_at, have_at);
    }
}

void compare_command(Item &item, const Command &expected, const Command &got)
{
    compare_reads(item, "fetch", expected.read, got.read);
    compare_register(item, expected.head, got.head, EventKind::command_head);
    compare_flushes(item, expected, got);
    compare_writes(item, "fence data", expected.data, got.data);
}

void compare_fault_record(Item &item, const FaultRecord &expected, const FaultRecord &got)
{
    compare_writes(item, "record", expected.write, got.write);
    compare_register(item, expected.tail, got.tail, EventKind::fault_tail);
}

// Lists element by element. Behind the hang of a record more may happen in the model, which says nothing.
template <class Element, class Compare>
void compare_lists(const Record &record, const std::vector<Element> &expected,
                   const std::vector<Element> &got, const char *name, Count &count, Comparison &comparison,
                   Compare compare_one)
{
    const size_t length = record.hung ? expected.size() : std::max(expected.size(), got.size());
    for (size_t i = 0; i < length; i++) {
        Item item(std::string(name) + " " + std::to_string(i));
        compare_one(item, i < expected.size() ? expected[i] : Element{}, i < got.size() ? got[i] : Element{});
        item.finish(count, comparison);
    }
}

// ---- operations ----------------------------------------------------------------------------------------

std::vector<const Event *> tails_of(const Activity &activity)
{
    std::vector<const Event *> tails;
    for (const Event &event : activity.events) {
        if (event.kind == EventKind::command_tail)
            tails.push_back(&event);
    }
    return tails;
}

void compare_operations(const Record &record, const Observation &seen, Comparison &comparison)
{
    for (size_t i = 0; i < record.ops.size(); i++) {
        const OpTimes &expected = record.ops[i].times, &got = seen.ops[i];
        if (expected.start == IOM_NEVER)
            continue;
        Item item("operation " + std::to_string(i));
        item.cycle("start", expected.start, got.start);
        item.cycle("done", expected.done, got.done);
        item.finish(comparison.operations, comparison);
    }
    compare_lists(record, tails_of(record.activity), tails_of(seen.activity), "doorbell",
                  comparison.operations, comparison, [](Item &item, const Event *expected, const Event *got) {
                      compare_register(item, expected, got, EventKind::command_tail);
                  });
}

} // namespace

std::vector<std::optional<uint32_t>> requests_in_service(const std::vector<Outcome> &requests,
                                                         const std::vector<iom_cycle> &cycles)
{
    // Requests in the order of their handshakes; those that have none last, in their own order.
    std::vector<uint32_t> order;
    for (uint32_t i = 0; i < requests.size(); i++) {
        if (requests[i].presented != IOM_NEVER)
            order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](uint32_t a, uint32_t b) { return requests[a].accepted < requests[b].accepted; });
    std::vector<std::optional<uint32_t>> result;
    result.reserve(cycles.size());
    size_t at = 0;
    for (const iom_cycle cycle : cycles) {
        while (at < order.size() && requests[order[at]].accepted <= cycle)
            at++;
        const bool presented = at < order.size() && requests[order[at]].presented <= cycle;
        result.push_back(presented ? std::optional<uint32_t>(order[at]) : std::nullopt);
    }
    return result;
}

std::vector<uint32_t> Comparison::off_requests() const
{
    std::vector<uint32_t> indices;
    for (size_t i = 0; i < each_request.size(); i++) {
        if (each_request[i].verdict == Verdict::off)
            indices.push_back(static_cast<uint32_t>(i));
    }
    return indices;
}

Comparison compare(const Record &record, const Observation &seen)
{
    Comparison comparison;
    compare_requests(record, seen, comparison);
    compare_lists(record, commands_of(record.activity), commands_of(seen.activity), "command",
                  comparison.commands, comparison, compare_command);
    compare_lists(record, fault_records_of(record.activity), fault_records_of(seen.activity), "fault record",
                  comparison.fault_records, comparison, compare_fault_record);
    compare_operations(record, seen, comparison);
    return comparison;
}

} // namespace iommu_sim::timing
