// SPDX-License-Identifier: Apache-2.0
//
// A small IOMMU without time for tests of the hazard tracker: real VT-d tables in memory, real caches, real
// walks, and every call to the tracker that the timed units make. A request is translated, and an
// invalidation carried out, within one cycle; what the tracker says can so be compared with what was done.
#ifndef IOM_TESTS_CORE_TRACKER_FIXTURE_HPP
#define IOM_TESTS_CORE_TRACKER_FIXTURE_HPP

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/arch/vtd/vtd.h"
#include "core/arch/vtd/vtd_tables.h"
#include "core/psc.h"
#include "core/tracker_report.h"
#include "core/walk_nodes.h"

namespace iommu_sim
{

constexpr uint64_t kTables = 0x4000000, kRam = uint64_t{1} << 32;
constexpr uint32_t kSource = 0x0108, kOther = 0x0210;
constexpr uint64_t kIova = 0x40000000, kPage = 0x10000000, kSecondPage = 0x10001000;
constexpr uint32_t kDomain = 5;
constexpr uint8_t kReadWrite = IOM_PERM_READ | IOM_PERM_WRITE;

class MiniIommu
{
  public:
    enum Cache { Context, Pasid, Iotlb, DeviceTlb, CacheCount };

    explicit MiniIommu(iom_vtd_mode mode, bool tracked_driver = false, uint32_t obligations = 0,
                       bool caching_mode = false)
        : vtd(hardware(caching_mode)), arch{&iom_vtd_ops, &vtd, 0}, image(iom_memory_image_create())
    {
        iom_memory_image_add_range(image, 0, kRam - 1);
        iom_vtd_software_settings settings = iom_vtd_software_defaults(mode);
        settings.device_tlb = true;
        settings.clear_accessed_dirty = true;
        const iom_software_config config = {&arch, &settings};
        const iom_software_host host = {this, take_table, store, nullptr};
        const char *error = nullptr;
        software = iom_vtd_software_ops.create(&config, &host, &error);
        if (software == nullptr)
            throw std::runtime_error(error == nullptr ? "no software side" : error);
        start(tracked_driver, obligations);
    }

    ~MiniIommu()
    {
        for (iom_cache *cache : all_caches)
            iom_cache_destroy(cache);
        iom_tracker_destroy(tracker);
        iom_vtd_software_ops.destroy(software);
        iom_memory_image_destroy(image);
    }
    MiniIommu(const MiniIommu &) = delete;
    MiniIommu &operator=(const MiniIommu &) = delete;

    // ---- software ----------------------------------------------------------------------------------
    void attach(uint32_t source, uint32_t domain, uint32_t pasid = IOM_NO_PASID)
    {
        check(iom_vtd_software_ops.attach(software, source, pasid, domain, IOM_SOFTWARE_TRANSLATE));
    }
    void detach(uint32_t source, uint32_t pasid = IOM_NO_PASID)
    {
        check(iom_vtd_software_ops.detach(software, source, pasid));
    }
    void map(uint32_t domain, uint64_t iova, uint64_t address, unsigned size_log2 = 12,
             uint8_t permissions = kReadWrite)
    {
        check(iom_vtd_software_ops.map(software, domain, iova, address, size_log2, permissions, nullptr));
    }
    void unmap(uint32_t domain, uint64_t iova, unsigned size_log2 = 12, bool prune = false)
    {
        check(iom_vtd_software_ops.unmap(software, domain, iova, size_log2, prune, nullptr));
    }
    /// A store of software outside the builder.
    void poke(uint64_t address, uint64_t value)
    {
        iom_store one = {address, value, 8};
        store(this, &one);
    }
    uint64_t peek(uint64_t address) const
    {
        uint64_t value = 0;
        iom_memory_image_read(image, address, &value, sizeof value);
        return value;
    }
    /// Non-coherent walker: stores reach memory only with write_back.
    void write_back()
    {
        coherent = true;
        std::vector<iom_store> held_back;
        held_back.swap(unwritten);
        for (iom_store &one : held_back)
            store(this, &one);
        coherent = false;
    }

