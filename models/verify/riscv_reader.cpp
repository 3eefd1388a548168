// SPDX-License-Identifier: Apache-2.0
//
// Parsing of the vectors of the RISC-V reference model: see riscv_vector.h and docs/verify.md.
#include <algorithm>

#include "core/base.h"
#include "models/verify/riscv_vector.h"
#include "models/verify/vector_node.h"

namespace iommu_sim::verify::riscv
{

namespace
{

constexpr uint64_t max_device = (UINT64_C(1) << 24) - 1, max_process = (UINT64_C(1) << 20) - 1;
constexpr uint32_t page_bytes = 4096;
constexpr unsigned segment_shift = 16;

uint32_t number32(const Node &node, const char *key, uint64_t limit = UINT32_MAX)
{
    return static_cast<uint32_t>(node.at(key).number(limit));
}

// An absent flag is 0.
bool flag(const Node &node, const char *key)
{
    return node.has(key) && node.at(key).flag();
}

// Absent or null: not compared.
std::optional<bool> wanted_flag(const Node &node, const char *key)
{
    if (!node.has(key) || node.at(key).is_null())
        return std::nullopt;
    return node.at(key).flag();
}

std::optional<uint8_t> wanted_number(const Node &node, const char *key, uint64_t limit)
{
    if (!node.has(key))
        return std::nullopt;
    return static_cast<uint8_t>(node.at(key).number(limit));
}

// ---- effects -------------------------------------------------------------------------------------------

FaultEntry parse_fault(const Node &node)
{
    FaultEntry entry;
    entry.cause = number32(node, "cause", 0xfff);
    entry.transaction = number32(node, "ttyp", 0x3f);
    entry.device = number32(node, "did", max_device);
    entry.has_process = node.at("pv").flag();
    entry.process = number32(node, "pid", max_process);
    entry.priv = node.at("priv").flag();
    entry.iotval = node.at("iotval").hexadecimal();
    entry.iotval2 = node.at("iotval2").hexadecimal();
    node.expect_only({"cause", "ttyp", "did", "pv", "pid", "priv", "iotval", "iotval2"}, "faults");
    return entry;
}

PageEntry parse_page_entry(const Node &node)
{
    PageEntry entry;
    entry.device = number32(node, "did", max_device);
    entry.has_process = node.at("pv").flag();
    entry.process = number32(node, "pid", max_process);
    entry.priv = node.at("priv").flag();
    entry.exec = node.at("exec").flag();
    entry.payload = node.at("payload").hexadecimal();
    node.expect_only({"did", "pv", "pid", "priv", "exec", "payload"}, "pq");
    return entry;
}

// Requester, and the segment if the message names one.
uint32_t parse_requester(const Node &node)
{
    uint32_t device = number32(node, "rid", 0xffff);
    if (node.at("dsv").flag())
        device |= number32(node, "dseg", 0xff) << segment_shift;
    return device;
}

DeviceMessage parse_message(const Node &node)
{
    enum { code_invalidation = 1, code_page_response = 5 };
    DeviceMessage message;
    const uint64_t code = node.at("code").number(UINT32_MAX);
    if (code != code_invalidation && code != code_page_response)
        node.at("code").fail("must be 1 (invalidation request) or 5 (page response)");
    message.kind =
        code == code_invalidation ? DeviceMessage::Kind::invalidation : DeviceMessage::Kind::page_response;
    message.device = parse_requester(node);
    message.tag = static_cast<uint8_t>(node.at("tag").number(31));
    if (node.at("pv").flag())
        message.pasid = number32(node, "pid", max_process);
    message.payload = node.at("payload").hexadecimal();
    node.expect_only({"code", "tag", "rid", "dsv", "dseg", "pv", "pid", "payload"}, "msgs");
    return message;
}

void parse_registers(const Node &node, Effects *effects)
{
    node.each_field([&](const std::string &name, const Node &value) {
        for (size_t i = 0; i < watched_count; i++) {
            if (name == watched_register(static_cast<Watched>(i)).name) {
                effects->registers[i] = static_cast<uint32_t>(value.hexadecimal_or_number(UINT32_MAX));
                return;
            }
        }
        value.fail("unknown register (known: cqh, cqcsr, fqcsr, pqcsr, ipsr)");
    });
}

Effects parse_effects(const Node &node)
{
    Effects effects;
    if (node.has("faults")) {
        for (const Node &item : node.at("faults").items())
            effects.faults.push_back(parse_fault(item));
    }
    if (node.has("pq")) {
        for (const Node &item : node.at("pq").items())
            effects.page_requests.push_back(parse_page_entry(item));
    }
    if (node.has("msgs")) {
        for (const Node &item : node.at("msgs").items())
            effects.messages.push_back(parse_message(item));
    }
    if (node.has("mem"))
        effects.memory = parse_memory_words(node.at("mem"));
    if (node.has("regs"))
        parse_registers(node.at("regs"), &effects);
    if (node.has("gos")) {
        const Node drain = node.at("gos");
        effects.drain = Drain{drain.at("pr").flag(), drain.at("pw").flag()};
        drain.expect_only({"pr", "pw"}, "gos");
    }
    return effects;
}

// ---- requests ------------------------------------------------------------------------------------------

void parse_translation(const Node &node, bool answer, Result *result)
{
    constexpr unsigned page_shift = 12;
    if (node.has("pa"))
        result->pa = node.at("pa").hexadecimal();
    result->size_log2 = wanted_number(node, "size_log2", 64);
    if (node.has("size_max_log2"))
        result->size_log2 = wanted_number(node, "size_max_log2", 64);
    result->memory_type = wanted_number(node, "pbmt", 3);
    result->msi = wanted_flag(node, "is_msi");
    // A device that asks is told to come untranslated (U); the file is not its business.
    result->mrif = flag(node, "is_mrif") && !answer;
    if (result->mrif) {
        result->mrif_address = node.at("mrif_addr").hexadecimal();
        result->notice_id = node.at("mrif_nid").number(0x7ff);
        result->notice_ppn = node.at("ppn").hexadecimal();
        result->size_log2 = std::nullopt;
    } else if (node.has("ppn") && !result->pa) {
        node.fail("'ppn' without 'pa'");
    }
    if (result->pa && node.has("ppn") && !node.at("s").flag() &&
        *result->pa >> page_shift != node.at("ppn").hexadecimal())
        node.at("ppn").fail("does not fit 'pa'");
    if (!answer)
        return;
    result->read = node.at("r").flag();
    result->write = wanted_flag(node, "w");
    result->exec = wanted_flag(node, "x");
    result->untranslated = wanted_flag(node, "u");
    result->priv = wanted_flag(node, "priv");
    result->global = wanted_flag(node, "global");
    result->no_snoop = wanted_flag(node, "n");
    result->cxl_io = wanted_flag(node, "cxl_io");
    result->ama = wanted_number(node, "ama", 7);
}

Result parse_result(const Node &node, AddressType type)
{
    Result result;
    const std::string status = node.at("status").text();
    if (status == "UR")
        result.status = Status::unsupported;
    else if (status == "CA")
        result.status = Status::aborted;
    else if (status != "SUCCESS")
        node.at("status").fail("must be \"SUCCESS\", \"UR\" or \"CA\"");
    if (result.status == Status::success)
        parse_translation(node, type == AddressType::translation_request, &result);
    node.expect_only(
        {"status",    "ppn",      "s",      "size_log2", "size_max_log2", "pa",   "pbmt", "is_msi", "r",
         "w",         "x",        "u",      "priv",      "global",        "n",    "ama",  "cxl_io", "is_mrif",
         "mrif_addr", "mrif_nid", "faults", "mem",       "regs",          "msgs", "pq"},
        "req.expect");
    return result;
}

// What reaches the IOMMU: execute and privileged mode travel with a process_id on translated requests and
// translation requests; the latter ask for write permission unless they say otherwise.
DmaStep parse_request_fields(const Node &node)
{
    DmaStep request;
    const uint64_t type = node.at("at").number(2);
    request.type = type == 0   ? AddressType::untranslated
                   : type == 1 ? AddressType::translation_request
                               : AddressType::translated;
    request.device = number32(node, "did", max_device);
    request.address = node.at("iova").hexadecimal();
    const uint32_t bytes = number32(node, "len", page_bytes);
    if (bytes == 0)
        node.at("len").fail("must not be 0");
    request.bytes = std::min(bytes, page_bytes - static_cast<uint32_t>(request.address % page_bytes));
    if (node.has("pid"))
        request.pasid = number32(node, "pid", max_process);
    const bool write = node.at("write").flag();
    request.write = request.type == AddressType::translation_request ? write || !flag(node, "nw") : write;
    request.exec = flag(node, "exec") && !write &&
                   (request.type == AddressType::untranslated || request.pasid.has_value());
    request.priv = flag(node, "priv") && request.pasid.has_value();
    request.cxl = flag(node, "cxl");
    return request;
}

Step parse_request(const Node &node)
{
    RequestStep step;
    step.request = parse_request_fields(node);
    step.result = parse_result(node.at("expect"), step.request.type);
    step.effects = parse_effects(node.at("expect"));
    if (flag(node, "may_be_stale")) {
        step.stale_result = parse_result(node.at("expect_stale"), step.request.type);
        step.stale_effects = parse_effects(node.at("expect_stale"));
    }
    node.expect_only({"op", "did", "at", "iova", "write", "len", "pid", "priv", "exec", "nw", "cxl", "expect",
                      "may_be_stale", "expect_stale"},
                     "req");
    return step;
}

// ---- other steps ---------------------------------------------------------------------------------------

RegisterWrite parse_access(const Node &node)
{
    RegisterWrite access;
    access.offset = number32(node, "off");
    access.bytes = static_cast<uint8_t>(node.at("size").number(8));
    if (access.bytes != 4 && access.bytes != 8)
        node.at("size").fail("a register access has 4 or 8 bytes");
    return access;
}

constexpr std::initializer_list<const char *> effect_keys = {"faults", "pq", "msgs", "mem", "regs", "gos"};

Step parse_register_write(const Node &node)
{
    RegisterWriteStep step;
    step.write = parse_access(node);
    step.write.value = node.at("val").hexadecimal(step.write.bytes == 4 ? UINT32_MAX : UINT64_MAX);
    step.effects = parse_effects(node.at("expect"));
    node.expect_only({"op", "off", "size", "val", "expect"}, "reg_write");
    node.at("expect").expect_only(effect_keys, "reg_write.expect");
    return step;
}

Step parse_register_read(const Node &node)
{
    const RegisterWrite access = parse_access(node);
    const Node expect = node.at("expect");
    node.expect_only({"op", "off", "size", "expect"}, "reg_read");
    expect.expect_only({"val", "mask"}, "reg_read.expect");
    return RegisterReadStep{access.offset, access.bytes, expect.at("val").hexadecimal(),
                            expect.at("mask").hexadecimal()};
}

Step parse_memory_write(const Node &node)
{
    MemoryWriteStep step{{node.at("addr").hexadecimal(), node.at("val").hexadecimal()}};
    if (step.word.address % 8 != 0)
        node.at("addr").fail("must be a multiple of 8");
    node.expect_only({"op", "addr", "val"}, "mem_write");
    return step;
}

Step parse_command(const Node &node)
{
    QueueStep step;
    step.name = node.at("name").text();
    step.words = {node.at("lo").hexadecimal(), node.at("hi").hexadecimal()};
    step.tail = number32(node.at("expect"), "cqt");
    step.effects = parse_effects(node.at("expect"));
    node.expect_only({"op", "name", "lo", "hi", "expect"}, "cmd");
    node.at("expect").expect_only({"cqt", "faults", "pq", "msgs", "mem", "regs", "gos"}, "cmd.expect");
    return step;
}

Step parse_page_request(const Node &node)
{
    PageRequestStep step;
    step.request.device = number32(node, "did", max_device);
    if (node.at("pv").flag())
        step.request.pasid = number32(node, "pid", max_process);
    step.request.priv = node.at("priv").flag();
    step.request.exec = node.at("exec").flag();
    step.request.payload = node.at("payload").hexadecimal();
    step.effects = parse_effects(node.at("expect"));
    node.expect_only({"op", "did", "pv", "pid", "priv", "exec", "payload", "expect"}, "page_req");
    node.at("expect").expect_only(effect_keys, "page_req.expect");
    return step;
}

Step parse_completion(const Node &node)
{
    constexpr uint8_t all_completions = 8; // what a count of 0 stands for
    CompletionStep step;
    step.completion.device = parse_requester(node);
    step.completion.tags = number32(node, "itag_vector");
    const auto count = static_cast<uint8_t>(node.at("cc").number(7));
    step.completion.expected = count == 0 ? all_completions : count;
    step.unexpected = node.at("expect").at("unexpected").flag();
    step.effects = parse_effects(node.at("expect"));
    node.expect_only({"op", "rid", "dsv", "dseg", "itag_vector", "cc", "expect"}, "inval_completion");
    node.at("expect").expect_only({"unexpected", "faults", "pq", "msgs", "mem", "regs", "gos"},
                                  "inval_completion.expect");
    return step;
}

Step parse_timeout(const Node &node)
{
    node.expect_only({"op", "itag_vector", "expect"}, "ats_timeout");
    node.at("expect").expect_only(effect_keys, "ats_timeout.expect");
    return TimeoutStep{number32(node, "itag_vector"), parse_effects(node.at("expect"))};
}

Step parse_step(const Node &node)
{
    struct Operation {
        const char *name;
        Step (*parse)(const Node &);
    };
    static constexpr Operation operations[] = {
        {"reg_write", parse_register_write},
        {"reg_read", parse_register_read},
        {"mem_write", parse_memory_write},
        {"cmd", parse_command},
        {"req", parse_request},
        {"page_req", parse_page_request},
        {"inval_completion", parse_completion},
        {"ats_timeout", parse_timeout},
    };
    const std::string op = node.at("op").text();
    std::string known;
    for (const Operation &operation : operations) {
        if (op == operation.name)
            return operation.parse(node);
        known += std::string(known.empty() ? "" : ", ") + operation.name;
    }
    node.at("op").fail("unknown operation '" + op + "' (known: " + known + ")");
}

// ---- vector --------------------------------------------------------------------------------------------

uint8_t parse_range_size(const Node &node)
{
    const uint64_t bytes = node.hexadecimal();
    if (bytes < page_bytes || !iom_is_power_of_two(bytes))
        node.fail("must be a power of two, at least 0x1000");
    return static_cast<uint8_t>(iom_log2_u64(bytes));
}

RiscvParameters parse_parameters(const Node &vector)
{
    const Node node = vector.at("params");
    RiscvParameters parameters;
    parameters.capabilities = vector.at("capabilities").hexadecimal();
    parameters.fctl = static_cast<uint32_t>(vector.at("fctl").hexadecimal_or_number(UINT32_MAX));
    parameters.counters = static_cast<uint8_t>(node.at("num_hpm").number(32));
    parameters.counter_bits = static_cast<uint8_t>(node.at("hpmctr_bits").number(64));
    parameters.events = static_cast<uint16_t>(node.at("eventid_limit").number(0x7fff));
    parameters.vector_bits = static_cast<uint8_t>(node.at("num_vec_bits").number(4));
    parameters.max_mode = static_cast<uint8_t>(node.at("max_iommu_mode").number(4));
    parameters.device_id_mask =
        static_cast<uint32_t>(node.at("devid_mask").hexadecimal_or_number(max_device));
    parameters.gxl_writable = node.at("gxl_writable").flag();
    parameters.be_writable = node.at("be_writable").flag();
    parameters.bare_page_log2 = parse_range_size(node.at("bare_page_size"));
    parameters.bare_page_sv32_log2 = parse_range_size(node.at("bare_page_size_sv32"));
    node.expect_only({"num_hpm", "hpmctr_bits", "eventid_limit", "num_vec_bits", "max_iommu_mode",
                      "devid_mask", "gxl_writable", "be_writable", "bare_page_size", "bare_page_size_sv32"},
                     "params");
    return parameters;
}

std::vector<MemoryMark> parse_marks(const Node &list)
{
    std::vector<MemoryMark> marks;
    for (const Node &item : list.items()) {
        const std::vector<Node> pair = item.tuple(2);
        MemoryMark mark;
        mark.address = pair[0].hexadecimal();
        const std::string kind = pair[1].text();
        if (kind != "access" && kind != "corrupt")
            pair[1].fail("must be \"access\" or \"corrupt\"");
        mark.kind = kind == "access" ? MemoryMark::Kind::refuses : MemoryMark::Kind::corrupt;
        marks.push_back(mark);
    }
    return marks;
}

} // namespace

bool is_riscv_vector(const json &document)
{
    return document.is_object() && document.contains("capabilities") && document.contains("params");
}

Vector parse_riscv_vector(const Node &node, Place &place)
{
    for (const char *key : {"id", "family", "fctl", "mem", "mem_faults", "steps"}) {
        if (!node.has(key))
            node.fail(std::string("unknown schema: no field '") + key + "' (see docs/verify.md)");
    }
    Vector vector;
    vector.id = node.at("id").text();
    vector.line = place.line;
    place.id = vector.id;
    vector.family = node.at("family").text();
    vector.config.machine = "riscv";
    vector.config.mode = vector.family;
    vector.config.source = Source::spec;
    vector.config.riscv = parse_parameters(node);
    vector.memory = parse_memory_words(node.at("mem"));
    vector.marks = parse_marks(node.at("mem_faults"));
    for (const Node &item : node.at("steps").items())
        vector.steps.push_back(parse_step(item));
    node.expect_only(
        {"id", "seed", "family", "capabilities", "fctl", "params", "info", "mem", "mem_faults", "steps"},
        "vector");
    return vector;
}

const char *step_name(const Step &step)
{
    static constexpr const char *names[] = {"reg_write", "reg_read", "mem_write",        "cmd",
                                            "req",       "page_req", "inval_completion", "ats_timeout"};
    static_assert(std::variant_size_v<Step> == sizeof names / sizeof names[0]);
    return names[step.index()];
}

} // namespace iommu_sim::verify::riscv
