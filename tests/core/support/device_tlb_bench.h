// SPDX-License-Identifier: Apache-2.0
//
// A device TLB between a scripted device, host and fan-out. All connections take one cycle each way, so
// that a message that leaves in c is seen in c + 1.
#ifndef IOM_TESTS_CORE_SUPPORT_DEVICE_TLB_BENCH_H
#define IOM_TESTS_CORE_SUPPORT_DEVICE_TLB_BENCH_H

#include <functional>
#include <map>
#include <new>
#include <stdexcept>
#include <vector>

#include "core/device_tlb.h"
#include "tests/core/support/bench.h"

namespace bench::device_tlb
{

constexpr uint64_t page_a = 0x10000, page_b = 0x20000, page_c = 0x30000;
constexpr uint64_t moved = uint64_t{1} << 32; ///< distance from input to output address
constexpr uint32_t dev = 0x100;
constexpr iom_cycle latency = 3; // of a look-up
constexpr unsigned posted = IOM_REQ_WRITE | IOM_REQ_POSTED;

inline iom_device_tlb_config default_config()
{
    iom_device_tlb_config config = {};
    config.stream = dev;
    config.cache.entries = config.cache.ways = 16;
    config.cache.policy = IOM_POLICY_LRU;
    config.cache.prefer_invalid = true;
    config.latency_cycles = latency;
    config.lookups_per_cycle = 1;
    config.outstanding = 4;
    config.merges_per_request = 4;
    config.queue_depth = 4;
    config.invalidate.method = IOM_INVALIDATE_FLASH;
    config.use_size = true;
    config.squash = true;
    return config;
}

/// One message seen by the host.
struct Seen {
    iom_cycle cycle;
    iom_dma *dma;
    uint64_t address;
    unsigned flags;
};

class Rig
{
  public:
    enum WorldPort : uint32_t { TO_DEVICE_PORT, TO_INVALIDATE_PORT, HOST, MESSAGES };
    struct Page {
        uint64_t output;
        uint8_t size_log2, permissions, global;
        iom_outcome outcome;
    };

    Rig() : world_("world", 2, 2)
    {
        iom_pool_init(&dma_pool_, IOM_MSG_DMA, sizeof(iom_dma));
        iom_pool_init(&invalidation_pool_, IOM_MSG_DEVICE_INVALIDATION, sizeof(iom_ats_invalidation));
        for (uint64_t page : {page_a, page_b, page_c})
            map(page);
    }
    Rig(const Rig &) = delete;
    Rig &operator=(const Rig &) = delete;
    virtual ~Rig()
    {
        bench_.close();
        iom_device_tlb_destroy(tlb_);
        iom_pool_free(&dma_pool_);
        iom_pool_free(&invalidation_pool_);
    }
    void build(const iom_device_tlb_config &config, uint32_t host_depth = 0, iom_cycle completion_latency = 1)
    {
        tlb_ = iom_device_tlb_create(&config, "device_tlb");
        if (tlb_ == nullptr)
            throw std::bad_alloc();
        bench_.add(world_.unit());
        bench_.add(iom_device_tlb_unit(tlb_));
        bench_.connect(world_.port(TO_DEVICE_PORT), iom_device_tlb_port(tlb_, IOM_DEVICE_TLB_DEVICE),
                       {1, 1, 1, 0});
        bench_.connect(world_.port(TO_INVALIDATE_PORT), iom_device_tlb_port(tlb_, IOM_DEVICE_TLB_INVALIDATE),
                       {1, completion_latency, 1, 0});
        bench_.connect(iom_device_tlb_port(tlb_, IOM_DEVICE_TLB_HOST), world_.port(HOST),
                       {1, 1, 1, host_depth});
        bench_.connect(iom_device_tlb_port(tlb_, IOM_DEVICE_TLB_MESSAGES), world_.port(MESSAGES),
                       {1, 1, 1, 0});
        world_.on(TO_DEVICE_PORT, [this](iom_cycle now, iom_msg *msg) {
            auto *dma = reinterpret_cast<iom_dma *>(msg);
            answered_[dma] = now;
            if (on_answer)
                on_answer(now, dma);
        });
        world_.on(TO_INVALIDATE_PORT, [this](iom_cycle now, iom_msg *msg) {
            completed_[reinterpret_cast<iom_ats_invalidation *>(msg)] = now;
            if (on_completion)
                on_completion(now, reinterpret_cast<iom_ats_invalidation *>(msg));
        });
        world_.on(HOST, [this](iom_cycle now, iom_msg *msg) { host(now, reinterpret_cast<iom_dma *>(msg)); });
        bench_.start();
    }

