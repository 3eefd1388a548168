// SPDX-License-Identifier: Apache-2.0
//
// Reading records. See record.h. Lists of the format are tables: a list of column names beside rows of
// values.
#include "models/timing/record.h"

#include <algorithm>
#include <array>

#include "models/input/json_node.h"

namespace iommu_sim::timing
{

namespace
{

constexpr int64_t longest_cycle = int64_t{1} << 62;

template <class Value> struct Word {
    const char *text;
    Value value;
};

/// One of a few words.
template <class Value, size_t count> Value word(const Node &node, const std::array<Word<Value>, count> &words)
{
    const std::string text = node.text();
    std::string known;
    for (const Word<Value> &candidate : words) {
        if (text == candidate.text)
            return candidate.value;
        known += (known.empty() ? "" : ", ") + std::string(candidate.text);
    }
    node.fail("'" + text + "' is unknown (one of " + known + ")");
}

constexpr std::array<Word<uint32_t>, 5> modes = {
    {{"Off", 0}, {"Bare", 1}, {"1LVL", 2}, {"2LVL", 3}, {"3LVL", 4}}};
constexpr std::array<Word<MsiTables>, 3> msi_tables = {
    {{"DISABLED", MsiTables::none}, {"FLAT_ONLY", MsiTables::flat}, {"FLAT_MRIF", MsiTables::flat_and_mrif}}};
constexpr std::array<Word<Result>, 3> results = {
    {{"pa", Result::address}, {"fault", Result::fault}, {"none", Result::none}}};
constexpr std::array<Word<Trigger>, 4> triggers = {
    {{"c", Trigger::cycle}, {"q", Trigger::presented}, {"x", Trigger::done}, {"z", Trigger::drained}}};
constexpr std::array<Word<OpKind>, 3> op_kinds = {
    {{"reg_write", OpKind::register_write}, {"mem_write", OpKind::memory_write}, {"nop", OpKind::wait}}};
constexpr std::array<Word<Client>, 4> clients = {{{"ptw", Client::page_walk},
                                                  {"cdw", Client::context_walk},
                                                  {"cq", Client::commands},
                                                  {"fq", Client::records}}};
constexpr std::array<Word<bool>, 2> channel_modes = {{{"serial", false}, {"dual", true}}};
constexpr std::array<Word<bool>, 2> request_types = {{{"R", false}, {"W", true}}};

/// Events of a record, and those that are not compared (which entry a fill took, when a fault was raised).
constexpr std::array<Word<std::optional<EventKind>>, 11> event_kinds = {
    {{"flush_vma", EventKind::flush_translations},
     {"flush_gvma", EventKind::flush_translations},
     {"flush_ddtc", EventKind::flush_devices},
     {"flush_pdtc", EventKind::flush_processes},
     {"cqh", EventKind::command_head},
     {"cqt", EventKind::command_tail},
     {"fqt", EventKind::fault_tail},
     {"iotlb_fill", std::nullopt},
     {"ddtc_fill", std::nullopt},
     {"pdtc_fill", std::nullopt},
     {"terr", std::nullopt}}};

iom_cycle cycle_of(const Node &node)
{
    return node.number(longest_cycle);
}

/// A cycle, or -1 for "never".
iom_cycle maybe_cycle(const Node &node)
{
    const int64_t value = node.signed_number(-1, longest_cycle);
    return value < 0 ? IOM_NEVER : static_cast<iom_cycle>(value);
}

/// An index below `count`, or -1 for "none".
std::optional<uint32_t> maybe_index(const Node &node, size_t count)
{
    const int64_t value = node.signed_number(-1, UINT32_MAX);
    if (value < 0)
        return std::nullopt;
    if (static_cast<size_t>(value) >= count)
        node.fail("there is no number " + std::to_string(value));
    return static_cast<uint32_t>(value);
}

uint32_t number32(const Node &node)
{
    return static_cast<uint32_t>(node.number(UINT32_MAX));
}

/// Rows of a table whose column names stand beside it.
class Table
{
  public:
    Table(const Node &root, const char *fields, const char *rows) : rows_(root.at(rows).items())
    {
        for (const Node &field : root.at(fields).items())
            names_.push_back(field.text());
        fields_ = fields;
    }
    /// Where `name` stands in a row.
    size_t column(const Node &root, const char *name) const
    {
        const auto found = std::find(names_.begin(), names_.end(), name);
        if (found == names_.end())
            root.at(fields_).fail(std::string("there is no column '") + name + "'");
        return static_cast<size_t>(found - names_.begin());
    }
    size_t size() const
    {
        return rows_.size();
    }
    std::vector<Node> row(size_t index) const
    {
        return rows_[index].tuple(names_.size());
    }
    /// Rows are numbered from 0 in column "i".
    void check_number(const Node &cell, size_t index) const
    {
        if (cell.number(UINT32_MAX) != index)
            cell.fail("must be " + std::to_string(index) + ", the number of the row");
    }

