// SPDX-License-Identifier: Apache-2.0
//
// Comparison rules and masks: each mask accepts what it documents, and nothing beside it.
#include <gtest/gtest.h>

#include "models/verify/compare.h"
#include "tests/models/support/verify_fake_target.h"

using namespace iommu_sim::verify;

namespace
{

// ---- short ways to write expectations and observations ------------------------------------------

Outcome translated(uint64_t pa)
{
    Outcome outcome;
    outcome.ok = true;
    outcome.pa = pa;
    return outcome;
}

Outcome refused(const std::string &why)
{
    Outcome outcome;
    outcome.why = why;
    return outcome;
}

FaultFields record(uint64_t reason, uint64_t pp = 0, uint64_t pv = 0)
{
    FaultFields fault;
    fault.fields = {{"reason", reason}, {"sid", 0x18}, {"addr", 0x1000}, {"type", 0}, {"pp", pp}, {"pv", pv}};
    return fault;
}

Outcome faulted(uint64_t reason, uint64_t pp = 0, uint64_t pv = 0)
{
    Outcome outcome;
    outcome.fault = record(reason, pp, pv);
    return outcome;
}

Observation saw_address(uint64_t pa)
{
    Observation got;
    got.result.completion = Completion::address;
    got.result.pa = pa;
    got.result.read = true;
    got.result.size_log2 = 12;
    return got;
}

Observation saw_refusal()
{
    return {};
}

Observation saw_fault(uint64_t reason, uint64_t pp = 0, uint64_t pv = 0)
{
    Observation got;
    got.records.push_back({0, record(reason, pp, pv)});
    return got;
}

class VerifyCompare : public testing::Test
{
  protected:
    void mode(Source source, const std::string &mode)
    {
        config.machine = "vtd";
        config.source = source;
        config.mode = mode;
    }
    bool equal(const Outcome &expected, const Observation &got)
    {
        use = MaskUse();
        return compare_outcome({config, family_of("vtd"), tables}, step, expected, got, &use).empty();
    }
    bool uncached(const Observation &got)
    {
        use = MaskUse();
        return compare_uncached({config, family_of("vtd"), tables}, step, got, &use).empty();
    }
    bool cached(const Observation &got, const std::vector<Observation> &earlier = {})
    {
        use = MaskUse();
        return compare_cached(
                   {config, family_of("vtd"), tables}, step, got, [&] { return earlier; }, &use)
            .empty();
    }
    bool final_memory(const std::vector<MemoryWord> &expected, const WatchedWords &watched)
    {
        use = MaskUse();
        return compare_final({config, family_of("vtd"), tables}, expected, watched, nullptr, &use).empty();
    }

    // ---- tables for masks that need evidence
    // One bus, one device (0x18, the source of record()), tables at fixed places; entries of the
    // levels from the top.
    void legacy_tables(unsigned type, unsigned width_field, const std::vector<uint64_t> &entries)
    {
        tables.registers[IOM_VTD_RTADDR] = 0x10000;
        tables.memory.write64(0x10000, 0x11001);
        tables.memory.write64(0x11000 + 16 * 0x18, 0x20000 | type << 2 | 1);
        tables.memory.write64(0x11000 + 16 * 0x18 + 8, width_field);
        table_entries(entries);
    }
    void scalable_tables(unsigned type, const std::vector<uint64_t> &entries)
    {
        tables.registers[IOM_VTD_RTADDR] = 0x10400;
        tables.memory.write64(0x10000, 0x11001);
        tables.memory.write64(0x11000 + 32 * 0x18, 0x12001);
        tables.memory.write64(0x11000 + 32 * 0x18 + 8, 67); // RID_PASID: directory 1, entry 3
        tables.memory.write64(0x12008, 0x13001);
        tables.memory.write64(0x13000 + 64 * 3, 0x20001 | 2 << 2 | type << 6);
        tables.memory.write64(0x13000 + 64 * 3 + 16, 0x20000);
        table_entries(entries);
    }
    void table_entries(const std::vector<uint64_t> &entries)
    {
        step.device = 0x18;
        step.address = 0x1000;
        for (size_t i = 0; i < entries.size(); i++) {
            const uint64_t index = i + 1 == entries.size() ? 1 : 0; // of address 0x1000
            tables.memory.write64(0x20000 + 0x1000 * i + 8 * index, entries[i] | (0x21000 + 0x1000 * i));
        }
    }

