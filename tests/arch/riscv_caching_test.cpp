// SPDX-License-Identifier: Apache-2.0
//
// What may be cached and who may use it ("Caching in-memory data structures"): entries handed to caches of
// unbounded size serve every request as a walk would, shared or not; tags; entries that are not to be cached.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/rng.h"
#include "tests/arch/support/riscv_tables.h"

namespace
{
using namespace riscv_test;

struct Cached {
    uint8_t what;
    iom_tag tag;
    iom_context context;
    iom_leaf leaf;
};

// Caches without limits around the operations.
struct Caches {
    explicit Caches(Machine &of) : machine(of)
    {
    }

    static bool matches(const iom_tag &tag, const iom_tag &key)
    {
        bool space = tag.global || (tag.substream == key.substream && tag.asid == key.asid);
        bool address = tag.size_log2 >= 64 || tag.address >> tag.size_log2 == key.address >> tag.size_log2;
        return space && address && tag.stream == key.stream && tag.domain == key.domain &&
               tag.stage == key.stage && tag.security == key.security;
    }
    bool look_up(iom_xlate &x, const iom_tag &key)
    {
        for (const Cached &entry : entries) {
            if (entry.what != x.next || !matches(entry.tag, key))
                continue;
            const void *payload = &entry.context;
            if (entry.what == IOM_LOOKUP_IOTLB)
                payload = &entry.leaf;
            if (!iom_riscv_ops.use(&machine.arch, &machine.view, &x, &entry.tag, payload))
                return false;
            hits++;
            return true;
        }
        return false;
    }
    void probe(iom_walk &walk)
    {
        walk.probe.hit_level = 0;
        for (const iom_psc_fill &fill : structures) {
            bool deeper = walk.probe.hit_level == 0 || fill.level < walk.probe.hit_level;
            if (fill.stage == walk.probe.stage && deeper && matches(fill.tag, walk.probe.key)) {
                walk.probe.hit_level = fill.level;
                walk.probe.entry = fill.entry;
            }
        }
        structure_hits += walk.probe.hit_level != 0;
    }
    void act(iom_walk &walk)
    {
        if (walk.psc_fill.valid)
            structures.push_back(walk.psc_fill);
        if (walk.action == IOM_WALK_PROBE)
            probe(walk);
        for (unsigned i = 0; walk.action == IOM_WALK_READ && i < walk.bytes / 8u; i++)
            walk.data[i] = machine.get(walk.address + 8 * i);
        if (walk.action == IOM_WALK_CAS) {
            walk.data[0] = machine.get(walk.address);
            machine.put(walk.address, walk.desired);
        }
    }
    void fill(const iom_walk &walk, const iom_tag &key)
    {
        EXPECT_TRUE(matches(walk.fill.tag, key));
        for (size_t i = 0; i < entries.size();) {
            if (entries[i].what == walk.what && matches(entries[i].tag, key))
                entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(i));
            else
                i++;
        }
        Cached entry{walk.what, walk.fill.tag, {}, {}};
        if (walk.what == IOM_LOOKUP_IOTLB)
            entry.leaf = walk.fill.payload.leaf;
        else
            entry.context = walk.fill.payload.context;
        entries.push_back(entry);
    }
    iom_xlate translate(const Request &request)
    {
        iom_xlate x{};
        x.address = request.address;
        x.source = request.device;
        x.pasid = request.process;
        x.flags = static_cast<uint16_t>(request.flags);
        iom_riscv_ops.enter(&machine.arch, &machine.view, &x);
        while (x.next != IOM_LOOKUP_DONE) {
            iom_tag key;
            iom_riscv_ops.key(&machine.arch, &machine.view, &x, &key);
            if (look_up(x, key))
                continue;
            iom_walk walk{};
            walk.x = x;
            walk.what = x.next;
            iom_riscv_ops.walk_start(&machine.arch, &machine.view, &walk);
            while (walk.action != IOM_WALK_DONE) {
                act(walk);
                iom_riscv_ops.walk_step(&machine.arch, &machine.view, &walk);
            }
            x = walk.x;
            filled = walk.fill.valid;
            if (walk.fill.valid)
                fill(walk, key);
        }
        return x;
    }
    const iom_tag &last_tag() const
    {
        return entries.back().tag;
    }