    // ---- hardware ----------------------------------------------------------------------------------
    /// Translates in cycle `now`; the answer holds references until visible() or answered().
    iom_dma translate(uint64_t iova, unsigned flags = 0, uint32_t source = kSource,
                      uint32_t pasid = IOM_NO_PASID)
    {
        iom_dma dma = {};
        dma.id = ++requests;
        dma.arrived = dma.looked_up = now;
        dma.x.address = iova;
        dma.x.bytes = 64;
        dma.x.source = source;
        dma.x.flags = static_cast<uint16_t>(flags | (pasid != IOM_NO_PASID ? uint32_t{IOM_REQ_PASID} : 0u));
        dma.x.pasid = pasid != IOM_NO_PASID ? pasid : 0;
        uint32_t served = IOM_TRACKED_WALK;
        arch.ops->enter(&arch, &view, &dma.x);
        while (dma.x.next != IOM_LOOKUP_DONE) {
            static const uint32_t kinds[] = {IOM_TRACKED_CONTEXT, IOM_TRACKED_PASID, IOM_TRACKED_IOTLB};
            served = kinds[dma.x.next];
            if (!hit(dma.x)) {
                walk(dma.x);
                served = IOM_TRACKED_WALK;
            }
        }
        iom_tracker_use(tracker, now, &dma, served);
        drop_walks();
        return dma;
    }
    void visible(iom_dma &dma)
    {
        iom_tracker_visible(tracker, now, &dma);
    }
    /// A whole DMA: translated and visible in the same cycle.
    iom_dma access(uint64_t iova, unsigned flags = 0, uint32_t source = kSource,
                   uint32_t pasid = IOM_NO_PASID)
    {
        iom_dma dma = translate(iova, flags, source, pasid);
        if (dma.x.outcome == IOM_OUTCOME_ADDRESS)
            visible(dma);
        else
            iom_tracker_answered(tracker, now, &dma);
        now += 10;
        return dma;
    }
    /// A device that asks for a translation, keeps it, and uses what it keeps.
    iom_dma device_access(uint64_t iova, unsigned flags = 0, uint32_t source = kSource)
    {
        iom_dma dma = device_look_up(iova, flags, source);
        visible(dma);
        now += 10;
        return dma;
    }
    iom_dma device_look_up(uint64_t iova, unsigned flags = 0, uint32_t source = kSource)
    {
        iom_tag key = {};
        key.address = iova;
        key.stream = source;
        key.substream = UINT32_MAX;
        int32_t slot = iom_cache_probe(caches[DeviceTlb], now, &key);
        if (slot == IOM_CACHE_MISS) {
            iom_dma request = translate(iova, flags | IOM_REQ_TRANSLATE, source);
            if (request.x.outcome == IOM_OUTCOME_ADDRESS) {
                iom_leaf leaf = request.x.leaf;
                leaf.size_log2 = 12;
                leaf.output &= ~uint64_t{0xfff};
                key.address &= ~uint64_t{0xfff};
                key.size_log2 = 12;
                iom_cache_fill(caches[DeviceTlb], now, &key, &leaf);
            }
            iom_tracker_answered(tracker, now, &request);
            now += 10;
            slot = iom_cache_probe(caches[DeviceTlb], now, &key);
        }
        iom_dma dma = {};
        dma.id = ++requests;
        dma.arrived = now;
        dma.x.address = iova;
        dma.x.bytes = 64;
        dma.x.source = source;
        dma.x.flags = static_cast<uint16_t>(flags);
        if (slot == IOM_CACHE_MISS) {
            dma.x.outcome = IOM_OUTCOME_FAULT;
            return dma;
        }
        dma.x.leaf = *static_cast<const iom_leaf *>(iom_cache_payload(caches[DeviceTlb], slot));
        dma.x.leaf.output |= iova & 0xfff;
        dma.x.outcome = IOM_OUTCOME_ADDRESS;
        iom_tracker_use(tracker, now, &dma, IOM_TRACKED_DEVICE_TLB);
        // The translated request passes the IOMMU, which only looks at the context.
        dma.x.address = dma.x.leaf.output;
        dma.x.flags |= IOM_REQ_TRANSLATED;
        dma.x.context.node = dma.x.leaf.node = 0;
        arch.ops->enter(&arch, &view, &dma.x);
        while (dma.x.next != IOM_LOOKUP_DONE) {
            if (!hit(dma.x))
                walk(dma.x);
        }
        iom_tracker_use(tracker, now, &dma, IOM_TRACKED_CONTEXT);
        drop_walks();
        return dma;
    }