    VectorConfig config;
    FakeTarget tables;
    DmaStep step;
    MaskUse use;
};

} // namespace

// ---- exact comparison ---------------------------------------------------------------------------

TEST_F(VerifyCompare, translations)
{
    mode(Source::spec, "sm");
    EXPECT_TRUE(equal(translated(0x5008), saw_address(0x5008)));
    EXPECT_FALSE(equal(translated(0x5008), saw_address(0x5000)));
    EXPECT_FALSE(equal(translated(0x5008), saw_refusal()));
    EXPECT_FALSE(equal(faulted(2), saw_address(0x5008)));
    Observation with_record = saw_address(0x5008);
    with_record.records = saw_fault(2).records;
    EXPECT_FALSE(equal(translated(0x5008), with_record)) << "a fault record that nobody asked for";
    Observation interrupt;
    interrupt.result.completion = Completion::interrupt;
    EXPECT_FALSE(equal(translated(0xfee00000), interrupt));
}

TEST_F(VerifyCompare, every_given_fault_field_counts)
{
    mode(Source::spec, "sm");
    EXPECT_TRUE(equal(faulted(0x71, 1, 9), saw_fault(0x71, 1, 9)));
    for (const char *name : {"reason", "sid", "addr", "type", "pp", "pv"}) {
        Observation got = saw_fault(0x71, 1, 9);
        got.records[0].fault.fields[name] ^= 1;
        EXPECT_FALSE(equal(faulted(0x71, 1, 9), got)) << name;
        Outcome silent = faulted(0x71, 1, 9);
        silent.fault->fields.erase(name);
        EXPECT_TRUE(equal(silent, got)) << name << " is not given: not compared";
    }
    Observation two = saw_fault(0x71, 1, 9);
    two.records.push_back({1, record(0x71, 1, 9)});
    EXPECT_FALSE(equal(faulted(0x71, 1, 9), two));
    EXPECT_FALSE(equal(faulted(0x71, 1, 9), saw_refusal()));
}

TEST_F(VerifyCompare, alternative_reasons)
{
    mode(Source::spec, "sm");
    Outcome expected = faulted(0x71);
    expected.fault->fields.erase("reason");
    expected.fault->reason_any = {0x71, 0x81};
    EXPECT_TRUE(equal(expected, saw_fault(0x71)));
    EXPECT_TRUE(equal(expected, saw_fault(0x81)));
    EXPECT_FALSE(equal(expected, saw_fault(0x85)));
}

TEST_F(VerifyCompare, silent_refusals)
{
    mode(Source::spec, "sm");
    Outcome silent;
    silent.nofault = true;
    EXPECT_TRUE(equal(silent, saw_refusal()));
    EXPECT_FALSE(equal(silent, saw_fault(2)));
    EXPECT_FALSE(equal(silent, saw_address(0)));
    EXPECT_TRUE(equal(refused("ur-ca"), saw_refusal()));
    EXPECT_TRUE(equal(refused("ur-ca"), saw_fault(2))) << "only the refusal is fixed";
    EXPECT_FALSE(equal(refused("ur-ca"), saw_address(0)));
}

TEST_F(VerifyCompare, record_index)
{
    mode(Source::spec, "legacy");
    Outcome expected = faulted(2);
    expected.record = 3;
    Observation got = saw_fault(2);
    got.records[0].index = 3;
    EXPECT_TRUE(equal(expected, got));
    got.records[0].index = 2;
    EXPECT_FALSE(equal(expected, got));
}

TEST_F(VerifyCompare, translation_requests)
{
    mode(Source::spec, "sm");
    step.type = AddressType::translation_request;
    Outcome expected = translated(0x5000);
    expected.size_log2 = 21;
    expected.read = true;
    expected.write = expected.exec = expected.priv = expected.global = false;
    Observation got = saw_address(0x5000);
    EXPECT_TRUE(equal(expected, got)) << "smaller is legal";
    got.result.size_log2 = 22;
    EXPECT_FALSE(equal(expected, got)) << "larger is not";
    got.result.size_log2 = 12;
    for (bool DmaResult::*flag :
         {&DmaResult::write, &DmaResult::exec, &DmaResult::priv, &DmaResult::global}) {
        got.result.*flag = true;
        EXPECT_FALSE(equal(expected, got));
        got.result.*flag = false;
    }
    Outcome denied;
    denied.ok = true;
    denied.read = denied.write = false;
    EXPECT_FALSE(equal(denied, got));
    got.result.completion = Completion::denied;
    got.result.read = false;
    EXPECT_TRUE(equal(denied, got));
    EXPECT_FALSE(equal(expected, got));
    EXPECT_FALSE(equal(denied, saw_refusal()));
}