    // ---- what is translated ----------------------------------------------------------------------------
    void map(uint64_t page, uint8_t permissions = IOM_PERM_READ | IOM_PERM_WRITE, uint8_t size_log2 = 12,
             uint8_t global = 0, uint64_t distance = moved)
    {
        pages_[page] = {page + distance, size_log2, permissions, global, IOM_OUTCOME_ADDRESS};
    }
    void answer_with(uint64_t page, iom_outcome outcome)
    {
        pages_[page] = {page, 12, IOM_PERM_ALL, 0, outcome};
    }
    virtual void translate(iom_dma *dma)
    {
        auto page = pages_.upper_bound(dma->x.address);
        if (page == pages_.begin())
            throw std::out_of_range("no such page");
        --page;
        const Page &found = page->second;
        uint8_t asked = IOM_PERM_READ;
        if ((dma->x.flags & IOM_REQ_WRITE) != 0)
            asked |= IOM_PERM_WRITE;
        if ((dma->x.flags & IOM_REQ_EXEC) != 0)
            asked |= IOM_PERM_EXEC;
        if ((dma->x.flags & IOM_REQ_PRIV) != 0)
            asked = static_cast<uint8_t>(asked << 3);
        dma->x.outcome = static_cast<uint8_t>(found.outcome);
        dma->x.leaf.output = found.output + (dma->x.address - page->first);
        dma->x.leaf.size_log2 = found.size_log2;
        dma->x.leaf.permissions = found.permissions & asked;
        dma->x.leaf.global = found.global;
        if (found.outcome == IOM_OUTCOME_FAULT)
            dma->x.fault.code = 77, dma->x.fault.recorded = 1;
    }

    // ---- the host --------------------------------------------------------------------------------------
    void host(iom_cycle now, iom_dma *dma)
    {
        seen_.push_back({now, dma, dma->x.address, dma->x.flags});
        if (return_credits_)
            iom_port_return_credit(world_.port(HOST), now);
        if (on_host)
            on_host(now, dma);
        if ((dma->x.flags & IOM_REQ_TRANSLATE) != 0) {
            translate(dma);
            if (answer_translations_)
                world_.send_at(now + walk_cycles_, HOST, &dma->msg);
            return;
        }
        dma->x.outcome = static_cast<uint8_t>((dma->x.flags & IOM_REQ_TRANSLATED) != 0 ? IOM_OUTCOME_BYPASS
                                                                                       : IOM_OUTCOME_ADDRESS);
        dma->x.leaf = {};
        if (answer_dma_)
            world_.send_at(now + memory_cycles_, HOST, &dma->msg);
    }
    /// The host answers `dma` so that the answer arrives in `arrival`.
    void answer(iom_dma *dma, iom_cycle arrival)
    {
        world_.send_at(arrival - 1, HOST, &dma->msg);
    }
    /// Arrival at the host of DMA `dma` (not of translation requests).
    iom_cycle at_host(const iom_dma *dma) const
    {
        for (const Seen &seen : seen_) {
            if (seen.dma == dma)
                return seen.cycle;
        }
        return IOM_NEVER;
    }
    std::vector<Seen> translation_requests() const
    {
        std::vector<Seen> list;
        for (const Seen &seen : seen_) {
            if ((seen.flags & IOM_REQ_TRANSLATE) != 0)
                list.push_back(seen);
        }
        return list;
    }