    // ---- invalidations -------------------------------------------------------------------------------
    iom_invalidation begin(const iom_invalidation &what)
    {
        iom_invalidation invalidation = what;
        invalidation.id = ++invalidations;
        iom_tracker_begin(tracker, now, 0, &invalidation);
        return invalidation;
    }
    /// Carries it out in all caches (or those of the mask `only`) in this cycle.
    void execute(const iom_invalidation &invalidation, uint32_t only = UINT32_MAX)
    {
        static const uint32_t targets[] = {IOM_INVALIDATE_CONTEXT, IOM_INVALIDATE_PASID,
                                           IOM_INVALIDATE_IOTLB};
        for (uint32_t i = 0; i < 3; i++)
            apply(invalidation, targets[i] & only, {caches[i]}, IOM_TRACKED_CONTEXT + i);
        std::vector<iom_cache *> tables;
        for (auto &stage : psc) {
            for (iom_cache *cache : stage) {
                if (cache != nullptr)
                    tables.push_back(cache);
            }
        }
        apply(invalidation, IOM_INVALIDATE_PSC & only, tables, IOM_TRACKED_PSC);
        if (invalidation.has_device && (only & IOM_INVALIDATE_DEVICE_TLB)) {
            iom_cache_match match = {};
            match.fields = IOM_TAG_ADDRESS | IOM_TAG_STREAM;
            match.tag.stream = invalidation.device.stream;
            match.first = invalidation.device.first;
            match.last = invalidation.device.last;
            uint32_t removed = iom_cache_count_matching(caches[DeviceTlb], now, &match);
            iom_cache_invalidate(caches[DeviceTlb], now, &match);
            iom_tracker_executed(tracker, now, now, 0, invalidation.id, IOM_TRACKED_DEVICE_TLB, removed);
        }
    }
    void end(const iom_invalidation &invalidation, bool timed_out = false)
    {
        iom_tracker_ended(tracker, now, 0, invalidation.id, timed_out);
    }
    void invalidate(const iom_invalidation &what)
    {
        iom_invalidation invalidation = begin(what);
        now += 3;
        execute(invalidation);
        now += 2;
        end(invalidation);
        now += 1;
    }
    void complete()
    {
        iom_tracker_completed(tracker, now, 0);
        now += 1;
    }

    static iom_invalidation of_domain(uint32_t domain,
                                      uint32_t targets = IOM_INVALIDATE_IOTLB | IOM_INVALIDATE_PSC)
    {
        iom_invalidation what = {};
        what.parts = 1;
        what.part[0].targets = targets;
        what.part[0].match.fields = IOM_TAG_DOMAIN;
        what.part[0].match.tag.domain = domain;
        return what;
    }
    static iom_invalidation of_pages(uint32_t domain, uint64_t first, uint64_t last, bool leaf_only = false)
    {
        iom_invalidation what =
            of_domain(domain, IOM_INVALIDATE_IOTLB | (leaf_only ? 0u : uint32_t{IOM_INVALIDATE_PSC}));
        what.leaf_only = leaf_only;
        what.part[0].match.fields |= IOM_TAG_ADDRESS;
        what.part[0].match.first = first;
        what.part[0].match.last = last;
        return what;
    }
    static iom_invalidation of_contexts()
    {
        iom_invalidation what = {};
        what.parts = 1;
        what.part[0].targets = IOM_INVALIDATE_CONTEXT | IOM_INVALIDATE_PASID;
        return what;
    }
    static iom_invalidation of_device(uint32_t source, uint64_t first = 0, uint64_t last = UINT64_MAX)
    {
        iom_invalidation what = {};
        what.has_device = true;
        what.device.stream = source;
        what.device.first = first;
        what.device.last = last;
        return what;
    }