    Machine &machine;
    std::vector<Cached> entries;
    std::vector<iom_psc_fill> structures;
    unsigned hits = 0, structure_hits = 0;
    bool filled = false; ///< by the last walk
};

constexpr uint64_t guest_page = 0x8000'0000;
constexpr unsigned gscid = 0x1234, other_gscid = 0x1235, pscid = 0x54321;

uint64_t in_guest(const Table &second, unsigned id)
{
    return second.pointer() | uint64_t{id} << 44;
}

// ---- against walks ---------------------------------------------------------------------------------------

// Devices of one guest (with and without MSI page table, T2GPA, supervisor access) and of the host.
struct System {
    System()
    {
        first = machine.table(sv39);
        second = machine.table(sv39, false, true);
        machine.identity(second, first.root);
        msi_table = machine.pages();
        process = machine.pages();
        machine.identity(second, process);
        for (uint32_t i = 0; i < 4; i++) { // ENS and SUM
            machine.put(process + 16 * i, V | (i & 1) << 1 | (i & 2) << 1 | uint64_t{pscid} << 12);
            machine.put(process + 16 * i + 8, first.pointer());
        }
        for (uint32_t device = 0; device < 6; device++) {
            DeviceContext context;
            bool of_host = device >= 4;
            context.tc = tc_v | tc_en_ats | (device == 1 ? uint64_t{tc_t2gpa} : 0) |
                         (device == 2 ? uint64_t{tc_pdtv} : 0) | tc_sade | tc_gade;
            context.ta = uint64_t{pscid} << 12;
            context.fsc = device == 3   ? 0
                          : device == 2 ? pointer(1, process)
                                        : (of_host ? host_table() : first.pointer());
            context.iohgatp = of_host ? 0 : in_guest(second, gscid);
            if (device % 2 == 1) {
                context.msiptp = pointer(1, msi_table);
                context.msi_mask = 1;
                context.msi_pattern = guest_page >> 12;
            }
            machine.device(context, device);
        }
    }
    uint64_t host_table()
    {
        if (host.root == 0)
            host = machine.table(sv39);
        return host.pointer();
    }
    void fill_tables(iom_rng &random)
    {
        for (unsigned i = 0; i < 16; i++) {
            uint64_t target = guest_page + iom_rng_below(&random, 8) * 0x1000;
            machine.map(first, 0x4000'0000 + i * 0x1000, entry(target, flags(random)), 1, &second);
            machine.map(host, 0x4000'0000 + i * 0x1000, entry(target, flags(random)));
        }
        for (unsigned i = 0; i < 8; i++)
            machine.map(second, guest_page + i * 0x1000, entry(0x1'0000'0000 + i * 0x1000, flags(random)));
        machine.put(msi_table, entry(0x7000, V | 3 << 1));
        machine.put(msi_table + 16, V | 1 << 1);
    }
    static uint64_t flags(iom_rng &random)
    {
        uint64_t value = V | R | U | A | (iom_rng_next(&random) & (W | X | D | G));
        if (iom_rng_below(&random, 6) == 0)
            value &= ~uint64_t{U};
        return value;
    }

    Machine machine;
    Table first, second, host;
    uint64_t msi_table = 0, process = 0;
};

// An entry may be older than a dirty flag that has been set since: it grants reading only, and who asks to
// write walks. A device is told of write permission whether it asks for it or not.
bool same(const iom_xlate &a, const iom_xlate &b)
{
    const unsigned writing = IOM_PERM_WRITE | IOM_PERM_PRIV_WRITE;
    unsigned compared = IOM_PERM_ALL;
    if (!(a.flags & (IOM_REQ_WRITE | IOM_REQ_TRANSLATE)))
        compared &= ~writing;
    if (a.outcome != b.outcome)
        return false;
    if (a.outcome == IOM_OUTCOME_FAULT)
        return a.fault.code == b.fault.code && a.fault.detail == b.fault.detail;
    return a.outcome == IOM_OUTCOME_DENIED ||
           (a.leaf.output == b.leaf.output && a.leaf.attributes == b.leaf.attributes &&
            ((a.leaf.permissions ^ b.leaf.permissions) & compared) == 0 && a.leaf.global == b.leaf.global);
}

TEST(RiscvCaching, cached_entries_serve_as_walks_do)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        System system;
        iom_rng random;
        iom_rng_seed(&random, seed, "caching");
        system.fill_tables(random);
        Caches caches(system.machine);
        for (unsigned i = 0; i < 600; i++) {
            static const unsigned kinds[] = {0, IOM_REQ_TRANSLATE, IOM_REQ_TRANSLATED};
            Request request;
            request.device = static_cast<uint32_t>(iom_rng_below(&random, 6));
            request.flags = kinds[iom_rng_below(&random, 3)];
            request.flags |= static_cast<unsigned>(iom_rng_next(&random) & (IOM_REQ_WRITE | IOM_REQ_EXEC));
            if (request.device == 2)
                request.flags |=
                    IOM_REQ_PASID | (iom_rng_below(&random, 2) != 0 ? unsigned{IOM_REQ_PRIV} : 0);
            request.process = static_cast<uint32_t>(iom_rng_below(&random, 4));
            bool guest = request.device == 3 || request.flags & IOM_REQ_TRANSLATED;
            request.address = (guest ? guest_page : 0x4000'0000) + (iom_rng_next(&random) & 0x7fff);
            // The walk comes second: flags it would set have been set.
            iom_xlate cached = caches.translate(request);
            iom_xlate walked = system.machine.translate(request);
            ASSERT_TRUE(same(cached, walked)) << seed << ' ' << i << " device " << request.device << " flags "
                                              << request.flags << " at " << request.address;
        }
        EXPECT_GT(caches.hits, 300u);
        EXPECT_GT(caches.structure_hits, 100u);
    }
}

// ---- tags ------------------------------------------------------------------------------------------------

TEST(RiscvCaching, tags_of_translations)
{
    Machine machine;
    Table first = machine.table(sv39), second = machine.table(sv39, false, true);
    machine.identity(second, first.root);
    machine.map(first, 0x4000'0000, entry(guest_page, open_page | G), 1, &second);
    machine.map(second, guest_page, entry(0x1'0000'0000, open_page), 2);
    machine.map(second, 0x4000'0000, entry(0x1'0000'0000, open_page), 2);
    Caches caches(machine);
    auto tag_with = [&](uint64_t iohgatp, uint64_t fsc) {
        DeviceContext context;
        context.iohgatp = iohgatp;
        context.fsc = fsc;
        context.ta = uint64_t{pscid} << 12;
        machine.device(context);
        caches.entries.clear();
        EXPECT_EQ(caches.translate({0x4000'0abc}).outcome, IOM_OUTCOME_ADDRESS);
        return caches.last_tag();
    };
    iom_tag tag = tag_with(in_guest(second, gscid), first.pointer());
    EXPECT_EQ(tag.stage, 3);
    EXPECT_EQ(tag.domain, gscid);
    EXPECT_EQ(tag.asid, pscid);
    EXPECT_EQ(tag.global, 1);
    EXPECT_EQ(tag.size_log2, 12);
    EXPECT_EQ(tag.address, 0x4000'0000u);
    EXPECT_EQ(tag.stream, 0u);
    // The PSCID of a context without first stage, the GSCID of one without second stage mean nothing.
    tag = tag_with(in_guest(second, gscid), 0);
    EXPECT_EQ(tag.stage, 2);
    EXPECT_EQ(tag.domain, gscid);
    EXPECT_EQ(tag.asid, 0u);
    EXPECT_EQ(tag.global, 0);
    machine.map(first, 0x4000'0000, entry(guest_page, open_page));
    tag = tag_with(uint64_t{gscid} << 44, first.pointer());
    EXPECT_EQ(tag.stage, 1);
    EXPECT_EQ(tag.domain, 0u);
    EXPECT_EQ(tag.asid, pscid);
    machine.config.tagging = IOM_TAG_BY_SOURCE;
    EXPECT_EQ(tag_with(in_guest(second, gscid), first.pointer()).stream, 5u);
}

TEST(RiscvCaching, tags_of_structures)
{
    Machine machine;
    Table first = machine.table(sv39), second = machine.table(sv48, false, true);
    machine.identity(second, first.root);
    machine.map(first, 0x4040'3000, entry(guest_page, open_page), 1, &second);
    machine.map(second, guest_page, entry(0x1'0000'0000, open_page));
    DeviceContext context;
    context.iohgatp = in_guest(second, gscid);
    context.fsc = first.pointer();
    context.ta = uint64_t{pscid} << 12;
    machine.device(context);
    Caches caches(machine);
    (void)caches.translate({0x4040'3000});
    unsigned of_first = 0;
    for (const iom_psc_fill &fill : caches.structures) {
        EXPECT_EQ(fill.tag.domain, gscid);
        EXPECT_EQ(fill.tag.size_log2, 12 + 9 * (fill.level - 1));
        if (fill.stage == 2) {
            EXPECT_EQ(fill.tag.stage, 2);
            EXPECT_EQ(fill.tag.asid, 0u);
            continue;
        }
        of_first++;
        EXPECT_EQ(fill.tag.stage, 3);
        EXPECT_EQ(fill.tag.asid, pscid);
        EXPECT_EQ(fill.tag.address, iom_align_down(0x4040'3000, fill.tag.size_log2));
    }
    EXPECT_EQ(of_first, 2u);
}

// ---- sharing ---------------------------------------------------------------------------------------------

TEST(RiscvCaching, devices_of_one_guest_share_translations)
{
    Machine machine;
    Table second = machine.table(sv39, false, true);
    machine.map(second, guest_page, entry(0x1'0000'0000, open_page));
    DeviceContext context;
    context.iohgatp = in_guest(second, gscid);
    machine.device(context, 5);
    machine.device(context, 6);
    context.iohgatp = in_guest(second, other_gscid);
    machine.device(context, 7);
    Caches caches(machine);
    (void)caches.translate({guest_page, 0, 5});
    EXPECT_EQ(caches.hits, 0u);
    (void)caches.translate({guest_page, 0, 6});
    EXPECT_EQ(caches.hits, 1u);
    (void)caches.translate({guest_page, 0, 7});
    EXPECT_EQ(caches.hits, 1u);
}

// Without a second stage nothing names the owner of an MSI page table but the device.
TEST(RiscvCaching, interrupt_files_of_host_devices_are_their_own)
{
    Machine machine;
    for (uint32_t device : {5u, 6u}) {
        DeviceContext context;
        uint64_t table = machine.pages();
        machine.put(table, entry(0x7000 + device * 0x1000, V | 3 << 1));
        context.msiptp = pointer(1, table);
        context.msi_pattern = guest_page >> 12;
        machine.device(context, device);
    }
    Caches caches(machine);
    for (unsigned i = 0; i < 2; i++) {
        for (uint32_t device : {5u, 6u})
            EXPECT_EQ(caches.translate({guest_page, 0, device}).leaf.output, 0x7000 + device * 0x1000);
    }
    EXPECT_EQ(caches.last_tag().level, 1); // IOTINVAL.GVMA finds it by this
}

// ---- what is not cached ----------------------------------------------------------------------------------

TEST(RiscvCaching, nothing_that_is_not_valid_is_cached)
{
    Machine machine;
    Table second = machine.table(sv39, false, true);
    DeviceContext context;
    context.iohgatp = in_guest(second, gscid);
    context.msiptp = pointer(1, machine.pages());
    context.msi_pattern = guest_page >> 12;
    Caches caches(machine);
    EXPECT_EQ(caches.translate({0x4000'0000}).fault.code, 258);
    EXPECT_FALSE(caches.filled);
    machine.device(context);
    EXPECT_EQ(caches.translate({0x4000'0000}).fault.code, 21);
    EXPECT_FALSE(caches.filled);
    EXPECT_EQ(caches.translate({guest_page}).fault.code, 262);
    EXPECT_FALSE(caches.filled);
    // Each is seen at once when it becomes valid.
    machine.map(second, 0x4000'0000, entry(0x1'0000'0000, open_page));
    EXPECT_EQ(caches.translate({0x4000'0000}).leaf.output, 0x1'0000'0000u);
    EXPECT_TRUE(caches.filled);
    machine.put(context.msiptp << 12, V | 1 << 1);
    EXPECT_EQ(caches.translate({guest_page}).outcome, IOM_OUTCOME_MRIF);
    EXPECT_FALSE(caches.filled); // memory-resident files never are
}

TEST(RiscvCaching, a_clean_page_does_not_serve_writes)
{
    Machine machine;
    Table first = machine.table(sv39);
    uint64_t at = machine.map(first, 0x4000'0000, entry(guest_page, V | R | W | U));
    DeviceContext context;
    context.tc = tc_v | tc_sade;
    context.fsc = first.pointer();
    machine.device(context);
    Caches caches(machine);
    (void)caches.translate({0x4000'0000});
    unsigned before = caches.hits;
    (void)caches.translate({0x4000'0000, IOM_REQ_WRITE});
    EXPECT_EQ(machine.get(at) & (A | D), uint64_t{A | D});
    EXPECT_EQ(caches.hits, before + 1); // the device context only
    (void)caches.translate({0x4000'0000, IOM_REQ_WRITE});
    EXPECT_EQ(caches.hits, before + 3);
}

// Two addresses of the guest lead to one page of the second stage. A write through one of them sets the dirty
// flag, and no software is asked to invalidate what is known of the other.
TEST(RiscvCaching, answers_know_of_dirty_flags_set_by_others)
{
    Machine machine;
    Table first = machine.table(sv39);
    Table second = machine.table(sv39, false, true);
    machine.identity(second, first.root);
    machine.map(first, 0x4000'0000, entry(guest_page, open_page), 1, &second);
    machine.map(first, 0x4000'1000, entry(guest_page, open_page), 1, &second);
    machine.map(second, guest_page, entry(0x1'0000'0000, open_page & ~uint64_t{D}));
    DeviceContext context;
    context.tc = tc_v | tc_en_ats | tc_gade;
    context.fsc = first.pointer();
    context.iohgatp = in_guest(second, gscid);
    machine.device(context);
    Caches caches(machine);
    EXPECT_EQ(caches.translate({0x4000'0000, IOM_REQ_TRANSLATE}).leaf.permissions, unsigned{IOM_PERM_READ});
    EXPECT_EQ(machine.updates, 0u);
    EXPECT_EQ(caches.translate({0x4000'1000, IOM_REQ_WRITE}).outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(caches.translate({0x4000'0000, IOM_REQ_TRANSLATE}).leaf.permissions,
              unsigned{IOM_PERM_READ | IOM_PERM_WRITE});
    unsigned before = caches.hits;
    (void)caches.translate({0x4000'0000, IOM_REQ_TRANSLATE});
    EXPECT_EQ(caches.hits, before + 2);
}

// Ordinary pages of a device without tables but for those of interrupt files follow from its context alone:
// when that is invalidated, nothing of them may be left.
TEST(RiscvCaching, what_the_device_context_alone_says_is_not_cached)
{
    Machine machine;
    DeviceContext context;
    uint64_t table = machine.pages();
    machine.put(table, entry(0x7000, V | 3 << 1));
    context.msiptp = pointer(1, table);
    context.msi_pattern = guest_page >> 12;
    machine.device(context);
    Caches caches(machine);
    EXPECT_EQ(caches.translate({guest_page + 0x1000}).leaf.output, guest_page + 0x1000);
    EXPECT_FALSE(caches.filled);
    EXPECT_EQ(caches.translate({guest_page}).leaf.output, 0x7000u);
    EXPECT_TRUE(caches.filled);
    // The file moves, and IODIR.INVAL_DDT tells of it.
    context.msi_pattern = (guest_page + 0x1000) >> 12;
    machine.device(context);
    auto is_context = [](const Cached &cached) { return cached.what == IOM_LOOKUP_CONTEXT; };
    caches.entries.erase(std::remove_if(caches.entries.begin(), caches.entries.end(), is_context),
                         caches.entries.end());
    EXPECT_EQ(caches.translate({guest_page + 0x1000}).leaf.output, 0x7000u);
}

} // namespace
