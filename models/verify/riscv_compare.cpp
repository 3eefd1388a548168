// SPDX-License-Identifier: Apache-2.0
//
// Comparison for the vectors of the RISC-V reference model: see riscv_compare.h.
#include "models/verify/riscv_compare.h"

#include <algorithm>

#include "core/arch/riscv/riscv.h"

namespace iommu_sim::verify::riscv
{

namespace
{

void append(Differences *all, Differences more)
{
    all->insert(all->end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

std::string digit(bool value)
{
    return value ? "1" : "0";
}

// ---- results -------------------------------------------------------------------------------------------

const char *completion_text(Completion completion)
{
    switch (completion) {
    case Completion::address:
        return "translated";
    case Completion::mrif:
        return "sent to a memory-resident interrupt file";
    case Completion::interrupt:
        return "taken as an interrupt";
    case Completion::denied:
        return "success without permission (R = W = 0)";
    case Completion::unsupported:
        return "unsupported request";
    case Completion::aborted:
        return "completer abort";
    case Completion::access_error:
        return "translated, but memory does not answer";
    }
    return "?";
}

const char *status_text(const Result &expected, bool denied)
{
    switch (expected.status) {
    case Status::success:
        break;
    case Status::unsupported:
        return completion_text(Completion::unsupported);
    case Status::aborted:
        return completion_text(Completion::aborted);
    }
    if (expected.mrif)
        return completion_text(Completion::mrif);
    return completion_text(denied ? Completion::denied : Completion::address);
}

bool expects_denial(const Result &expected)
{
    return expected.read == false && expected.write == false;
}

// A permission of the privilege that asked, whether asked for or not.
bool may(const DmaResult &got, iom_permission permission)
{
    constexpr unsigned privileged_shift = 3;
    return (got.permissions & (got.priv ? unsigned{permission} << privileged_shift : unsigned{permission})) !=
           0;
}

bool is_denial(const DmaStep &request, const DmaResult &got)
{
    return got.completion == Completion::denied ||
           (request.type == AddressType::translation_request && got.completion == Completion::address &&
            !got.read && !may(got, IOM_PERM_WRITE));
}

// `answer`: to a translation request; one for an interrupt file allows untranslated access only.
bool same_status(const Result &expected, const DmaResult &got, bool denied, bool answer)
{
    switch (expected.status) {
    case Status::unsupported:
        return got.completion == Completion::unsupported;
    case Status::aborted:
        return got.completion == Completion::aborted;
    case Status::success:
        break;
    }
    if (expected.mrif)
        return got.completion == Completion::mrif;
    if (expects_denial(expected) || denied)
        return expects_denial(expected) && denied;
    // What memory says at the resulting address is no business of the IOMMU.
    return got.completion == Completion::address || got.completion == Completion::access_error ||
           (answer && got.completion == Completion::mrif);
}

void compare_flag(const char *name, std::optional<bool> expected, bool got, Differences *differences)
{
    if (expected && *expected != got)
        differences->push_back({name, digit(*expected), digit(got)});
}

void compare_value(const char *name, uint64_t expected, uint64_t got, Differences *differences)
{
    if (expected != got)
        differences->push_back({name, hex(expected), hex(got)});
}

void compare_answer(const Result &expected, const DmaResult &got, Differences *differences)
{
    const auto attribute = [&got](iom_riscv_leaf_attribute bit) { return (got.attributes & bit) != 0; };
    compare_flag("R", expected.read, got.read, differences);
    compare_flag("W", expected.write, may(got, IOM_PERM_WRITE), differences);
    compare_flag("Exe", expected.exec, got.exec, differences);
    compare_flag("U", expected.untranslated, attribute(IOM_RISCV_LEAF_UNTRANSLATED), differences);
    compare_flag("Priv", expected.priv, got.priv, differences);
    compare_flag("Global", expected.global, got.global, differences);
    compare_flag("N", expected.no_snoop, attribute(IOM_RISCV_LEAF_NO_SNOOP), differences);
    compare_flag("CXL.io", expected.cxl_io, attribute(IOM_RISCV_LEAF_CXL_IO), differences);
    if (expected.ama)
        compare_value("AMA", *expected.ama, iom_low_bits(got.attributes >> IOM_RISCV_LEAF_AMA_SHIFT, 3),
                      differences);
}

// ---- records -------------------------------------------------------------------------------------------

// The page offset of a reported address may be 0 ("Fault record IOTVAL and IOTVAL2 fields"); of the address
// of an implicit access, the bits below those that name it are the reference model's own.
bool same_iotval(const FaultEntry &expected, uint64_t got)
{
    constexpr uint32_t message_request = 9; // TTYP: iotval holds a message code
    if (got == expected.iotval)
        return true;
    return expected.transaction != message_request && got == iom_align_down(expected.iotval, IOM_PAGE_LOG2);
}

bool same_iotval2(const FaultEntry &expected, uint64_t got)
{
    constexpr uint64_t flags = 3, implicit = 1, offset = 0xffc;
    if (got == expected.iotval2)
        return true;
    if (expected.iotval2 & implicit)
        return (got & ~offset) == (expected.iotval2 & ~offset);
    return got == ((expected.iotval2 & ~offset) & ~flags) + (expected.iotval2 & flags);
}

bool same(const FaultEntry &expected, const FaultEntry &got)
{
    return expected.cause == got.cause && expected.transaction == got.transaction &&
           expected.device == got.device && expected.has_process == got.has_process &&
           expected.process == got.process && expected.priv == got.priv &&
           same_iotval(expected, got.iotval) && same_iotval2(expected, got.iotval2);
}

bool same(const PageEntry &expected, const PageEntry &got)
{
    return expected.device == got.device && expected.has_process == got.has_process &&
           expected.process == got.process && expected.priv == got.priv && expected.exec == got.exec &&
           expected.payload == got.payload;
}

bool same(const DeviceMessage &expected, const DeviceMessage &got)
{
    return expected.kind == got.kind && expected.device == got.device && expected.pasid == got.pasid &&
           expected.payload == got.payload;
}

// Compares two lists item by item.
template <typename Item>
Differences compare_lists(const char *what, const std::vector<Item> &expected, const std::vector<Item> &got)
{
    Differences differences;
    for (size_t i = 0; i < std::max(expected.size(), got.size()); i++) {
        if (i < expected.size() && i < got.size() && same(expected[i], got[i]))
            continue;
        differences.push_back({std::string(what) + " " + std::to_string(i),
                               i < expected.size() ? describe(expected[i]) : "none",
                               i < got.size() ? describe(got[i]) : "none"});
    }
    return differences;
}

std::string process_text(bool present, uint32_t process)
{
    return present ? " process " + hex(process) : std::string();
}

std::string drain_text(const std::optional<Drain> &drain)
{
    if (!drain)
        return "nothing";
    return std::string(drain->reads ? "reads" : "") + (drain->reads && drain->writes ? " and " : "") +
           (drain->writes ? "writes" : "");
}

} // namespace

const WatchedRegister &watched_register(Watched which)
{
    static constexpr WatchedRegister registers[watched_count] = {{"cqh", IOM_RISCV_CQH},
                                                                 {"cqcsr", IOM_RISCV_CQCSR},
                                                                 {"fqcsr", IOM_RISCV_FQCSR},
                                                                 {"pqcsr", IOM_RISCV_PQCSR},
                                                                 {"ipsr", IOM_RISCV_IPSR}};
    return registers[static_cast<size_t>(which)];
}

Differences compare_result(const DmaStep &request, const Result &expected, const DmaResult &got)
{
    const bool denied = is_denial(request, got);
    if (!same_status(expected, got, denied, request.type == AddressType::translation_request)) {
        std::string came = completion_text(denied ? Completion::denied : got.completion);
        if (got.completion == Completion::address && !denied)
            came += " to " + hex(got.pa);
        std::string wanted = status_text(expected, expects_denial(expected));
        if (expected.status == Status::success && expected.pa)
            wanted += " to " + hex(*expected.pa);
        return {{"status", wanted, came}};
    }
    Differences differences;
    if (expected.status != Status::success || denied)
        return differences;
    if (expected.mrif) {
        compare_value("MRIF address", expected.mrif_address, got.pa, &differences);
        compare_value("notice page", expected.notice_ppn, IOM_RISCV_NOTICE_PPN(got.attributes), &differences);
        compare_value("notice identity", expected.notice_id, IOM_RISCV_NOTICE_ID(got.attributes),
                      &differences);
        return differences;
    }
    if (expected.pa)
        compare_value("address", *expected.pa, got.pa, &differences);
    // A smaller range is always legal, a larger one never.
    if (expected.size_log2 && got.size_log2 > *expected.size_log2)
        differences.push_back({"range", "at most 2^" + std::to_string(*expected.size_log2),
                               "2^" + std::to_string(got.size_log2)});
    if (expected.memory_type)
        compare_value("memory type", *expected.memory_type, got.attributes & IOM_RISCV_LEAF_TYPE,
                      &differences);
    compare_flag("MSI translation", expected.msi, (got.attributes & IOM_RISCV_LEAF_MSI) != 0, &differences);
    if (request.type == AddressType::translation_request)
        compare_answer(expected, got, &differences);
    return differences;
}

Differences compare_faults(const std::vector<FaultEntry> &expected, const std::vector<FaultEntry> &got)
{
    return compare_lists("fault record", expected, got);
}

Differences compare_page_requests(const std::vector<PageEntry> &expected, const std::vector<PageEntry> &got)
{
    return compare_lists("page request record", expected, got);
}

Differences compare_messages(const std::vector<DeviceMessage> &expected,
                             const std::vector<DeviceMessage> &got)
{
    return compare_lists("message to a device", expected, got);
}

Differences compare_memory(const std::vector<MemoryWord> &expected, const std::vector<MemoryWord> &got)
{
    struct Pair {
        std::optional<uint64_t> expected, got;
    };
    std::map<uint64_t, Pair> words;
    for (const MemoryWord &word : expected)
        words[word.address].expected = word.value;
    for (const MemoryWord &word : got)
        words[word.address].got = word.value;
    Differences differences;
    for (const auto &[address, word] : words) {
        if (word.expected != word.got)
            differences.push_back({"memory word " + hex(address),
                                   word.expected ? hex(*word.expected) : "unchanged",
                                   word.got ? hex(*word.got) : "unchanged"});
    }
    return differences;
}

Differences compare_drain(const std::optional<Drain> &expected, const std::optional<Drain> &got)
{
    const Drain none, want = expected.value_or(none), have = got.value_or(none);
    if (want.reads == have.reads && want.writes == have.writes)
        return {};
    return {{"waited for older", drain_text(expected), drain_text(got)}};
}

Differences compare_effects(const Effects &expected, const Effects &got)
{
    Differences differences;
    append(&differences, compare_faults(expected.faults, got.faults));
    append(&differences, compare_page_requests(expected.page_requests, got.page_requests));
    append(&differences, compare_messages(expected.messages, got.messages));
    append(&differences, compare_memory(expected.memory, got.memory));
    append(&differences, compare_drain(expected.drain, got.drain));
    return differences;
}

std::string describe(const FaultEntry &entry)
{
    const char *text = iom_riscv_fault_text(entry.cause);
    return "cause " + std::to_string(entry.cause) + " (" + (text != nullptr ? text : "unknown") + ") ttyp " +
           std::to_string(entry.transaction) + " device " + hex(entry.device) +
           process_text(entry.has_process, entry.process) + (entry.priv ? " priv" : "") + " iotval " +
           hex(entry.iotval) + " iotval2 " + hex(entry.iotval2);
}

std::string describe(const PageEntry &entry)
{
    return "device " + hex(entry.device) + process_text(entry.has_process, entry.process) +
           (entry.priv ? " priv" : "") + (entry.exec ? " exec" : "") + " payload " + hex(entry.payload);
}

std::string describe(const DeviceMessage &message)
{
    const bool invalidation = message.kind == DeviceMessage::Kind::invalidation;
    return std::string(invalidation ? "invalidation request" : "page response") + " device " +
           hex(message.device) + process_text(message.pasid.has_value(), message.pasid.value_or(0)) +
           " payload " + hex(message.payload);
}

} // namespace iommu_sim::verify::riscv