    // ---- findings ------------------------------------------------------------------------------------
    void finish()
    {
        iom_tracker_finish(tracker, now);
    }
    const iom_tracker_stats &stats() const
    {
        return *iom_tracker_stats_of(tracker);
    }
    uint64_t count(iom_finding_kind kind) const
    {
        return iom_tracker_findings_of(tracker, kind);
    }
    const iom_finding &first(iom_finding_kind kind) const
    {
        for (size_t i = 0; i < iom_tracker_finding_count(tracker); i++) {
            if (iom_tracker_finding(tracker, i)->kind == kind)
                return *iom_tracker_finding(tracker, i);
        }
        throw std::runtime_error("no such finding");
    }
    /// Forces what belongs to earlier cycles to be settled.
    void settle()
    {
        now += 1;
        iom_tracker_write(tracker, now, IOM_WRITE_HARDWARE, kRam - 8, 8, "\0\0\0\0\0\0\0");
        now += 1;
    }
    /// Findings of all kinds.
    uint64_t all() const
    {
        uint64_t sum = 0;
        for (int kind = 0; kind < IOM_FINDING_KINDS; kind++)
            sum += count(static_cast<iom_finding_kind>(kind));
        return sum;
    }
    std::string text() const
    {
        std::string all;
        for (size_t i = 0; i < iom_tracker_finding_count(tracker); i++) {
            char line[1024];
            iom_finding_format(iom_tracker_finding(tracker, i), line, sizeof line);
            all += std::string(line) + "\n";
        }
        return all;
    }

    iom_vtd_config vtd;
    iom_arch arch;
    iom_view view = {};
    iom_memory_image *image;
    iom_software *software = nullptr;
    iom_tracker *tracker = nullptr;
    std::array<iom_cache *, CacheCount> caches = {};
    std::array<std::array<iom_cache *, IOM_PSC_LEVELS>, 2> psc = {};
    iom_cycle now = 1;
    bool coherent = true;
    bool use_tables = true;        ///< paging-structure caches
    std::vector<iom_store> stores; ///< everything software has written
    std::vector<iom_store> unwritten;

  private:
    static iom_vtd_config hardware(bool caching_mode)
    {
        iom_vtd_features features = {};
        features.guest_address_bits = 48;
        features.domain_bits = 16;
        features.second_stage_levels = 1u << 4;
        features.pasid_bits = 20;
        features.max_address_mask = 18;
        features.fault_records = 8;
        features.second_stage_2m = features.second_stage_1g = features.scalable_mode = true;
        features.second_stage = features.first_stage = features.first_stage_1g = features.nested = true;
        features.pass_through = features.pasid = features.rid_pasid = features.coherent = true;
        features.snoop_control = features.queued_invalidation = features.page_selective = true;
        features.set_root_flushes = features.device_tlb = true;
        features.caching_mode = caching_mode;
        iom_vtd_config config = {};
        const char *error = iom_vtd_capabilities(&features, &config.cap, &config.ecap);
        config.haw_bits = 46;
        config.tagging = IOM_TAG_BY_DOMAIN;
        if (error == nullptr)
            error = iom_vtd_config_finish(&config);
        if (error != nullptr)
            throw std::runtime_error(error);
        return config;
    }

    static void check(iom_software_result result)
    {
        if (result != IOM_SOFTWARE_OK)
            throw std::runtime_error("software refused: " + std::to_string(result));
    }

    void start(bool tracked_driver, uint32_t obligations)
    {
        // Through the register file, as bring-up does.
        std::vector<unsigned char> state(arch.ops->state_bytes);
        arch.ops->reset(&arch, state.data());
        iom_register_write list[16];
        const size_t count = iom_vtd_software_ops.startup(software, list, 16);
        for (size_t i = 0; i < count; i++) {
            uint32_t actions =
                arch.ops->write(&arch, state.data(), list[i].offset, list[i].bytes, list[i].value);
            for (uint32_t left = actions; left != 0; left &= left - 1)
                arch.ops->action_done(&arch, state.data(), static_cast<iom_register_action>(iom_ctz64(left)));
        }
        arch.ops->view(&arch, state.data(), &view);
        iom_tracker_config config = {};
        config.image = image;
        config.iommu[0].arch = &arch;
        config.iommu[0].view = view;
        config.iommus = 1;
        config.obligations = obligations;
        tracker = iom_tracker_create(&config);
        if (tracked_driver)
            iom_tracker_expect_driver(tracker);
        make_caches();
    }