    // ---- the device: `arrival` is the cycle in which the TLB has it --------------------------------------
    iom_dma *request(uint64_t address, unsigned flags, uint32_t pasid)
    {
        auto *dma = static_cast<iom_dma *>(iom_pool_take(&dma_pool_));
        const iom_msg header = dma->msg;
        *dma = iom_dma{};
        dma->msg = header;
        dma->x.source = dev;
        dma->x.address = address;
        dma->x.bytes = 64;
        dma->x.flags = static_cast<uint16_t>(flags);
        dma->x.pasid = pasid;
        dma->cookie = 0xc00c1e + count_++;
        return dma;
    }
    iom_dma *send(iom_cycle arrival, uint64_t address, unsigned flags = 0, uint32_t pasid = 0)
    {
        iom_dma *dma = request(address, flags, pasid);
        world_.send_at(arrival - 1, TO_DEVICE_PORT, &dma->msg);
        return dma;
    }
    iom_cycle answered(const iom_dma *dma) const
    {
        auto at = answered_.find(dma);
        return at == answered_.end() ? IOM_NEVER : at->second;
    }
    /// Brings entries in, and forgets about it.
    void warm(std::initializer_list<uint64_t> pages, unsigned flags = 0, uint32_t pasid = 0)
    {
        for (uint64_t page : pages) {
            send(bench_.now() + 2, page, flags, pasid);
            bench_.run_until_idle();
        }
        seen_.clear();
        iom_unit *unit = iom_device_tlb_unit(tlb_);
        unit->ops->reset_stats(unit);
    }

    // ---- the fan-out -------------------------------------------------------------------------------------
    iom_ats_invalidation *invalidation(uint64_t first, uint64_t last)
    {
        auto *msg = static_cast<iom_ats_invalidation *>(iom_pool_take(&invalidation_pool_));
        const iom_msg header = msg->msg;
        *msg = iom_ats_invalidation{};
        msg->msg = header;
        msg->what.stream = dev;
        msg->what.first = first;
        msg->what.last = last;
        return msg;
    }
    iom_ats_invalidation *invalidate(iom_cycle arrival, uint64_t first, uint64_t last)
    {
        iom_ats_invalidation *msg = invalidation(first, last);
        world_.send_at(arrival - 1, TO_INVALIDATE_PORT, &msg->msg);
        return msg;
    }
    iom_ats_invalidation *invalidate_page(iom_cycle arrival, uint64_t page)
    {
        return invalidate(arrival, page, page + 0xfff);
    }
    /// Arrival of the completion at the fan-out.
    iom_cycle completed(const iom_ats_invalidation *msg) const
    {
        auto at = completed_.find(msg);
        return at == completed_.end() ? IOM_NEVER : at->second;
    }

    const iom_device_tlb_stats &stats()
    {
        return *iom_device_tlb_stats_of(tlb_);
    }

    std::map<uint64_t, Page> pages_;
    bool answer_translations_ = true, answer_dma_ = true, return_credits_ = true;
    iom_cycle walk_cycles_ = 20, memory_cycles_ = 5;
    std::vector<Seen> seen_;
    std::function<void(iom_cycle, iom_dma *)> on_host, on_answer;
    std::function<void(iom_cycle, iom_ats_invalidation *)> on_completion;
    bench::Bench bench_;
    bench::ScriptUnit world_;
    iom_device_tlb *tlb_ = nullptr;

  private:
    iom_pool dma_pool_ = {}, invalidation_pool_ = {};
    uint64_t count_ = 0;
    std::map<const iom_dma *, iom_cycle> answered_;
    std::map<const iom_ats_invalidation *, iom_cycle> completed_;
};

} // namespace bench::device_tlb

#endif