// ---- masks of the recordings --------------------------------------------------------------------

TEST_F(VerifyCompare, no_mask_applies_to_the_specifications_vectors)
{
    mode(Source::spec, "ss");
    EXPECT_FALSE(equal(faulted(2, 0), saw_fault(0x41, 0)));
    EXPECT_FALSE(equal(faulted(2, 0, 0xffff), saw_fault(2, 0, 0)));
    EXPECT_FALSE(equal(faulted(0x79), saw_fault(0x7a)));
    EXPECT_FALSE(equal(refused("noram"), saw_address(0x90000000)));
    step.res = faulted(0x79);
    step.spec = faulted(0x7a);
    EXPECT_FALSE(uncached(saw_fault(0x7a)));
    EXPECT_FALSE(cached(saw_fault(0x7a), {saw_fault(0x7a)}));
}

TEST_F(VerifyCompare, mask_outside_ram)
{
    mode(Source::qemu, "legacy");
    EXPECT_TRUE(equal(refused("noram"), saw_address(0x80000000)));
    EXPECT_TRUE(equal(refused("noram"), saw_address(0x280000000)));
    EXPECT_EQ(use.count(Mask::outside_ram), 1u);
    EXPECT_FALSE(equal(refused("noram"), saw_address(0x7fffffff))) << "that is RAM";
    EXPECT_FALSE(equal(refused("noram"), saw_address(0x27fffffff))) << "that is RAM";
    EXPECT_FALSE(equal(refused("noram"), saw_refusal()));
    EXPECT_FALSE(equal(refused("noram"), saw_fault(6)));
    EXPECT_FALSE(equal(refused("fpd"), saw_address(0x80000000)));
    EXPECT_FALSE(equal(refused("fpd"), saw_fault(6)));
    EXPECT_TRUE(equal(refused("fpd"), saw_refusal()));
}

TEST_F(VerifyCompare, mask_pasid_value)
{
    mode(Source::qemu, "legacy");
    EXPECT_TRUE(equal(faulted(6, 0, 0xffff), saw_fault(6, 0, 0)));
    EXPECT_EQ(use.count(Mask::pasid_value), 1u);
    EXPECT_FALSE(equal(faulted(6, 0, 0xffff), saw_fault(6, 1, 0))) << "pp counts";
    EXPECT_FALSE(equal(faulted(6, 1, 5), saw_fault(6, 1, 4))) << "pp = 1: the value counts";
}

TEST_F(VerifyCompare, mask_rid_pasid)
{
    mode(Source::qemu, "fs");
    EXPECT_TRUE(equal(faulted(0x71, 1, 5), saw_fault(0x71, 0, 0)));
    EXPECT_GT(use.count(Mask::rid_pasid), 0u);
    EXPECT_FALSE(equal(faulted(0x71, 1, 5), saw_fault(0x71, 1, 5))) << "the request carries no PASID";
    step.pasid = 5;
    EXPECT_FALSE(equal(faulted(0x71, 1, 5), saw_fault(0x71, 0, 0)));
    EXPECT_TRUE(equal(faulted(0x71, 1, 5), saw_fault(0x71, 1, 5)));
    step.pasid.reset();
    mode(Source::qemu, "legacy");
    EXPECT_FALSE(equal(faulted(6, 1, 5), saw_fault(6, 0, 0))) << "scalable mode only";
}

TEST_F(VerifyCompare, mask_scalable_codes)
{
    const std::map<uint64_t, std::set<uint64_t>> pairs = {
        {0x8, {0x38}}, {0x1, {0x39}}, {0xa, {0x3a}}, {0x9, {0x40}}, {0x2, {0x41}}, {0xb, {0x42}},
        {0x3, {0x43}}, {0x7, {0x78}}, {0x5, {0x79}}, {0x6, {0x79}}, {0xc, {0x7a}}, {0x4, {0x83, 0x84}}};
    for (uint64_t from = 1; from <= 0x90; from++) {
        const auto pair = pairs.find(from);
        const std::set<uint64_t> legal = pair == pairs.end() ? std::set<uint64_t>{from} : pair->second;
        for (uint64_t got = 1; got <= 0x90; got++) {
            mode(Source::qemu, "ss");
            EXPECT_EQ(equal(faulted(from), saw_fault(got)), legal.count(got) == 1)
                << std::hex << from << " " << got;
            mode(Source::qemu, "legacy");
            EXPECT_EQ(equal(faulted(from), saw_fault(got)), got == from) << std::hex << from << " " << got;
        }
    }
}