    iom_cache *make(uint32_t entries, uint32_t match, size_t payload, iom_tracked_cache kind, uint32_t index)
    {
        iom_cache_config config = {};
        config.entries = config.ways = entries;
        config.policy = IOM_POLICY_LRU;
        config.prefer_invalid = true;
        config.match = match;
        config.payload_bytes = static_cast<uint32_t>(payload);
        iom_cache *cache = iom_cache_create(&config, 1, "cache");
        all_caches.push_back(cache);
        iom_tracker_watch_cache(tracker, cache, kind, index, 0);
        return cache;
    }

    void make_caches()
    {
        const uint32_t space = IOM_TAG_DOMAIN | IOM_TAG_STAGE | IOM_TAG_SUBSTREAM;
        caches[Context] = make(8, IOM_TAG_STREAM, sizeof(iom_context), IOM_TRACKED_CONTEXT, 0);
        caches[Pasid] =
            make(8, IOM_TAG_STREAM | IOM_TAG_SUBSTREAM, sizeof(iom_context), IOM_TRACKED_PASID, 0);
        caches[Iotlb] = make(64, space, sizeof(iom_leaf), IOM_TRACKED_IOTLB, 0);
        caches[DeviceTlb] =
            make(32, IOM_TAG_STREAM | IOM_TAG_SUBSTREAM, sizeof(iom_leaf), IOM_TRACKED_DEVICE_TLB, 0);
        for (uint32_t stage = 1; stage <= 2; stage++) {
            for (uint32_t level = 2; level <= 4; level++)
                psc[stage - 1][level] = make(16, space, sizeof(iom_psc_entry), IOM_TRACKED_PSC,
                                             (stage - 1) * IOM_PSC_LEVELS + level);
        }
    }

    static bool take_table(void *context, unsigned size_log2, uint64_t *address)
    {
        auto &self = *static_cast<MiniIommu *>(context);
        const uint64_t bytes = uint64_t{1} << size_log2;
        *address = (self.next_table + bytes - 1) / bytes * bytes;
        self.next_table = *address + bytes;
        return true;
    }

    static bool store(void *context, const iom_store *one)
    {
        auto &self = *static_cast<MiniIommu *>(context);
        self.stores.push_back(*one);
        if (self.tracker != nullptr && !self.coherent) {
            iom_tracker_store(self.tracker, self.now, one->address, one->bytes, &one->value);
            self.unwritten.push_back(*one);
            return true;
        }
        if (self.tracker != nullptr)
            iom_tracker_write(self.tracker, self.now, IOM_WRITE_SOFTWARE, one->address, one->bytes,
                              &one->value);
        return iom_memory_image_write(self.image, one->address, &one->value, one->bytes);
    }

    bool hit(iom_xlate &x)
    {
        iom_tag key;
        arch.ops->key(&arch, &view, &x, &key);
        iom_cache *cache = caches[x.next];
        int32_t slot = iom_cache_probe(cache, now, &key);
        if (slot == IOM_CACHE_MISS)
            return false;
        if (!arch.ops->use(&arch, &view, &x, iom_cache_tag(cache, slot), iom_cache_payload(cache, slot)))
            return false;
        iom_cache_touch(cache, now, slot);
        return true;
    }

    void probe_tables(iom_walk &walk)
    {
        iom_walk_nodes_stage(tracker, 0, &walk);
        walk.probe.hit_level = 0;
        for (uint8_t level = 2; level <= walk.probe.highest && use_tables; level++) {
            iom_cache *cache = psc[walk.probe.stage - 1u][level];
            int32_t slot = cache == nullptr ? IOM_CACHE_MISS : iom_cache_probe(cache, now, &walk.probe.key);
            if (slot == IOM_CACHE_MISS)
                continue;
            walk.probe.entry = *static_cast<const iom_psc_entry *>(iom_cache_payload(cache, slot));
            walk.probe.hit_level = level;
            iom_node before = walk.node;
            walk.node = iom_tracker_join(tracker, before, walk.probe.entry.node);
            iom_tracker_release(tracker, before);
            return;
        }
    }