  private:
    std::vector<Node> rows_;
    std::vector<std::string> names_;
    const char *fields_;
};

Build read_build(const Node &node)
{
    Build build;
    node.expect_only({"build", "IOTLB_ENTRIES", "DDTC_ENTRIES", "PDTC_ENTRIES", "InclPC", "InclBC",
                      "MSITrans", "MRIFC_ENTRIES"},
                     "rtl");
    build.name = node.at("build").text();
    build.iotlb_entries = number32(node.at("IOTLB_ENTRIES"));
    build.ddtc_entries = number32(node.at("DDTC_ENTRIES"));
    build.pdtc_entries = number32(node.at("PDTC_ENTRIES"));
    build.process_contexts = node.at("InclPC").flag();
    build.boundary_check = node.at("InclBC").flag();
    build.msi = word(node.at("MSITrans"), msi_tables);
    return build;
}

uint32_t queue_entries(const Node &node)
{
    const uint32_t entries = number32(node);
    if (entries < 2 || !iom_is_power_of_two(entries))
        node.fail("must be a power of two, at least 2");
    return entries;
}

RegisterSetup read_registers(const Node &node)
{
    constexpr uint64_t largest_ppn = (UINT64_C(1) << 44) - 1;
    node.expect_only({"ddtp_mode", "ddtp_ppn", "cqb_ppn", "cq_entries", "fqb_ppn", "fq_entries", "cqen",
                      "fqen", "fctl_wsi"},
                     "registers");
    RegisterSetup setup;
    setup.ddtp_mode = word(node.at("ddtp_mode"), modes);
    setup.ddtp_ppn = node.at("ddtp_ppn").hexadecimal(largest_ppn);
    setup.cqb_ppn = node.at("cqb_ppn").hexadecimal(largest_ppn);
    setup.fqb_ppn = node.at("fqb_ppn").hexadecimal(largest_ppn);
    setup.cq_entries = queue_entries(node.at("cq_entries"));
    setup.fq_entries = queue_entries(node.at("fq_entries"));
    setup.cq_enabled = node.at("cqen").flag();
    setup.fq_enabled = node.at("fqen").flag();
    setup.wired_interrupts = node.at("fctl_wsi").flag();
    return setup;
}

uint64_t word_address(const Node &node, const std::string &key)
{
    const uint64_t address = node.hexadecimal_of(key);
    if (address % 8 != 0)
        node.fail("is no address of an 8-byte word");
    return address;
}

void read_memory(const Node &root, Record &record)
{
    root.at("mem_image").each_field([&](const std::string &key, const Node &value) {
        record.memory[word_address(value, key)] = value.hexadecimal();
    });
    root.at("axi_error_reads").each_field([&](const std::string &key, const Node &value) {
        constexpr uint64_t largest_response = 3; // DECERR
        record.read_errors[word_address(value, key)] = static_cast<uint32_t>(value.number(largest_response));
    });
}

/// Reads what became of a request from its row.
class OutcomeReader
{
  public:
    OutcomeReader(const Table &table, const Node &root)
        : presented_(table.column(root, "presented")), accepted_(table.column(root, "accepted")),
          done_(table.column(root, "done")), responded_(table.column(root, "resp")),
          result_(table.column(root, "result")), address_(table.column(root, "pa")),
          cause_(table.column(root, "cause"))
    {
    }