TEST_F(VerifyCompare, mask_permission_order_of_legacy_mode)
{
    mode(Source::qemu, "legacy");
    const auto accepts = [&](uint64_t recorded, uint64_t got) {
        return equal(faulted(recorded), saw_fault(got));
    };
    legacy_tables(0, 1, {3, 1, 3}); // the middle entry does not grant writing
    step.write = true;
    for (uint64_t got = 1; got <= 0x90; got++) {
        EXPECT_EQ(accepts(5, got), got == 5 || got == 0xc) << std::hex << got;
        EXPECT_EQ(accepts(0xc, got), got == 0xc)
            << std::hex << got << ": a reserved bit cannot hide anything";
    }
    EXPECT_TRUE(accepts(5, 0xc));
    EXPECT_EQ(use.count(Mask::permission_order), 1u);
    step.write = false;
    EXPECT_FALSE(accepts(6, 0xc)) << "every entry grants reading";
    legacy_tables(0, 1, {3, 3, 2});
    EXPECT_TRUE(accepts(6, 0xc));
    EXPECT_FALSE(accepts(5, 0xc)) << "code 5 is for writes";
    step.write = true;
    EXPECT_FALSE(accepts(5, 0xc)) << "every entry grants writing";
    legacy_tables(2, 1, {1, 1, 1});
    EXPECT_FALSE(accepts(5, 0xc)) << "passed through: no tables";
}

TEST_F(VerifyCompare, mask_permission_order_of_scalable_mode)
{
    enum { first = 1, second = 2 };
    const auto accepted = [&](uint64_t recorded) {
        std::set<uint64_t> codes;
        for (uint64_t got = 1; got <= 0x90; got++) {
            if (equal(faulted(recorded), saw_fault(got)))
                codes.insert(got);
        }
        return codes;
    };
    mode(Source::qemu, "fs");
    step.write = true;
    scalable_tables(first, {7, 7, 5, 7}); // not writable
    EXPECT_EQ(accepted(0x85), (std::set<uint64_t>{0x71, 0x72, 0x81, 0x85}));
    EXPECT_EQ(accepted(0x81), (std::set<uint64_t>{0x81})) << "every entry is for user requests";
    scalable_tables(first, {7, 7, 7, 3}); // supervisor
    EXPECT_EQ(accepted(0x81), (std::set<uint64_t>{0x71, 0x72, 0x81, 0x85}));
    EXPECT_EQ(accepted(0x85), (std::set<uint64_t>{0x85}));
    EXPECT_EQ(accepted(0x71), (std::set<uint64_t>{0x71}));
    EXPECT_EQ(accepted(0x72), (std::set<uint64_t>{0x72}));
    scalable_tables(first, {7, 7, 6, 5}); // the walk ends at the third entry
    EXPECT_EQ(accepted(0x85), (std::set<uint64_t>{0x85}));
    mode(Source::qemu, "ss");
    scalable_tables(second, {3, 3, 1, 3});
    EXPECT_EQ(accepted(5), (std::set<uint64_t>{0x79, 0x7a}));
    step.write = false;
    EXPECT_EQ(accepted(6), (std::set<uint64_t>{0x79}));
}