    void perform(iom_walk &walk)
    {
        walk.access_error = 0;
        if (walk.action == IOM_WALK_READ) {
            walk.access_error = !iom_memory_image_read(image, walk.address, walk.data, walk.bytes);
            iom_node before = walk.node;
            walk.node = iom_tracker_read(tracker, now, before, walk.address, walk.bytes);
            iom_tracker_release(tracker, before);
        } else if (walk.action == IOM_WALK_CAS) {
            iom_memory_image_read(image, walk.address, &walk.data[0], 8);
            iom_tracker_write(tracker, now, IOM_WRITE_FLAGS, walk.address, 8, &walk.desired);
            iom_memory_image_write(image, walk.address, &walk.desired, 8);
        } else {
            probe_tables(walk);
        }
    }

    void walk(iom_xlate &x)
    {
        auto walk = std::make_unique<iom_walk>();
        std::memset(walk.get(), 0, sizeof *walk);
        walk->x = x;
        walk->what = x.next;
        walk->node = x.next == IOM_LOOKUP_CONTEXT ? iom_tracker_root(tracker, 0) : x.context.node;
        iom_tracker_keep(tracker, walk->node);
        arch.ops->walk_start(&arch, &view, walk.get());
        fill_tables(*walk);
        while (walk->action != IOM_WALK_DONE) {
            perform(*walk);
            arch.ops->walk_step(&arch, &view, walk.get());
            fill_tables(*walk);
        }
        bool address = walk->what == IOM_LOOKUP_IOTLB && walk->x.outcome == IOM_OUTCOME_ADDRESS;
        iom_node all = iom_tracker_join(tracker, walk->outer, walk->node); // of both stages
        iom_walk_nodes_end(tracker, walk.get());
        walk->node = all;
        x = walk->x;
        (address ? x.leaf.node : x.context.node) = walk->node;
        if (walk->fill.valid && fills) {
            if (walk->what == IOM_LOOKUP_IOTLB)
                walk->fill.payload.leaf.node = walk->node;
            else
                walk->fill.payload.context.node = walk->node;
            iom_cache_fill(caches[walk->what], now, &walk->fill.tag, &walk->fill.payload);
        }
        walks.push_back(walk->node);
    }

    void fill_tables(iom_walk &walk)
    {
        iom_cache *cache = walk.psc_fill.valid ? psc[walk.psc_fill.stage - 1u][walk.psc_fill.level] : nullptr;
        if (cache == nullptr || !fills)
            return;
        walk.psc_fill.entry.node = iom_walk_nodes_fill(tracker, &walk);
        iom_cache_fill(cache, now, &walk.psc_fill.tag, &walk.psc_fill.entry);
        walks.push_back(walk.psc_fill.entry.node);
    }

    void drop_walks()
    {
        for (iom_node node : walks)
            iom_tracker_release(tracker, node);
        walks.clear();
    }

    void apply(const iom_invalidation &invalidation, uint32_t target, const std::vector<iom_cache *> &list,
               uint32_t kind)
    {
        uint32_t removed = 0;
        if (!(iom_invalidation_targets(&invalidation) & target))
            return;
        for (iom_cache *cache : list) {
            for (unsigned i = 0; i < invalidation.parts; i++) {
                if (!(invalidation.part[i].targets & target))
                    continue;
                removed += iom_cache_count_matching(cache, now, &invalidation.part[i].match);
                iom_cache_invalidate(cache, now, &invalidation.part[i].match);
            }
        }
        iom_tracker_executed(tracker, now, now, 0, invalidation.id, kind, removed);
    }

  public:
    bool fills = true; ///< walks fill the caches

  private:
    std::vector<iom_cache *> all_caches;
    std::vector<iom_node> walks;
    uint64_t next_table = kTables;
    uint64_t requests = 0, invalidations = 0;
};

} // namespace iommu_sim

#endif
