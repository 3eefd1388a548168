// SPDX-License-Identifier: Apache-2.0
//
// Comparison rules: see compare.h; masks.cpp says in words what the code forgives.
#include "models/verify/compare.h"

#include <algorithm>
#include <optional>

namespace iommu_sim::verify
{

namespace
{

// Most masks of this file are those of the VT-d recordings.
bool recorded_vtd(const CompareContext &context)
{
    return is_recorded_vtd(context.config);
}

bool recorded_riscv(const CompareContext &context)
{
    return context.config.source == Source::qemu && context.config.machine == "riscv";
}

bool scalable(const CompareContext &context)
{
    return context.config.mode != "legacy";
}

// Code of the emulator -> code of the specification in scalable mode.
struct CodePair {
    uint64_t from, to;
};
constexpr std::array<CodePair, 13> scalable_codes = {{
    {0x08, 0x38},
    {0x01, 0x39},
    {0x0a, 0x3a},
    {0x09, 0x40},
    {0x02, 0x41},
    {0x0b, 0x42},
    {0x03, 0x43},
    {0x07, 0x78},
    {0x05, 0x79},
    {0x06, 0x79},
    {0x0c, 0x7a},
    {0x04, 0x83},
    {0x04, 0x84},
}};

// Missing permission as recorded -> what a walk that looks at whole entries first may report. One
// way only: the emulator reports the uppermost defect and looks at permissions first, so what it
// reports otherwise cannot hide a missing permission.
constexpr std::array<CodePair, 9> permission_order = {{
    {0x05, 0x0c},
    {0x06, 0x0c},
    {0x79, 0x7a},
    {0x81, 0x71},
    {0x85, 0x71},
    {0x81, 0x72},
    {0x85, 0x72},
    {0x85, 0x81},
    {0x81, 0x85},
}};

// Codes for an input address that is too wide.
constexpr std::array<uint64_t, 1> width_codes_legacy = {0x04};
constexpr std::array<uint64_t, 2> width_codes_scalable = {0x83, 0x84};

// Recorded code -> codes of the specification.
std::vector<uint64_t> specified_codes(const CompareContext &context, uint64_t recorded)
{
    std::vector<uint64_t> codes;
    if (scalable(context)) {
        for (const CodePair &pair : scalable_codes) {
            if (pair.from == recorded)
                codes.push_back(pair.to);
        }
    }
    if (codes.empty())
        codes.push_back(recorded);
    return codes;
}

bool contains(const std::vector<uint64_t> &list, uint64_t value)
{
    return std::find(list.begin(), list.end(), value) != list.end();
}

// The entry bit whose absence a recorded code complains of; 0 if the code does not fit the request.
uint64_t needed_permission(const DmaStep &step, const TablePath &path, uint64_t code)
{
    constexpr uint64_t read = 1u << 0, write = 1u << 1, user = 1u << 2;
    if (path.first_stage && code == 0x81)
        return user;
    if (path.first_stage)
        return code == 0x85 && step.write ? write : 0;
    if (code == 0x05)
        return step.write ? write : 0;
    if (code == 0x06)
        return step.write ? 0 : read;
    return code == 0x79 ? (step.write ? write : read) : 0;
}

// The evidence for permission_order: some entry on the way lacks what the recorded code complains of.
bool permission_is_missing(const CompareContext &context, const DmaStep &step, uint64_t code)
{
    const std::optional<TablePath> path = context.family.table_path(step, context.target);
    const uint64_t needed = path ? needed_permission(step, *path, code) : 0;
    return needed != 0 && std::any_of(path->entries.begin(), path->entries.end(),
                                      [needed](uint64_t entry) { return (entry & needed) == 0; });
}

bool permission_order_applies(const CompareContext &context, const DmaStep &step,
                              const std::vector<uint64_t> &codes, uint64_t got)
{
    return std::any_of(permission_order.begin(), permission_order.end(), [&](const CodePair &pair) {
        return contains(codes, pair.from) && pair.to == got &&
               permission_is_missing(context, step, pair.from);
    });
}

bool same_reason(const CompareContext &context, const DmaStep &step, uint64_t expected, uint64_t got,
                 MaskUse *use)
{
    if (!recorded_vtd(context))
        return expected == got;
    const std::vector<uint64_t> codes = specified_codes(context, expected);
    const bool translated = !contains(codes, expected);
    bool same = contains(codes, got);
    if (!same && permission_order_applies(context, step, codes, got)) {
        use->note(Mask::permission_order);
        same = true;
    }
    if (same && translated)
        use->note(Mask::scalable_codes);
    return same;
}

// True if a mask decides about the field; then *same says how.
bool masked_pasid(const CompareContext &context, const DmaStep &step, const FaultFields &expected,
                  const std::string &name, uint64_t got, bool *same, MaskUse *use)
{
    if (!recorded_vtd(context) || (name != "pp" && name != "pv"))
        return false;
    const auto present = expected.fields.find("pp");
    const bool recorded_present = present != expected.fields.end() && present->second != 0;
    if (recorded_present && scalable(context) && !step.pasid) {
        *same = name == "pv" || got == 0;
        use->note(Mask::rid_pasid);
        return true;
    }
    if (name == "pv" && !recorded_present) {
        *same = true;
        use->note(Mask::pasid_value);
        return true;
    }
    return false;
}

std::string reason_list(const CompareContext &context, const std::vector<uint64_t> &reasons)
{
    std::string text;
    for (const uint64_t reason : reasons)
        text += (text.empty() ? "" : " or ") + hex(reason) + " (" + context.family.reason_text(reason) + ")";
    return text;
}

void compare_reason(const CompareContext &context, const DmaStep &step, const FaultFields &expected,
                    uint64_t got, Differences *differences, MaskUse *use)
{
    std::vector<uint64_t> accepted = expected.reason_any;
    const auto single = expected.fields.find("reason");
    if (single != expected.fields.end()) {
        if (same_reason(context, step, single->second, got, use))
            return;
        accepted = {single->second};
        if (recorded_vtd(context))
            accepted = specified_codes(context, single->second);
    } else if (accepted.empty() || contains(accepted, got)) {
        return;
    }
    differences->push_back({"fault reason", reason_list(context, accepted), reason_list(context, {got})});
}

Differences compare_fault(const CompareContext &context, const DmaStep &step, const FaultFields &expected,
                          const FaultFields &got, MaskUse *use)
{
    Differences differences;
    const auto reason = got.fields.find("reason");
    if (reason == got.fields.end())
        differences.push_back({"fault reason", "a code", "none"});
    else
        compare_reason(context, step, expected, reason->second, &differences, use);
    for (const auto &[name, value] : expected.fields) {
        if (name == "reason")
            continue;
        const auto found = got.fields.find(name);
        if (found == got.fields.end()) {
            differences.push_back({"fault " + name, hex(value), "not recorded"});
            continue;
        }
        bool same = found->second == value;
        masked_pasid(context, step, expected, name, found->second, &same, use);
        if (!same)
            differences.push_back({"fault " + name, hex(value), hex(found->second)});
    }
    return differences;
}

void compare_flag(const char *name, std::optional<bool> expected, bool got, Differences *differences)
{
    if (expected && *expected != got)
        differences->push_back({name, *expected ? "1" : "0", got ? "1" : "0"});
}

void compare_completion(const Outcome &expected, const DmaResult &got, Differences *differences)
{
    const bool denied = got.completion == Completion::denied || (!got.read && !got.write);
    const bool expect_denied = expected.read && expected.write && !*expected.read && !*expected.write;
    if (denied != expect_denied) {
        differences->push_back({"translation", expect_denied ? "denied (R = W = 0)" : "granted",
                                denied ? "denied (R = W = 0)" : "granted"});
        return;
    }
    if (denied)
        return; // nothing else has a meaning
    compare_flag("read permission", expected.read, got.read, differences);
    compare_flag("write permission", expected.write, got.write, differences);
    compare_flag("execute permission", expected.exec, got.exec, differences);
    compare_flag("privileged mode", expected.priv, got.priv, differences);
    compare_flag("global", expected.global, got.global, differences);
    // A smaller range is always legal, a larger one never.
    if (expected.size_log2 && got.size_log2 > *expected.size_log2)
        differences->push_back({"translation size", "at most 2^" + std::to_string(*expected.size_log2),
                                "2^" + std::to_string(got.size_log2)});
}

Differences whole(const CompareContext &context, const Outcome &expected, const Observation &got)
{
    return {{"outcome", describe(context, expected), describe(context, got)}};
}

Differences compare_success(const CompareContext &context, const DmaStep &step, const Outcome &expected,
                            const Observation &got)
{
    Differences differences;
    const bool answered = got.translated() || (step.type == AddressType::translation_request &&
                                               got.result.completion == Completion::denied);
    if (!answered || !got.records.empty())
        return whole(context, expected, got);
    if (step.type == AddressType::translation_request)
        compare_completion(expected, got.result, &differences);
    if (expected.pa && differences.empty() && *expected.pa != got.result.pa)
        differences.push_back({"address", hex(*expected.pa), hex(got.result.pa)});
    return differences;
}

bool in_ram(const CompareContext &context, uint64_t address)
{
    const std::vector<RamRange> ram = context.family.ram(context.config);
    return std::any_of(ram.begin(), ram.end(), [address](const RamRange &range) {
        return address >= range.first && address <= range.last;
    });
}

// The evidence for pass_through_width, and a refusal that says so.
bool pass_through_width_applies(const CompareContext &context, const DmaStep &step, const Observation &got)
{
    if (!got.refused() || got.records.size() != 1)
        return false;
    const std::optional<TablePath> path = context.family.table_path(step, context.target);
    if (!path || !path->pass_through)
        return false;
    const unsigned width = std::min(path->width_bits, context.config.address_width);
    if (width >= 64 || step.address >> width == 0)
        return false;
    const std::map<std::string, uint64_t> &fields = got.records.front().fault.fields;
    const auto has = [&fields](const char *name, uint64_t value) {
        const auto found = fields.find(name);
        return found != fields.end() && found->second == value;
    };
    const auto is_code = [&has](uint64_t code) { return has("reason", code); };
    const bool code = scalable(context)
                          ? std::any_of(width_codes_scalable.begin(), width_codes_scalable.end(), is_code)
                          : std::any_of(width_codes_legacy.begin(), width_codes_legacy.end(), is_code);
    return code && has("sid", step.device) && has("addr", iom_align_down(step.address, IOM_PAGE_LOG2)) &&
           has("type", step.write ? 1 : 0) && has("pp", 0);
}

Differences compare_outside_ram(const CompareContext &context, const DmaStep &step, const Outcome &expected,
                                const Observation &got, MaskUse *use)
{
    if (got.translated() && got.records.empty() && !in_ram(context, got.result.pa)) {
        use->note(Mask::outside_ram);
        return {};
    }
    if (recorded_vtd(context) && pass_through_width_applies(context, step, got)) {
        use->note(Mask::pass_through_width);
        return {};
    }
    return whole(context, expected, got);
}

Differences compare_refusal(const CompareContext &context, const DmaStep &step, const Outcome &expected,
                            const Observation &got, MaskUse *use)
{
    if (!got.refused())
        return whole(context, expected, got);
    if (expected.fault) {
        if (got.records.size() != 1)
            return whole(context, expected, got);
        Differences differences =
            compare_fault(context, step, *expected.fault, got.records.front().fault, use);
        if (expected.record && *expected.record != got.records.front().index)
            differences.push_back(
                {"record used", std::to_string(*expected.record), std::to_string(got.records.front().index)});
        return differences;
    }
    const bool silent = expected.nofault || expected.why == "fpd" || expected.why == "hit-perm";
    if (silent && !got.records.empty())
        return whole(context, expected, got);
    return {};
}

// The second model's conditions that name one fault code; others only say that the request is refused.
std::optional<uint64_t> code_of_condition(const std::string &condition)
{
    if (condition == "pe-np")
        return 0x59;
    if (condition == "pdir-np")
        return 0x51;
    return std::nullopt;
}

// `spec` of a VT-d recording, as an outcome that can be compared.
Outcome second_opinion(const DmaStep &step, const Outcome &recorded)
{
    Outcome outcome = *step.spec;
    if (outcome.ok)
        return outcome;
    outcome.nofault = outcome.cond == "fpd";
    if (outcome.cond == "fpd" || outcome.cond == "rsvd" || outcome.cond == "beyond" || !recorded.fault)
        return outcome;
    // Requester, address and direction are not in doubt.
    outcome.fault = recorded.fault;
    outcome.fault->fields.erase("reason");
    if (const std::optional<uint64_t> code = code_of_condition(outcome.cond))
        outcome.fault->fields["reason"] = *code;
    return outcome;
}

// The reference model truncates addresses that pass through to the width of physical addresses.
bool wide_address_applies(const DmaStep &step, const Outcome &reference, const Observation &got)
{
    constexpr unsigned physical_bits = 56;
    return reference.ok && reference.pa && step.address >> physical_bits != 0 && got.translated() &&
           got.records.empty() && got.result.pa == step.address &&
           *reference.pa == iom_low_bits(step.address, physical_bits);
}

// What a RISC-V recording's own outcome says reliably: of a fault record the cause and the device.
Outcome reliable_part(const CompareContext &context, const Outcome &recorded)
{
    Outcome outcome = recorded;
    if (recorded_riscv(context) && outcome.fault) {
        for (const char *name : {"pv", "pid", "priv", "ttype", "iotval", "iotval2"})
            outcome.fault->fields.erase(name);
    }
    return outcome;
}

// Equality of two observations, for outcomes of earlier states.
bool same_observation(const Observation &a, const Observation &b)
{
    if (a.translated() != b.translated() || a.refused() != b.refused() ||
        a.records.size() != b.records.size())
        return false;
    if (a.translated() && a.result.pa != b.result.pa)
        return false;
    for (size_t i = 0; i < a.records.size(); i++) {
        if (a.records[i].fault.fields != b.records[i].fault.fields)
            return false;
    }
    return true;
}

} // namespace

bool same_outcome(const DmaStep &step, const Observation &a, const Observation &b)
{
    if (a.translated() != b.translated() || a.refused() != b.refused())
        return false;
    if ((a.translated() || a.result.completion == Completion::mrif) && a.result.pa != b.result.pa)
        return false;
    if (step.type != AddressType::translation_request)
        return true;
    return a.result.read == b.result.read && a.result.write == b.result.write &&
           a.result.exec == b.result.exec && a.result.global == b.result.global;
}

Differences compare_tracker(const DmaStep &step, const Observation &now, const Observation &came,
                            bool flagged, uint64_t *stale_uses)
{
    // Requests without PASID cannot ask for more than reading and writing.
    const unsigned usable = step.pasid ? unsigned{IOM_PERM_ALL} : unsigned{IOM_PERM_READ} | IOM_PERM_WRITE;
    const bool differs = !same_outcome(step, now, came);
    const bool grants_more = came.result.permissions & ~now.result.permissions & usable;
    if (flagged ? differs || grants_more : !differs) {
        *stale_uses += flagged;
        return {};
    }
    return {{"hazard tracker", differs ? "a stale use" : "nothing", flagged ? "a stale use" : "nothing"}};
}

Differences compare_outcome(const CompareContext &context, const DmaStep &step, const Outcome &expected,
                            const Observation &got, MaskUse *use)
{
    MaskUse tried; // counts only if it led to acceptance
    Differences differences;
    if (expected.ok) {
        differences = compare_success(context, step, expected, got);
    } else if (expected.why == "noram" && context.config.source == Source::qemu) {
        differences = compare_outside_ram(context, step, expected, got, &tried);
    } else {
        differences = compare_refusal(context, step, expected, got, &tried);
    }
    if (differences.empty())
        use->add(tried);
    return differences;
}

Differences compare_uncached(const CompareContext &context, const DmaStep &step, const Observation &got,
                             MaskUse *use)
{
    if (context.config.source == Source::spec)
        return compare_outcome(context, step, step.res, got, use);
    if (step.ref && wide_address_applies(step, *step.ref, got)) {
        use->note(Mask::wide_address);
        return {};
    }
    if (step.ref)
        return compare_outcome(context, step, *step.ref, got, use);
    const Outcome &recorded = step.fresh ? *step.fresh : step.res;
    Differences differences = compare_outcome(context, step, recorded, got, use);
    if (differences.empty() || !step.spec)
        return differences;
    if (!compare_outcome(context, step, second_opinion(step, recorded), got, use).empty())
        return differences;
    use->note(Mask::second_opinion);
    return {};
}

Differences compare_cached(const CompareContext &context, const DmaStep &step, const Observation &got,
                           const EarlierOutcomes &earlier, MaskUse *use)
{
    Differences differences = compare_uncached(context, step, got, use);
    if (differences.empty() || context.config.source == Source::spec)
        return differences;
    if (compare_outcome(context, step, reliable_part(context, step.res), got, use).empty()) {
        use->note(step.res.why == "hit-perm" ? Mask::cached_permission : Mask::recorded_cached);
        return {};
    }
    for (const Observation &outcome : earlier()) {
        if (same_observation(outcome, got)) {
            use->note(Mask::earlier_state);
            return {};
        }
    }
    return differences;
}

static std::string describe_fault(const CompareContext &context, const FaultFields &fault)
{
    std::string text;
    for (const auto &[name, value] : fault.fields) {
        text += " " + name + "=" + hex(value);
        if (name == "reason")
            text += " (" + context.family.reason_text(value) + ")";
    }
    if (!fault.reason_any.empty())
        text += " reason=" + reason_list(context, fault.reason_any);
    return text;
}

std::string describe(const CompareContext &context, const Outcome &expected)
{
    if (expected.ok)
        return expected.pa ? "translated to " + hex(*expected.pa) : "translation request answered";
    if (expected.why == "noram")
        return "translated to an address outside RAM";
    if (expected.fault)
        return "refused with one fault record:" + describe_fault(context, *expected.fault);
    if (expected.nofault || expected.why == "fpd")
        return "refused without a fault record";
    return "refused";
}

std::string describe(const CompareContext &context, const Observation &got)
{
    std::string text;
    switch (got.result.completion) {
    case Completion::address:
        text = "translated to " + hex(got.result.pa);
        break;
    case Completion::access_error:
        text = "translated to " + hex(got.result.pa) + ", where no memory answers";
        break;
    case Completion::interrupt:
        text = "taken as an interrupt";
        break;
    case Completion::mrif:
        text = "sent to a memory-resident interrupt file";
        break;
    case Completion::denied:
        text = "translation request answered without permission";
        break;
    case Completion::unsupported:
        text = "refused (unsupported request)";
        break;
    case Completion::aborted:
        text = "refused (completer abort)";
        break;
    }
    if (got.records.empty())
        return text + " without a fault record";
    for (const FaultRecord &record : got.records)
        text +=
            ", fault record " + std::to_string(record.index) + ":" + describe_fault(context, record.fault);
    return text;
}

} // namespace iommu_sim::verify
