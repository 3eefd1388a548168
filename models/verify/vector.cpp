// SPDX-License-Identifier: Apache-2.0
//
// Parsing of conformance vectors: see vector.h and docs/verify.md.
//
// One function for each object of the schema; vector_node.h has the checks of single values.
#include "models/verify/vector.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "models/verify/vector_file.h"
#include "models/verify/vector_node.h"

namespace iommu_sim::verify
{

namespace
{

MemoryImage parse_image(const Node &address, const Node &bytes)
{
    MemoryImage image{address.hexadecimal(), bytes.bytes()};
    if (!image.bytes.empty() && image.bytes.size() - 1 > UINT64_MAX - image.address)
        address.fail("image runs beyond the end of the address space");
    return image;
}

RegisterWrite parse_register(const Node &offset, const Node &bytes, const Node &value)
{
    RegisterWrite write;
    write.offset = static_cast<uint32_t>(offset.hexadecimal_or_number(UINT32_MAX));
    write.bytes = static_cast<uint8_t>(bytes.number(8));
    if (write.bytes != 4 && write.bytes != 8)
        bytes.fail("a register access has 4 or 8 bytes");
    write.value = value.hexadecimal(write.bytes == 4 ? UINT32_MAX : UINT64_MAX);
    return write;
}

std::vector<RegisterExpectation> parse_expect(const Node &step)
{
    std::vector<RegisterExpectation> expectations;
    if (!step.has("expect"))
        return expectations;
    step.at("expect").each_field([&](const std::string &name, const Node &value) {
        expectations.push_back({name, value.hexadecimal(), UINT64_MAX});
    });
    if (!step.has("mask"))
        return expectations;
    step.at("mask").each_field([&](const std::string &name, const Node &value) {
        bool used = false;
        for (RegisterExpectation &expectation : expectations) {
            if (expectation.name == name) {
                expectation.mask = value.hexadecimal();
                used = true;
            }
        }
        if (!used)
            value.fail("mask without an expected value");
    });
    return expectations;
}

uint64_t parse_fault_value(const std::string &name, const Node &value)
{
    if (name == "type" && value.is_string()) {
        const std::string type = value.text();
        if (type != "r" && type != "w")
            value.fail("must be \"r\" or \"w\"");
        return type == "w" ? 1 : 0;
    }
    return value.hexadecimal_or_number();
}

FaultFields parse_fault(const Node &node)
{
    FaultFields fault;
    node.each_field([&](const std::string &name, const Node &value) {
        if (name == "exact") {
            fault.exact = value.flag();
        } else if (name == "reason_any") {
            for (const Node &item : value.items())
                fault.reason_any.push_back(item.hexadecimal_or_number());
            if (fault.reason_any.empty())
                value.fail("must not be empty");
        } else if (name == "cause") { // RISC-V's word
            fault.fields["reason"] = parse_fault_value(name, value);
        } else if (name != "raw" && name != "n") { // the undecoded record, and the number of records
            fault.fields[name] = parse_fault_value(name, value);
        }
    });
    return fault;
}

std::optional<bool> parse_flag(const Node &node, const char *key)
{
    return node.has(key) ? std::optional<bool>(node.at(key).flag()) : std::nullopt;
}

Outcome parse_outcome(const Node &node)
{
    Outcome outcome;
    outcome.ok = node.at("ok").flag();
    if (node.has("pa") && !node.at("pa").is_null())
        outcome.pa = node.at("pa").hexadecimal();
    if (node.has("fault"))
        outcome.fault = parse_fault(node.at("fault"));
    outcome.nofault = node.has("nofault") && node.at("nofault").flag();
    if (outcome.nofault && outcome.fault)
        node.fail("'fault' and 'nofault' exclude each other");
    if (node.has("why"))
        outcome.why = node.at("why").text();
    if (node.has("cond"))
        outcome.cond = node.at("cond").text();
    if (node.has("size_log2"))
        outcome.size_log2 = static_cast<uint8_t>(node.at("size_log2").number(64));
    outcome.read = parse_flag(node, "r");
    outcome.write = parse_flag(node, "w");
    outcome.exec = parse_flag(node, "x");
    outcome.priv = parse_flag(node, "priv");
    outcome.global = parse_flag(node, "global");
    if (node.has("rec") && node.at("rec").is_boolean()) // SMMUv3: recorded?
        outcome.extra["rec"] = node.at("rec").scalar();
    else if (node.has("rec"))
        outcome.record = static_cast<uint32_t>(node.at("rec").number(UINT32_MAX));
    for (const char *name : {"type", "stage", "stall", "raz", "noram", "n"}) {
        if (node.has(name))
            outcome.extra[name] = node.at(name).scalar();
    }
    node.expect_only({"ok",   "pa",    "fault", "nofault", "why",   "cond", "size_log2", "r",
                      "w",    "x",     "priv",  "global",  "rec",   "hit",  "data",      "xlat",
                      "type", "stage", "stall", "raz",     "noram", "n"},
                     "result");
    return outcome;
}

std::optional<Outcome> parse_optional_outcome(const Node &step, const char *key)
{
    return step.has(key) ? std::optional<Outcome>(parse_outcome(step.at(key))) : std::nullopt;
}

AddressType parse_address_type(const Node &node)
{
    const std::string type = node.text();
    if (type == "u")
        return AddressType::untranslated;
    if (type == "t")
        return AddressType::translation_request;
    if (type == "x")
        return AddressType::translated;
    node.fail("must be \"u\", \"t\" or \"x\"");
}

constexpr uint32_t page_bytes = 4096;

Step parse_dma(const Node &node)
{
    DmaStep step;
    step.device = static_cast<uint32_t>(node.at("dev").hexadecimal_or_number(UINT32_MAX));
    const std::string direction = node.has("rw") ? node.at("rw").text() : "r";
    if (direction != "r" && direction != "w")
        node.at("rw").fail("must be \"r\" or \"w\"");
    step.write = direction == "w";
    step.address = node.at("iova").hexadecimal();
    if (node.has("len"))
        step.bytes = static_cast<uint32_t>(node.at("len").number(page_bytes));
    if (step.bytes == 0 || step.address % page_bytes + step.bytes > page_bytes)
        node.fail("a DMA has 1 to 4096 bytes and must not cross a 4 KiB page");
    if (node.has("pasid"))
        step.pasid = static_cast<uint32_t>(node.at("pasid").number((1u << 20) - 1));
    step.priv = node.has("priv") && node.at("priv").flag();
    step.exec = node.has("exec") && node.at("exec").flag();
    if (node.has("at"))
        step.type = parse_address_type(node.at("at"));
    if (step.exec && step.write && step.type != AddressType::translation_request)
        node.fail("'exec' goes with reads only");
    step.res = parse_outcome(node.at("res"));
    step.fresh = parse_optional_outcome(node, "fresh");
    step.ref = parse_optional_outcome(node, "ref");
    step.spec = parse_optional_outcome(node, "spec");
    step.expect = parse_expect(node);
    node.expect_only({"op", "dev", "rw", "iova", "len", "pasid", "priv", "exec", "at", "res", "fresh", "ref",
                      "spec", "expect", "mask"},
                     "dma");
    return step;
}

Step parse_memory(const Node &node)
{
    node.expect_only({"op", "a", "d"}, "mem");
    return MemoryStep{parse_image(node.at("a"), node.at("d"))};
}

Step parse_register_step(const Node &node)
{
    node.expect_only({"op", "o", "n", "v", "expect", "mask", "res"}, "reg");
    return RegisterStep{parse_register(node.at("o"), node.at("n"), node.at("v")), parse_expect(node)};
}

std::vector<std::vector<uint64_t>> parse_words(const Node &list, size_t fewest, size_t most)
{
    std::vector<std::vector<uint64_t>> result;
    for (const Node &item : list.items()) {
        std::vector<uint64_t> words;
        for (const Node &word : item.items())
            words.push_back(word.hexadecimal_or_number());
        if (words.size() < fewest || words.size() > most)
            item.fail("has " + std::to_string(words.size()) + " words");
        result.push_back(std::move(words));
    }
    return result;
}

Step parse_invalidation(const Node &node)
{
    InvalidationStep step;
    step.queue = node.at("q").hexadecimal();
    step.queue_bytes = static_cast<uint32_t>(node.at("qs").number(UINT32_MAX));
    step.descriptor_bytes = static_cast<uint32_t>(node.at("dw").number(64));
    if (step.descriptor_bytes != 16 && step.descriptor_bytes != 32)
        node.at("dw").fail("a descriptor has 16 or 32 bytes");
    if (step.queue_bytes == 0 || step.queue_bytes % page_bytes != 0)
        node.at("qs").fail("a queue is a multiple of 4096 bytes");
    step.descriptors = parse_words(node.at("desc"), step.descriptor_bytes / 8, step.descriptor_bytes / 8);
    if (node.has("wait"))
        step.wait = node.at("wait").hexadecimal();
    const Node res = node.at("res");
    step.head = res.at("iqh").hexadecimal();
    step.tail = res.at("iqt").hexadecimal();
    step.error = res.at("iqe").flag();
    if (step.wait)
        step.status = static_cast<uint32_t>(res.at("status").hexadecimal(UINT32_MAX));
    step.expect = parse_expect(node);
    node.expect_only({"op", "q", "qs", "dw", "desc", "wait", "res", "expect", "mask"}, "inv");
    res.expect_only({"iqh", "iqt", "iqe", "status"}, "inv.res");
    return step;
}

// Scalar fields of a result; lists and texts that are no numbers belong to their families.
std::map<std::string, uint64_t> parse_numbers(const Node &node, const std::set<std::string> &leave_out)
{
    std::map<std::string, uint64_t> numbers;
    node.each_field([&](const std::string &name, const Node &value) {
        if (leave_out.count(name) == 0 && (value.is_number() || value.is_string()))
            numbers[name] = value.hexadecimal_or_number();
    });
    return numbers;
}

Step parse_command(const Node &node)
{
    CommandStep step;
    step.queue = node.at("q").hexadecimal();
    step.entries = static_cast<uint32_t>(node.at("n").number(UINT32_MAX));
    step.commands = parse_words(node.at("cmd"), 2, 3);
    if (node.has("start"))
        step.start = node.at("start").hexadecimal_or_number();
    if (node.has("wait"))
        step.wait = node.at("wait").hexadecimal();
    step.results = parse_numbers(node.at("res"), {});
    if (node.at("res").has("fault"))
        step.fault = parse_fault(node.at("res").at("fault"));
    step.expect = parse_expect(node);
    node.expect_only({"op", "q", "n", "cmd", "start", "wait", "res", "expect", "mask"}, "cmd");
    node.at("res").each_field([&](const std::string &name, const Node &value) {
        if (name != "fault" && !value.is_number() && !value.is_string())
            node.at("res").expect_only({}, "cmd.res"); // lists: reported until their family is supported
    });
    return step;
}

Step parse_bypass(const Node &node)
{
    return BypassStep{node.at("v").hexadecimal_or_number(1) != 0};
}

Step parse_virtio(const Node &node)
{
    VirtioStep step;
    const Node type = node.at("type");
    step.type = type.is_number() ? std::to_string(type.number(255)) : type.text();
    step.fields = parse_numbers(node, {"op", "type"});
    const Node res = node.at("res");
    step.results = parse_numbers(res, {});
    if (res.has("status_any")) {
        for (const Node &item : res.at("status_any").items())
            step.status_any.push_back(item.number(255));
    }
    return step;
}

Step parse_step(const Node &node)
{
    const std::string op = node.at("op").text();
    if (op == "dma")
        return parse_dma(node);
    if (op == "mem")
        return parse_memory(node);
    if (op == "reg")
        return parse_register_step(node);
    if (op == "inv")
        return parse_invalidation(node);
    if (op == "cmd")
        return parse_command(node);
    if (op == "bypass")
        return parse_bypass(node);
    if (op == "vreq")
        return parse_virtio(node);
    node.at("op").fail("unknown operation '" + op + "' (known: dma, mem, reg, inv, cmd, bypass, vreq)");
}

Source parse_source(const Node &config)
{
    if (!config.has("source"))
        return Source::qemu;
    if (config.at("source").text() != "spec")
        config.at("source").fail("must be \"spec\" or absent");
    return Source::spec;
}

uint32_t parse_width(const Node &node)
{
    const auto width = static_cast<uint32_t>(node.number(64));
    if (width < 12)
        node.fail("an address width has at least 12 bits");
    return width;
}

VectorConfig parse_config(const Node &node)
{
    VectorConfig config;
    config.machine = node.at("machine").text();
    config.source = parse_source(node);
    for (const char *key : {"mode", "kind"}) {
        if (node.has(key))
            config.mode = node.at(key).text();
    }
    if (node.has("aw"))
        config.address_width = parse_width(node.at("aw"));
    if (node.has("haw"))
        config.host_address_width = parse_width(node.at("haw"));
    for (const char *key : {"cap", "ecap", "efr"}) {
        if (node.has(key))
            config.capabilities[key] = node.at(key).hexadecimal();
    }
    if (node.has("idr")) {
        node.at("idr").each_field([&](const std::string &name, const Node &value) {
            config.capabilities[name] = value.hexadecimal_or_number();
        });
    }
    config.keep_faults = node.has("keep_faults") && node.at("keep_faults").flag();
    if (node.has("ats_devs")) {
        for (const Node &item : node.at("ats_devs").items())
            config.ats_devices.push_back(static_cast<uint32_t>(item.hexadecimal_or_number(UINT32_MAX)));
    }
    if (config.machine == "riscv")
        node.expect_only({"machine", "iommu", "kind", "mode", "source"}, "cfg");
    if (config.machine == "vtd") {
        node.expect_only({"machine", "iommu", "mode", "kind", "aw", "haw", "source", "cap", "ecap",
                          "keep_faults", "ats_devs"},
                         "cfg");
    }
    return config;
}

Vector parse_fields(const Node &node, Place &place)
{
    Vector vector;
    for (const char *key : {"id", "arch", "cfg", "mem", "regs", "steps"}) {
        if (!node.has(key))
            node.fail(std::string("unknown schema: no field '") + key + "' (see docs/verify.md)");
    }
    vector.id = node.at("id").text();
    vector.line = place.line;
    place.id = vector.id;
    vector.family = node.at("arch").text();
    vector.config = parse_config(node.at("cfg"));
    for (const Node &item : node.at("mem").items()) {
        const std::vector<Node> pair = item.tuple(2);
        vector.memory.push_back(parse_image(pair[0], pair[1]));
    }
    for (const Node &item : node.at("regs").items()) {
        const std::vector<Node> triple = item.tuple(3);
        vector.registers.push_back(parse_register(triple[0], triple[1], triple[2]));
    }
    for (const Node &item : node.at("steps").items())
        vector.steps.push_back(parse_step(item));
    if (node.has("fin"))
        vector.fin = parse_memory_words(node.at("fin"));
    if (node.has("finfresh"))
        vector.fin_fresh = parse_memory_words(node.at("finfresh"));
    node.expect_only({"id", "arch", "qemu", "cfg", "mem", "fill", "regs", "steps", "fin", "finfresh"},
                     "vector");
    return vector;
}

} // namespace

std::vector<MemoryWord> parse_memory_words(const Node &list)
{
    std::vector<MemoryWord> words;
    for (const Node &item : list.items()) {
        const std::vector<Node> pair = item.tuple(2);
        const MemoryWord word{pair[0].hexadecimal(), pair[1].hexadecimal()};
        if (word.address % 8 != 0)
            pair[0].fail("must be a multiple of 8");
        words.push_back(word);
    }
    return words;
}

AnyVector parse_any_vector(const std::string &text, const std::string &file, size_t line,
                           std::set<std::string> *notes)
{
    Place place{file, line, {}, notes, "vector"};
    const json document = parse_json(text, file, line);
    const Node root(document, place, "");
    if (!root.is_object())
        root.fail("unknown schema: a vector is a JSON object");
    if (riscv::is_riscv_vector(document))
        return riscv::parse_riscv_vector(root, place);
    return parse_fields(root, place);
}

Vector parse_vector(const std::string &text, const std::string &file, size_t line,
                    std::set<std::string> *notes)
{
    AnyVector vector = parse_any_vector(text, file, line, notes);
    if (!std::holds_alternative<Vector>(vector))
        throw VectorError(file + ":" + std::to_string(line) + ": is a vector of another schema");
    return std::get<Vector>(std::move(vector));
}

std::string hex(uint64_t value)
{
    return hexadecimal_text(value);
}

const char *step_name(const Step &step)
{
    static constexpr const char *names[] = {"dma", "mem", "reg", "inv", "cmd", "bypass", "vreq"};
    static_assert(std::variant_size_v<Step> == sizeof names / sizeof names[0]);
    return names[step.index()];
}

} // namespace iommu_sim::verify