TEST_F(VerifyCompare, mask_pass_through_width)
{
    enum { untranslated = 0, pass_through = 2, sm_pass_through = 4 };
    const auto refusal = [&](uint64_t code) {
        Observation got = saw_fault(code);
        got.records[0].fault.fields["addr"] = iom_align_down(step.address, 12);
        return got;
    };
    mode(Source::qemu, "legacy");
    config.address_width = 48;
    legacy_tables(pass_through, 2, {});
    step.address = uint64_t{1} << 48;
    EXPECT_TRUE(equal(refused("noram"), refusal(4)));
    EXPECT_EQ(use.count(Mask::pass_through_width), 1u);
    EXPECT_FALSE(equal(refused("noram"), refusal(6))) << "not a code for addresses";
    EXPECT_FALSE(equal(refused("noram"), saw_refusal())) << "no record";
    EXPECT_FALSE(equal(translated(step.address), refusal(4))) << "the recording knows an address";
    for (const char *field : {"sid", "type", "pp", "addr"}) {
        Observation got = refusal(4);
        got.records[0].fault.fields[field] ^= field == std::string("addr") ? 0x1000 : 1;
        EXPECT_FALSE(equal(refused("noram"), got)) << field;
    }
    step.address--;
    EXPECT_FALSE(equal(refused("noram"), refusal(4))) << "not too wide";
    legacy_tables(pass_through, 1, {}); // 39 bits
    step.address = uint64_t{1} << 39;
    EXPECT_TRUE(equal(refused("noram"), refusal(4)));
    legacy_tables(untranslated, 1, {});
    step.address = uint64_t{1} << 39;
    EXPECT_FALSE(equal(refused("noram"), refusal(4))) << "not passed through";
    mode(Source::qemu, "ss");
    scalable_tables(sm_pass_through, {});
    step.address = uint64_t{1} << 50;
    EXPECT_TRUE(equal(refused("noram"), refusal(0x83)));
    EXPECT_TRUE(equal(refused("noram"), refusal(0x84)));
    EXPECT_FALSE(equal(refused("noram"), refusal(4)));
}

TEST_F(VerifyCompare, mask_second_opinion)
{
    mode(Source::qemu, "fs");
    step.res = faulted(0x51);
    step.spec = Outcome();
    step.spec->cond = "fpd";
    EXPECT_TRUE(uncached(saw_fault(0x51))) << "the recorded outcome stays legal";
    EXPECT_EQ(use.count(Mask::second_opinion), 0u);
    EXPECT_TRUE(uncached(saw_refusal()));
    EXPECT_EQ(use.count(Mask::second_opinion), 1u);
    EXPECT_FALSE(uncached(saw_fault(0x59)));
    EXPECT_FALSE(uncached(saw_address(0)));
    for (const char *condition : {"rsvd", "beyond"}) {
        step.spec->cond = condition;
        EXPECT_TRUE(uncached(saw_fault(0x72)));
        EXPECT_FALSE(uncached(saw_address(0)));
    }
    step.spec->cond = "pe-np";
    EXPECT_TRUE(uncached(saw_fault(0x59)));
    EXPECT_FALSE(uncached(saw_fault(0x58)));
    step.spec = translated(0x5000);
    EXPECT_TRUE(uncached(saw_address(0x5000)));
    EXPECT_FALSE(uncached(saw_address(0x6000)));
}

TEST_F(VerifyCompare, uncached_mode_prefers_the_walk_of_the_tables_as_they_are)
{
    mode(Source::qemu, "legacy");
    step.res = translated(0x5000);
    step.fresh = translated(0x6000);
    EXPECT_TRUE(uncached(saw_address(0x6000)));
    EXPECT_FALSE(uncached(saw_address(0x5000))) << "that was a stale translation";
    step.ref = translated(0x7000);
    EXPECT_TRUE(uncached(saw_address(0x7000)));
    EXPECT_FALSE(uncached(saw_address(0x6000)));
}

TEST_F(VerifyCompare, cached_mode_allows_what_caches_may_do)
{
    mode(Source::qemu, "legacy");
    step.res = translated(0x5000);
    step.fresh = translated(0x6000);
    EXPECT_TRUE(cached(saw_address(0x6000)));
    EXPECT_TRUE(cached(saw_address(0x5000)));
    EXPECT_EQ(use.count(Mask::recorded_cached), 1u);
    EXPECT_FALSE(cached(saw_address(0x7000)));
    EXPECT_FALSE(cached(saw_address(0x7000), {saw_address(0x7008), saw_fault(6)}));
    EXPECT_TRUE(cached(saw_address(0x7000), {saw_fault(6), saw_address(0x7000)}));
    EXPECT_EQ(use.count(Mask::earlier_state), 1u);
    EXPECT_FALSE(cached(saw_fault(5), {saw_fault(6)}));
    step.res = refused("hit-perm");
    EXPECT_TRUE(cached(saw_refusal()));
    EXPECT_EQ(use.count(Mask::cached_permission), 1u);
    EXPECT_FALSE(uncached(saw_refusal()));
    EXPECT_FALSE(cached(saw_fault(5)));
}

