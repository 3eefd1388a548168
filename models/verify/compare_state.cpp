// SPDX-License-Identifier: Apache-2.0
//
// Comparison of state: registers, results of queue commands, final memory. See compare.h.
#include <array>
#include <optional>

#include "models/verify/compare.h"

namespace iommu_sim::verify
{

Differences compare_registers(const CompareContext &context, const std::vector<RegisterExpectation> &expect,
                              Target &target)
{
    Differences differences;
    for (const RegisterExpectation &expectation : expect) {
        const std::optional<RegisterRef> at = context.family.find_register(context.config, expectation.name);
        if (!at) {
            differences.push_back(
                {"register " + expectation.name, hex(expectation.value), "no such register"});
            continue;
        }
        const uint64_t value = target.read_register(at->offset, at->bytes);
        if ((value & expectation.mask) != (expectation.value & expectation.mask)) {
            const std::string mask = expectation.mask == UINT64_MAX ? "" : " & " + hex(expectation.mask);
            differences.push_back({"register " + expectation.name + mask,
                                   hex(expectation.value & expectation.mask), hex(value & expectation.mask)});
        }
    }
    return differences;
}

Differences compare_commands(const CommandStep &step, const std::map<std::string, uint64_t> &got)
{
    Differences differences;
    for (const auto &[name, value] : step.results) {
        const auto found = got.find(name);
        if (found == got.end())
            differences.push_back({name, hex(value), "no such result"});
        else if (found->second != value)
            differences.push_back({name, hex(value), hex(found->second)});
    }
    return differences;
}

Differences compare_queue(const InvalidationStep &step, const QueueResult &got, Target &target)
{
    Differences differences;
    if (got.head != step.head)
        differences.push_back({"queue head", hex(step.head), hex(got.head)});
    if (got.tail != step.tail)
        differences.push_back({"queue tail", hex(step.tail), hex(got.tail)});
    if (got.error != step.error)
        differences.push_back({"queue error", step.error ? "1" : "0", got.error ? "1" : "0"});
    if (step.wait && step.status) {
        std::array<uint8_t, 4> bytes = {};
        target.read_memory(*step.wait, bytes.data(), bytes.size());
        uint32_t status = 0;
        for (unsigned i = 0; i < 4; i++)
            status |= uint32_t{bytes[i]} << (8 * i);
        if (status != *step.status)
            differences.push_back({"status word", hex(*step.status), hex(status)});
    }
    return differences;
}

namespace
{

// First-stage entries: accessed bit 5, dirty bit 6 (VT-d 4.1, 9.8).
constexpr uint64_t accessed = 1u << 5, dirty = 1u << 6;

// With caches, whether a request sets a flag depends on which of them serves it: a word may have any of those
// that the recording or an uncached run sets, and must have those that software wrote.
bool cached_flags_apply(const WatchedWord &word, uint64_t want, uint64_t uncached)
{
    constexpr uint64_t flags = accessed | dirty;
    const uint64_t allowed = want | uncached | word.software;
    return ((word.last ^ want) & ~flags) == 0 && (word.last & flags & ~allowed) == 0 &&
           (word.software & flags & ~word.last) == 0;
}

} // namespace

Differences compare_final(const CompareContext &context, const std::vector<MemoryWord> &expected,
                          const WatchedWords &watched, const UncachedWord &uncached, MaskUse *use)
{
    std::map<uint64_t, uint64_t> changed;
    for (const MemoryWord &word : expected)
        changed[word.address] = word.value;
    Differences differences;
    for (const auto &[address, word] : watched) {
        const auto found = changed.find(address);
        const uint64_t want = found == changed.end() ? word.software : found->second;
        uint64_t extra = word.last & ~want; // what hardware set beyond the recording
        if (is_recorded_vtd(context.config) && uncached && want != word.last &&
            cached_flags_apply(word, want, uncached(address))) {
            use->note(Mask::cached_flags);
            changed.erase(address);
            continue;
        }
        if (is_recorded_vtd(context.config) && (want & ~word.last) == 0) {
            if ((extra & dirty) && (word.last & accessed)) {
                use->note(Mask::dirty_bit);
                extra &= ~dirty;
            }
            if ((extra & accessed) && (word.refused & accessed)) {
                use->note(Mask::accessed_refused);
                extra &= ~accessed;
            }
        }
        if (extra != 0 || (want & ~word.last) != 0)
            differences.push_back({"memory word " + hex(address), hex(want), hex(word.last)});
        if (found != changed.end())
            changed.erase(found);
    }
    for (const auto &[address, value] : changed)
        differences.push_back({"memory word " + hex(address), hex(value), "never written by software"});
    return differences;
}

} // namespace iommu_sim::verify
