// SPDX-License-Identifier: Apache-2.0
//
// The operations of scenario steps, one line each, and how their arguments are read. Meanings are those
// of traffic/host.h.
#include "models/scenario/step_operations.h"

#include <algorithm>

#include "models/config/schema.h"
#include "models/config/suggest.h"

namespace iommu_sim
{

namespace
{

constexpr uint64_t longest_delay = UINT64_C(1) << 40;
constexpr uint64_t most_bytes = UINT64_C(1) << 48;

struct Option {
    const char *name;
    uint32_t bit;
    const char *description;
};

const Option option_table[] = {
    {"no_context_flush", IOM_HOST_NO_CONTEXT_FLUSH, "leaves out flushes of the context cache"},
    {"no_pasid_flush", IOM_HOST_NO_PASID_FLUSH, "leaves out flushes of the PASID cache"},
    {"no_iotlb_flush", IOM_HOST_NO_IOTLB_FLUSH, "leaves out flushes of the IOTLB"},
    {"no_device_flush", IOM_HOST_NO_DEVICE_FLUSH, "leaves out flushes of device TLBs"},
    {"no_write_back", IOM_HOST_NO_WRITE_BACK, "leaves changed tables in the processor's cache"},
    {"no_wait", IOM_HOST_NO_WAIT, "returns when submitted"},
    {"flush_first", IOM_HOST_FLUSH_FIRST, "flushes before the tables are changed"},
    {"iotlb_first", IOM_HOST_IOTLB_FIRST, "IOTLB before context and PASID cache"},
    {"device_first", IOM_HOST_DEVICE_FIRST, "device TLB before IOTLB"},
    {"late_domain", IOM_HOST_LATE_DOMAIN, "reads the domain from the entry after it was cleared: 0"},
    {"garbage_domain", IOM_HOST_GARBAGE_DOMAIN, "the context flush names `value` as domain"},
    {"scan_first", IOM_HOST_SCAN_FIRST, "context_change: looks for PASIDs before the context flush"},
    {"no_scan", IOM_HOST_NO_SCAN, "context_change: PASIDs are known to be gone"},
    {"distinct_domains", IOM_HOST_DISTINCT_DOMAINS, "context_change: each domain found is flushed once"},
    {"one_submission", IOM_HOST_ONE_SUBMISSION, "all commands of the call in one submission with one wait"},
    {"locked", IOM_HOST_LOCKED, "holds `lock` for the whole call"},
    {"locked_change", IOM_HOST_LOCKED_CHANGE, "holds `lock` for the table change and the scan only"},
    {"sync_each", IOM_HOST_SYNC_EACH, "sg_map: a flush for each segment"},
    {"whole_domain", IOM_HOST_WHOLE_DOMAIN, "unmap: flushes the domain, not the pages"},
    {"leaf_only", IOM_HOST_LEAF_ONLY, "unmap: commands say that only leaves changed, even if not"},
    {"prune", IOM_HOST_PRUNE, "unmap: tables that become empty are unlinked"},
    {"twice_device", IOM_HOST_TWICE_DEVICE, "device TLBs are flushed twice"},
    {"wait_stores", IOM_HOST_WAIT_STORES,
     "goes on when its stores are acknowledged, not when they have left"},
};

const std::vector<std::string> flush_names{
    "context_all",  "context_domain", "context_device",     "pasid_all", "pasid_domain", "pasid_one",
    "iotlb_all",    "iotlb_domain",   "iotlb_pages",        "space_all", "space_pages",  "device_all",
    "device_pages", "device_space",   "device_space_pages", "interrupts"};
static_assert(IOM_FLUSH_KINDS == 16, "a name for each kind of flush, in their order");

} // namespace

uint32_t host_option(const std::string &name)
{
    for (const Option &option : option_table) {
        if (name == option.name)
            return option.bit;
    }
    return 0;
}

std::vector<std::string> host_option_names()
{
    std::vector<std::string> names;
    for (const Option &option : option_table)
        names.emplace_back(option.name);
    return names;
}

const std::vector<StepReader::Operation> &StepReader::operations()
{
    using R = StepReader;
    static const std::vector<Operation> all{
        {"delay", IOM_HOST_DELAY, &R::read_time, "cycles", "cycles", "takes that long"},
        {"until", IOM_HOST_UNTIL, &R::read_time, "cycles", "cycles", "goes on in that cycle or later"},
        {"lock", IOM_HOST_LOCK, &R::read_object, "lock", "lock", "takes a lock"},
        {"unlock", IOM_HOST_UNLOCK, &R::read_object, "lock", "lock", "gives it up"},
        {"signal", IOM_HOST_SIGNAL, &R::read_object, "event", "event, times", "raises an event"},
        {"await", IOM_HOST_AWAIT, &R::read_object, "event", "event, times",
         "waits for an event; each thread counts for itself"},
        {"mark", IOM_HOST_MARK, &R::read_nothing, "name", "name", "notes the cycle: figure mark.NAME"},
        {"table_attach", IOM_HOST_TABLE_ATTACH, &R::read_tables, nullptr, "device, pasid, domain",
         "writes tables, flushes nothing"},
        {"table_detach", IOM_HOST_TABLE_DETACH, &R::read_tables, nullptr, "device, pasid", "likewise"},
        {"table_map", IOM_HOST_TABLE_MAP, &R::read_tables, nullptr,
         "domain, iova, address, bytes, permissions, page_size, owner", "likewise"},
        {"table_unmap", IOM_HOST_TABLE_UNMAP, &R::read_tables, nullptr, "domain, iova, bytes", "likewise"},
        {"store", IOM_HOST_STORE, &R::read_store, nullptr, "address, value, width", "one store to memory"},
        {"write_back", IOM_HOST_WRITE_BACK, &R::read_store, nullptr, "address, bytes",
         "changed lines of tables leave the processor's cache; without keys all of them"},
        {"fence", IOM_HOST_FENCE, &R::read_nothing, nullptr, "", "waits until all stores are acknowledged"},
        {"flush", IOM_HOST_FLUSH, &R::read_flush, nullptr,
         "kind, domain, device, source, pasid, iova, pages_log2, leaf_only, function_mask, queue_depth",
         "puts a command into the thread's batch"},
        {"command", IOM_HOST_COMMAND, &R::read_command, nullptr, "words", "likewise, as written"},
        {"submit", IOM_HOST_SUBMIT, &R::read_nothing, nullptr, "", "batch to the queue, without a wait"},
        {"sync", IOM_HOST_SYNC, &R::read_sync, nullptr, "fence, drain_page_requests",
         "batch and a wait to the queue; spins until complete"},
        {"dma", IOM_HOST_REQUEST, &R::read_dma, nullptr,
         "device, iova, bytes, write, pasid, privileged, wait",
         "a DMA; the thread goes on at once, with `wait: true` when all its DMA has been answered"},
        {"await_dma", IOM_HOST_AWAIT_REQUESTS, &R::read_nothing, nullptr, "",
         "waits for the answers to all DMA of the thread"},
        {"remove_device", IOM_HOST_REMOVE, &R::read_device, "device", "device", "the device is gone"},
        {"map", IOM_HOST_MAP, &R::read_tables, nullptr,
         "domain, iova, address, bytes, permissions, page_size, owner, options", "driver call"},
        {"unmap", IOM_HOST_UNMAP, &R::read_tables, nullptr, "domain, iova, bytes, options", "driver call"},
        {"sg_map", IOM_HOST_SG_MAP, &R::read_tables, nullptr,
         "domain, iova, address, bytes, segments, address_step, permissions, options",
         "driver call: `segments` pieces of `bytes` each"},
        {"attach", IOM_HOST_ATTACH, &R::read_device, nullptr, "device, domain, options", "driver call"},
        {"detach", IOM_HOST_DETACH, &R::read_device, nullptr, "device, options, lock", "driver call"},
        {"pasid_attach", IOM_HOST_PASID_ATTACH, &R::read_device, nullptr, "device, pasid, domain, options",
         "driver call"},
        {"pasid_detach", IOM_HOST_PASID_DETACH, &R::read_device, nullptr, "device, pasid, options, lock",
         "driver call"},
        {"context_change", IOM_HOST_CONTEXT_CHANGE, &R::read_device, nullptr,
         "device, domain, address, value, width, options, lock",
         "driver call: a present context entry changes"},
        {"report", IOM_HOST_FLUSH_ALL, &R::read_report, "domain", "domain",
         "the caller is told that a change made by single steps is over, as the return of a call tells it: "
         "stale uses from here on are hazards. Flushes nothing"},
        {"flush_all", IOM_HOST_FLUSH_ALL, &R::read_device, nullptr, "domain, options",
         "driver call: everything of a domain"},
    };
    return all;
}

// ---- arguments -------------------------------------------------------------------------------------------

void StepReader::read_nothing(const Operation &operation, Arguments &arguments, ScenarioStep &step)
{
    if (operation.kind == IOM_HOST_MARK && !arguments.has("name"))
        context_.refuse(step.origin, arguments.path(), "a mark needs a name");
}

void StepReader::read_time(const Operation &, Arguments &arguments, ScenarioStep &step)
{
    step.op.cycles = arguments.required("cycles", {0, longest_delay});
}

void StepReader::read_object(const Operation &operation, Arguments &arguments, ScenarioStep &step)
{
    const bool is_lock = operation.kind == IOM_HOST_LOCK || operation.kind == IOM_HOST_UNLOCK;
    const std::string name = arguments.word(is_lock ? "lock" : "event", true);
    if (is_lock) {
        if (name == "queue")
            context_.refuse(step.origin, arguments.path(),
                            "this is the name of the command queue's own lock");
        step.op.object = number_of(scenario_.locks, name);
        return;
    }
    step.op.object = number_of(scenario_.events, name);
    step.op.count = static_cast<uint32_t>(arguments.number("times", 1, {1, 1u << 20}));
    if (operation.kind == IOM_HOST_SIGNAL)
        signalled_.push_back(name);
    else
        awaited_.push_back({name, step.origin, arguments.path()});
}

void StepReader::read_tables(const Operation &operation, Arguments &arguments, ScenarioStep &step)
{
    iom_host_op &op = step.op;
    const iom_host_op_kind kind = operation.kind;
    if (kind == IOM_HOST_TABLE_ATTACH || kind == IOM_HOST_TABLE_DETACH) {
        op.device = device(arguments);
        op.pasid = pasid(arguments);
        if (kind == IOM_HOST_TABLE_ATTACH)
            op.domain = domain(arguments, true);
        options(arguments, step);
        return;
    }
    op.domain = domain(arguments, true);
    op.iova = arguments.required("iova");
    op.bytes = arguments.number("bytes", 4096, {1, most_bytes});
    if (kind == IOM_HOST_MAP || kind == IOM_HOST_SG_MAP || kind == IOM_HOST_TABLE_MAP) {
        op.address = arguments.required("address");
        op.permissions = permissions(arguments);
        op.page_log2 = page_size(arguments);
        op.owner = static_cast<uint32_t>(arguments.number("owner", 0, {0, UINT32_MAX}));
    }
    if (kind == IOM_HOST_SG_MAP) {
        op.count = static_cast<uint32_t>(arguments.required("segments", {1, 4096}));
        op.address_step = arguments.number("address_step", 0);
    }
    options(arguments, step);
}

// Names of the file are known now, places in the tables only when these exist.
std::optional<Expression> StepReader::place(Arguments &arguments, const std::string &key)
{
    std::optional<Expression> expression = arguments.expression(key);
    if (expression)
        expression->bind(context_.names);
    return expression;
}

void StepReader::read_store(const Operation &operation, Arguments &arguments, ScenarioStep &step)
{
    step.address = place(arguments, "address");
    if (operation.kind == IOM_HOST_WRITE_BACK) {
        step.op.bytes = arguments.number("bytes", 0);
        return;
    }
    step.value = place(arguments, "value");
    if (!step.address || !step.value)
        context_.refuse(step.origin, arguments.path(), "a store needs an address and a value");
    static const std::vector<std::string> widths{"8", "4", "2", "1"};
    step.op.width = static_cast<uint8_t>(8u >> arguments.choice("width", widths));
    options(arguments, step);
}

void StepReader::read_flush(const Operation &, Arguments &arguments, ScenarioStep &step)
{
    iom_flush &flush = step.op.flush;
    flush.kind = static_cast<iom_flush_kind>(arguments.choice("kind", flush_names, true));
    flush.domain = domain(arguments, false);
    if (arguments.has("device")) {
        step.op.device = device(arguments);
        if (step.op.device < scenario_.system.devices.size())
            flush.source = scenario_.system.devices[step.op.device].source_id;
    } else {
        flush.source = static_cast<uint32_t>(arguments.number("source", 0, {0, 0xffff}));
    }
    flush.pasid = pasid(arguments);
    flush.iova = arguments.number("iova", 0);
    flush.pages_log2 = static_cast<uint8_t>(arguments.number("pages_log2", 0, {0, 52}));
    flush.leaf_only = arguments.flag("leaf_only");
    flush.function_mask = static_cast<uint8_t>(arguments.number("function_mask", 0, {0, 3}));
    flush.queue_depth = static_cast<uint8_t>(arguments.number("queue_depth", 0, {0, 32}));
}

void StepReader::read_command(const Operation &, Arguments &arguments, ScenarioStep &step)
{
    const ValueNode *words = arguments.node("words");
    if (words == nullptr || words->kind != ValueNode::Kind::list || words->items.empty() ||
        words->items.size() > IOM_COMMAND_WORDS) {
        context_.refuse(step.origin, arguments.path(), "words: one to four 64-bit words, lowest first");
        return;
    }
    for (size_t i = 0; i < words->items.size(); i++)
        step.op.words[i] =
            static_cast<uint64_t>(read_number(words->items[i], arguments.path() + ".words", context_));
}

void StepReader::read_sync(const Operation &, Arguments &arguments, ScenarioStep &step)
{
    if (arguments.flag("fence"))
        step.op.options |= IOM_HOST_SYNC_FENCE;
    if (arguments.flag("drain_page_requests"))
        step.op.options |= IOM_HOST_SYNC_PAGE_REQUESTS;
}

void StepReader::read_dma(const Operation &, Arguments &arguments, ScenarioStep &step)
{
    iom_host_op &op = step.op;
    op.device = device(arguments);
    op.iova = arguments.required("iova");
    op.bytes = arguments.number("bytes", 64, {1, 4096});
    op.pasid = pasid(arguments);
    if (arguments.flag("write"))
        op.flags |= IOM_REQ_WRITE;
    if (arguments.flag("privileged"))
        op.flags |= IOM_REQ_PRIV;
    wait_after_ = arguments.flag("wait");
    if (op.iova % 4096 + op.bytes > 4096)
        context_.refuse(step.origin, arguments.path(), "a DMA does not cross a 4 KiB page");
}

void StepReader::read_device(const Operation &operation, Arguments &arguments, ScenarioStep &step)
{
    iom_host_op &op = step.op;
    const iom_host_op_kind kind = operation.kind;
    if (kind != IOM_HOST_FLUSH_ALL)
        op.device = device(arguments);
    if (kind == IOM_HOST_REMOVE)
        return;
    if (kind == IOM_HOST_PASID_ATTACH || kind == IOM_HOST_PASID_DETACH) {
        if (!arguments.has("pasid"))
            context_.refuse(step.origin, arguments.path(), "pasid: missing");
        op.pasid = pasid(arguments);
    }
    if (kind == IOM_HOST_CONTEXT_CHANGE) {
        if (arguments.has("domain"))
            op.domain = domain(arguments, true);
        step.address = place(arguments, "address");
        step.value = place(arguments, "value");
        static const std::vector<std::string> widths{"8", "4", "2", "1"};
        if (step.address)
            op.width = static_cast<uint8_t>(8u >> arguments.choice("width", widths));
    } else if (kind != IOM_HOST_DETACH && kind != IOM_HOST_PASID_DETACH) {
        op.domain = domain(arguments, true);
    }
    options(arguments, step);
    if ((op.options & (IOM_HOST_LOCKED | IOM_HOST_LOCKED_CHANGE)) != 0)
        op.object = number_of(scenario_.locks, arguments.word("lock", true));
    if ((op.options & IOM_HOST_GARBAGE_DOMAIN) != 0 && kind != IOM_HOST_CONTEXT_CHANGE)
        op.value = arguments.number("value", 0, {0, 0xffff});
}

void StepReader::read_report(const Operation &, Arguments &arguments, ScenarioStep &step)
{
    step.op.domain = domain(arguments, true);
    step.op.options = IOM_HOST_NO_IOTLB_FLUSH | IOM_HOST_NO_DEVICE_FLUSH;
}

std::string operations_document()
{
    std::string text = "| operation | keys | what it does |\n|---|---|---|\n";
    text +=
        "| `repeat` | times, with, steps | the steps that often; `with: i` counts from 0 in expressions |\n";
    for (const auto &row : StepReader::documentation())
        text += "| `" + row[0] + "` | " + row[1] + " | " + row[2] + " |\n";
    text += "\n| option of a call | the call |\n|---|---|\n";
    for (const Option &option : option_table)
        text += std::string("| `") + option.name + "` | " + option.description + " |\n";
    return text;
}

std::vector<std::array<std::string, 3>> StepReader::documentation()
{
    std::vector<std::array<std::string, 3>> rows;
    for (const Operation &operation : operations())
        rows.push_back({operation.name, operation.keys, operation.description});
    return rows;
}

} // namespace iommu_sim