// ---- final memory -------------------------------------------------------------------------------

TEST_F(VerifyCompare, final_memory_is_exact_for_the_specifications_vectors)
{
    mode(Source::spec, "sm");
    EXPECT_TRUE(final_memory({{0x10, 0x27}}, {{0x10, {0x07, 0x27, 0}}, {0x18, {0x3, 0x3, 0}}}));
    EXPECT_FALSE(final_memory({{0x10, 0x27}}, {{0x10, {0x07, 0x07, 0}}})) << "A not set";
    EXPECT_FALSE(final_memory({{0x10, 0x27}}, {{0x10, {0x07, 0x67, 0}}})) << "D set";
    EXPECT_FALSE(final_memory({}, {{0x10, {0x07, 0x27, 0x20}}})) << "A set by a refused request";
    EXPECT_FALSE(final_memory({{0x10, 0x27}}, {})) << "a word that software never wrote";
}

TEST_F(VerifyCompare, mask_dirty_bit)
{
    mode(Source::qemu, "fs");
    EXPECT_TRUE(final_memory({{0x10, 0x27}}, {{0x10, {0x07, 0x67, 0}}}));
    EXPECT_EQ(use.count(Mask::dirty_bit), 1u);
    EXPECT_FALSE(final_memory({{0x10, 0x67}}, {{0x10, {0x07, 0x27, 0}}})) << "recorded D is missing";
    EXPECT_FALSE(final_memory({}, {{0x10, {0x07, 0x47, 0}}})) << "D without A";
    EXPECT_FALSE(final_memory({{0x10, 0x27}}, {{0x10, {0x07, 0xa7, 0}}})) << "another bit";
    EXPECT_FALSE(final_memory({{0x10, 0x27}}, {{0x10, {0x07, 0x1067, 0}}})) << "another bit as well";
}

TEST_F(VerifyCompare, mask_accessed_refused)
{
    mode(Source::qemu, "fs");
    EXPECT_TRUE(final_memory({}, {{0x10, {0x07, 0x27, 0x20}}}));
    EXPECT_EQ(use.count(Mask::accessed_refused), 1u);
    EXPECT_FALSE(final_memory({}, {{0x10, {0x07, 0x27, 0}}})) << "set by a request that was served";
    EXPECT_FALSE(final_memory({{0x10, 0x27}}, {{0x10, {0x07, 0x07, 0}}})) << "recorded A is missing";
}

TEST_F(VerifyCompare, mask_cached_flags)
{
    mode(Source::qemu, "fs");
    const auto with_uncached = [&](uint64_t recorded, const WatchedWord &word, uint64_t uncached) {
        return compare_final(
                   {config, family_of("vtd"), tables}, {{0x10, recorded}}, {{0x10, word}},
                   [uncached](uint64_t) { return uncached; }, &use)
            .empty();
    };
    EXPECT_TRUE(with_uncached(0x27, {0x07, 0x07, 0}, 0x27)) << "served by another device's entry";
    EXPECT_TRUE(with_uncached(0x07, {0x07, 0x27, 0}, 0x27)) << "walked where the emulator hit";
    EXPECT_EQ(use.count(Mask::cached_flags), 2u);
    EXPECT_FALSE(with_uncached(0x07, {0x07, 0x27, 0}, 0x07)) << "set by nobody";
    EXPECT_FALSE(with_uncached(0x27, {0x27, 0x07, 0}, 0x27)) << "what software wrote is gone";
    EXPECT_FALSE(with_uncached(0x27, {0x07, 0x1007, 0}, 0x27)) << "another bit";
    mode(Source::spec, "sm");
    EXPECT_FALSE(with_uncached(0x27, {0x07, 0x07, 0}, 0x27)) << "exact";
}

TEST_F(VerifyCompare, masks_are_documented)
{
    std::set<std::string> names;
    for (size_t i = 0; i < mask_count; i++) {
        const MaskRule &rule = mask_rule(static_cast<Mask>(i));
        EXPECT_TRUE(names.insert(rule.name).second);
        EXPECT_GT(std::string(rule.condition).size(), 10u);
        EXPECT_GT(std::string(rule.effect).size(), 10u);
    }
}