    Outcome read(const std::vector<Node> &row) const
    {
        Outcome outcome;
        outcome.presented = maybe_cycle(row[presented_]);
        outcome.accepted = maybe_cycle(row[accepted_]);
        outcome.done = maybe_cycle(row[done_]);
        outcome.responded = maybe_cycle(row[responded_]);
        outcome.result = word(row[result_], results);
        if (outcome.result == Result::address)
            outcome.address = row[address_].hexadecimal();
        if (outcome.result == Result::fault && !row[cause_].is_null())
            outcome.cause = static_cast<uint32_t>(row[cause_].number(4095));
        const bool complete =
            outcome.presented != IOM_NEVER && outcome.accepted != IOM_NEVER && outcome.done != IOM_NEVER;
        if (outcome.result != Result::none && !complete)
            row[done_].fail("a request with a result must have been presented, accepted and done");
        return outcome;
    }

  private:
    size_t presented_, accepted_, done_, responded_, result_, address_, cause_;
};

void read_requests(const Node &root, size_t op_count, Record &record)
{
    const Table table(root, "request_fields", "requests");
    const size_t number = table.column(root, "i"), type = table.column(root, "type"),
                 did = table.column(root, "did"), pid = table.column(root, "pid"),
                 priv = table.column(root, "priv"), exec = table.column(root, "exec"),
                 iova = table.column(root, "iova"), len = table.column(root, "len"),
                 gap = table.column(root, "gap"), after = table.column(root, "after_op");
    const OutcomeReader outcomes(table, root);
    for (size_t i = 0; i < table.size(); i++) {
        const std::vector<Node> row = table.row(i);
        Request request;
        table.check_number(row[number], i);
        request.write = word(row[type], request_types);
        request.device_id = static_cast<uint32_t>(row[did].number(0xffffff));
        if (!row[pid].is_null())
            request.process_id = static_cast<uint32_t>(row[pid].number(0xfffff));
        request.privileged = row[priv].flag();
        request.execute = row[exec].flag();
        request.iova = row[iova].hexadecimal();
        request.beats = static_cast<uint32_t>(row[len].number(255)) + 1;
        request.gap = row[gap].number(longest_cycle);
        request.after_op = maybe_index(row[after], op_count);
        request.outcome = outcomes.read(row);
        record.requests.push_back(request);
    }
}

void read_ops(const Node &root, size_t request_count, Record &record)
{
    const Table table(root, "op_fields", "ops");
    const size_t number = table.column(root, "i"), trigger = table.column(root, "trigger"),
                 a = table.column(root, "a"), b = table.column(root, "b"), kind = table.column(root, "kind"),
                 addr = table.column(root, "addr"), size = table.column(root, "size"),
                 value = table.column(root, "value"), start = table.column(root, "start"),
                 done = table.column(root, "done");
    for (size_t i = 0; i < table.size(); i++) {
        const std::vector<Node> row = table.row(i);
        Op op;
        table.check_number(row[number], i);
        op.trigger = word(row[trigger], triggers);
        op.kind = word(row[kind], op_kinds);
        if (op.trigger == Trigger::cycle) {
            op.delay = cycle_of(row[a]);
        } else if (op.trigger != Trigger::drained) {
            op.request = number32(row[a]);
            if (op.request >= request_count)
                row[a].fail("there is no request " + std::to_string(op.request));
            op.delay = row[b].number(longest_cycle);
        }
        op.address = row[addr].hexadecimal();
        op.value = row[value].hexadecimal();
        op.bytes = static_cast<uint8_t>(row[size].number(8));
        if (op.bytes != 4 && op.bytes != 8)
            row[size].fail("must be 4 or 8");
        op.times.start = maybe_cycle(row[start]);
        op.times.done = maybe_cycle(row[done]);
        record.ops.push_back(op);
    }
}

void read_reads(const Node &root, Record &record)
{
    const Table table(root, "mem_read_fields", "mem_reads");
    const size_t accept = table.column(root, "accept_cycle"), first = table.column(root, "first_beat"),
                 last = table.column(root, "last_beat"), who = table.column(root, "requester"),
                 addr = table.column(root, "addr"), beats = table.column(root, "beats"),
                 req = table.column(root, "req");
    for (size_t i = 0; i < table.size(); i++) {
        const std::vector<Node> row = table.row(i);
        Read read;
        read.accepted = cycle_of(row[accept]);
        read.first = cycle_of(row[first]);
        read.last = cycle_of(row[last]);
        read.client = word(row[who], clients);
        read.address = row[addr].hexadecimal();
        read.beats = number32(row[beats]);
        if (!row[req].is_null())
            read.request = maybe_index(row[req], record.requests.size());
        if (!record.activity.reads.empty() && record.activity.reads.back().accepted >= read.accepted)
            row[accept].fail("reads must be in the order of their cycles, one per cycle");
        record.activity.reads.push_back(read);
    }
}

/// The oldest write of `client` that `wants` says is meant.
template <class Wants> Write *find_write(std::vector<Write> &writes, Client client, Wants wants)
{
    const auto found = std::find_if(writes.begin(), writes.end(), [&](const Write &write) {
        return write.client == client && wants(write);
    });
    return found != writes.end() ? &*found : nullptr;
}

// Rows are the handshakes of the three channels: address, data beats, response; each channel in order.
void read_writes(const Node &root, Record &record)
{
    std::vector<Write> &writes = record.activity.writes;
    std::vector<size_t> beats_wanted;
    for (const Node &node : root.at("mem_writes").items()) {
        const std::vector<Node> row = node.items();
        const std::string channel = row.empty() ? "" : row[0].text();
        if ((channel != "aw" && channel != "w" && channel != "b") || row.size() != (channel == "b" ? 4 : 5))
            node.fail("must be [\"aw\", cycle, who, address, beats], [\"w\", cycle, who, address, data] or "
                      "[\"b\", cycle, who, address]");
        const iom_cycle cycle = cycle_of(row[1]);
        const Client client = word(row[2], clients);
        if (channel == "aw") {
            Write write;
            write.accepted = cycle;
            write.client = client;
            write.address = row[3].hexadecimal();
            write.data.reserve(row[4].number(256));
            writes.push_back(write);
            beats_wanted.push_back(row[4].number(256));
        } else if (channel == "w") {
            Write *write = find_write(writes, client, [&](const Write &candidate) {
                return candidate.data.size() < beats_wanted[static_cast<size_t>(&candidate - writes.data())];
            });
            if (write == nullptr)
                node.fail("there is no write that this data belongs to");
            write->data.push_back(row[4].hexadecimal());
            write->beats.push_back(cycle);
        } else {
            Write *write = find_write(
                writes, client, [](const Write &candidate) { return candidate.responded == IOM_NEVER; });
            if (write == nullptr)
                node.fail("there is no write that this response belongs to");
            write->responded = cycle;
        }
    }
}

void read_events(const Node &root, Record &record)
{
    for (const Node &node : root.at("events").items()) {
        const std::vector<Node> row = node.items();
        if (row.size() < 2 || row.size() > 3)
            node.fail("must be [cycle, name] or [cycle, name, value]");
        const std::optional<EventKind> kind = word(row[1], event_kinds);
        if (!kind)
            continue;
        Event event;
        event.cycle = cycle_of(row[0]);
        event.kind = *kind;
        const bool strobe = event.kind <= EventKind::flush_processes;
        if (row.size() != (strobe ? 2 : 3))
            node.fail(strobe ? "must have no value" : "must have a value");
        event.value = strobe ? 0 : row[2].number(UINT32_MAX);
        record.activity.events.push_back(event);
    }
}

void check_harness(const Node &root)
{
    const Node errors = root.at("harness_errors");
    if (!errors.items().empty())
        errors.fail("the record was taken with errors of its test bench: it cannot be compared with");
}

void check_context_format(const Node &root, const Build &build)
{
    constexpr std::array<Word<bool>, 2> formats = {{{"base", false}, {"extended", true}}};
    const Node format = root.at("structures").at("dc_format");
    if (word(format, formats) != build.extended_contexts())
        format.fail("does not fit rtl.MSITrans");
}

} // namespace

Record parse_record(const std::string &text, const std::string &file, size_t line,
                    std::set<std::string> *notes)
{
    Place place{file, line, {}, notes, "record"};
    const nlohmann::json document = parse_json(text, file, line);
    const Node root(document, place, "");
    if (!root.is_object())
        root.fail("must be an object");
    Record record;
    record.line = line;
    record.id = place.id = root.at("id").text();
    root.expect_only({"id",
                      "group",
                      "note",
                      "rtl",
                      "mem_read_latency",
                      "mem_write_latency",
                      "sink_latency",
                      "channels",
                      "resp_limit",
                      "registers",
                      "structures",
                      "mem_image",
                      "mem_kind",
                      "axi_error_reads",
                      "seed",
                      "generator",
                      "request_fields",
                      "requests",
                      "op_fields",
                      "ops",
                      "mem_read_fields",
                      "mem_reads",
                      "mem_writes",
                      "events",
                      "hang",
                      "harness_errors",
                      "cycles"},
                     "");
    check_harness(root);
    record.build = read_build(root.at("rtl"));
    check_context_format(root, record.build);
    record.registers = read_registers(root.at("registers"));
    for (const auto &[key, member] : {std::pair{"mem_read_latency", &record.read_latency_cycles},
                                      std::pair{"mem_write_latency", &record.write_latency_cycles},
                                      std::pair{"sink_latency", &record.sink_latency_cycles}}) {
        *member = number32(root.at(key));
        if (*member == 0)
            root.at(key).fail("must be at least 1");
    }
    record.dual = word(root.at("channels"), channel_modes);
    record.response_limit = number32(root.at("resp_limit"));
    read_memory(root, record);
    const size_t request_count = root.at("requests").items().size();
    read_requests(root, root.at("ops").items().size(), record);
    read_ops(root, request_count, record);
    read_reads(root, record);
    read_writes(root, record);
    read_events(root, record);
    record.hung = !root.at("hang").is_null();
    record.cycles = cycle_of(root.at("cycles"));
    return record;
}

RecordFile::RecordFile(const std::string &path) : path_(path), lines_(path)
{
}

std::optional<Record> RecordFile::next()
{
    std::string text;
    if (!lines_.next_filled(&text))
        return std::nullopt;
    Record record = parse_record(text, path_, lines_.number(), &notes_);
    if (!ids_.insert(record.id).second)
        throw InputError(path_ + ":" + std::to_string(lines_.number()) + ": record " + record.id +
                         ": this id was used before in the file; ids must be unique");
    return record;
}

const char *client_name(Client client)
{
    switch (client) {
    case Client::page_walk:
        return "page walk";
    case Client::context_walk:
        return "context walk";
    case Client::commands:
        return "command queue";
    case Client::records:
        return "fault queue";
    }
    return "";
}

const char *event_name(EventKind kind)
{
    switch (kind) {
    case EventKind::flush_translations:
        return "invalidation of translations";
    case EventKind::flush_devices:
        return "invalidation of device contexts";
    case EventKind::flush_processes:
        return "invalidation of process contexts";
    case EventKind::command_head:
        return "cqh";
    case EventKind::command_tail:
        return "cqt";
    case EventKind::fault_tail:
        return "fqt";
    }
    return "";
}

} // namespace iommu_sim::timing
