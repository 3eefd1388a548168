// SPDX-License-Identifier: Apache-2.0
//
// One look-up stage between scripted neighbours, under an architecture made up for the purpose.
//
// The toy architecture has no tables: walks are answered by the test. Its view says which look-up a
// request begins with (view.extra[0]) and whether translation is on (view.enabled; off: bypass).
// Addresses with bit 62 set are refused on entry, with bit 61 set denied, with bit 60 set interrupts.
// Page requests look up their context if the view begins with that, and are accepted; refused ones are
// recorded only if their source is not toy_silent.
// A context leads to the IOTLB, or to the PASID look-up for requests with PASID; its domain is the
// requester's number. A translation request that asks for more than the page grants is told by the walk what
// it may do, and no entry serves it.
#ifndef IOM_TESTS_CORE_SUPPORT_STAGE_BENCH_H
#define IOM_TESTS_CORE_SUPPORT_STAGE_BENCH_H

#include <initializer_list>
#include <map>
#include <vector>

#include "core/control.h"
#include "core/stage.h"
#include "core/walk.h"
#include "tests/core/support/bench.h"

namespace bench
{

constexpr uint64_t refused_address = uint64_t{1} << 62;
constexpr uint64_t denied_address = uint64_t{1} << 61;
constexpr uint64_t interrupt_address = uint64_t{1} << 60;
constexpr uint16_t toy_fault_entry = 77; ///< refused on entry
constexpr uint16_t toy_fault_walk = 78;  ///< no page
constexpr uint32_t toy_silent = 0x51;    ///< requester whose faults are not recorded

extern const iom_arch_ops toy_arch_ops;

/// A front stage that owns the IOTLB only: 16 entries, fully associative. Latencies: stage 2, IOTLB 3.
iom_stage_config iotlb_stage(uint32_t inputs);

constexpr uint64_t page_a = 0x10000, page_b = 0x20000, page_c = 0x30000, page_d = 0x40000;
constexpr uint64_t moved = uint64_t{1} << 32; ///< distance from input to output address
constexpr uint32_t dev = 1, other = 2;        ///< requesters
/// With the stage above: a hit is known so long after it was taken up; a miss takes the walk of 20 cycles
/// and the way to the walker and back besides.
constexpr iom_cycle hit_cycles = 5, miss_cycles = hit_cycles + 1 + 20 + 1;

struct StageLinks {
    uint32_t device_depth = 0, walk_depth = 0, memory_depth = 0, report_depth = 0; ///< slots, 0 = unlimited
};

/// Every connection takes one cycle each way. Devices send from port i; arrival is one cycle later.
class StageBench
{
  public:
    explicit StageBench(const iom_stage_config &config, const StageLinks &links = {});
    ~StageBench();
    StageBench(const StageBench &) = delete;
    StageBench &operator=(const StageBench &) = delete;

    // ---- requests: `arrival` is the cycle in which the stage has it ------------------------------------
    iom_dma *request(uint32_t source, uint64_t address, unsigned flags);
    iom_dma *send(uint32_t input, iom_cycle arrival, uint32_t source, uint64_t address, unsigned flags = 0);
    iom_dma *write(uint32_t input, iom_cycle arrival, uint32_t source, uint64_t address)
    {
        return send(input, arrival, source, address, IOM_REQ_WRITE | IOM_REQ_POSTED);
    }
    /// Cycle in which the answer arrived at the device, IOM_NEVER if it did not.
    iom_cycle answered(const iom_dma *dma) const;
    /// Cycle in which memory got it.
    iom_cycle at_memory(const iom_dma *dma) const;

    /// Maps page_a to page_d, readable and writable, to `moved` beyond them.
    void map_all();
    /// Puts pages of a requester into the IOTLB and forgets what was counted.
    void warm(std::initializer_list<uint64_t> pages, uint32_t source = dev);

    // ---- walks: answered `walk_cycles` after their arrival at the walker, or by hand ---------------------
    /// Page of the toy's tables; identity mapping plus `offset`.
    void map(uint64_t page, uint64_t offset, uint8_t permissions = IOM_PERM_READ | IOM_PERM_WRITE,
             uint8_t size_log2 = 12);
    struct Walk {
        iom_cycle arrived;
        uint32_t what;
        uint64_t address;
        iom_walk *message; ///< until answered
    };
    std::vector<Walk> walks; ///< in the order of arrival
    bool answer_walks = true;
    uint64_t walk_cycles = 20;
    /// Answers walk `index` so that it arrives at the stage in `arrival`, from the tables as they are now.
    void answer_walk(size_t index, iom_cycle arrival);
    uint32_t count_walks(uint32_t what) const;

    // ---- memory -----------------------------------------------------------------------------------------
    uint64_t memory_cycles = 5;
    bool return_memory_credits = true;
    /// Frees one slot at memory; the credit is usable in `arrival`.
    void return_memory_credit(iom_cycle arrival);

    // ---- control: `arrival` is the cycle in which the stage has it ---------------------------------------
    iom_control *control(iom_cycle arrival);
    void change_view(iom_cycle arrival, const iom_view &view);
    /// Invalidation of one page in the IOTLB, or (page == all_pages) of everything in all caches.
    static constexpr uint64_t all_pages = UINT64_MAX;
    void invalidate(iom_cycle arrival, uint64_t page);
    /// Invalidation of the range in the caches of `targets`.
    void invalidate_range(iom_cycle arrival, uint32_t targets, uint64_t first, uint64_t last,
                          uint64_t cookie = 0);
    void drain(iom_cycle arrival, bool reads, bool writes, uint64_t cookie = 0, bool page_requests = false);
    struct Acknowledgement {
        iom_cycle arrival;
        uint32_t removed, stopped;
        uint64_t cookie;
    };
    std::vector<iom_cycle> acknowledged; ///< arrivals of acknowledgements
    std::vector<Acknowledgement> acks;   ///< the same in full
    /// Cycle in which the stage acknowledged the control message with this cookie, IOM_NEVER if it did not.
    iom_cycle acknowledged_in(uint64_t cookie) const;

    std::vector<std::pair<iom_cycle, iom_fault>> faults;               ///< arrivals of fault reports
    std::vector<std::pair<iom_cycle, iom_page_request>> page_requests; ///< of accepted page requests
    std::vector<std::pair<iom_cycle, iom_control *>> drains_behind;    ///< of drains behind them
    /// Sends drains_behind[index] back; the stage has it in `arrival`.
    void return_drain(size_t index, iom_cycle arrival);
    bool return_report_credits = true;
    /// Frees one slot for reports; the credit is usable in `arrival`.
    void return_report_credit(iom_cycle arrival);
    std::vector<std::pair<iom_cycle, iom_event>> events; ///< cycle in which each left

    const iom_stage_stats &stats()
    {
        return *iom_stage_stats_of(stage);
    }
    const iom_lookup_stats &iotlb()
    {
        return *iom_stage_lookup_stats(stage, IOM_LOOKUP_IOTLB);
    }

    Bench bench;
    ScriptUnit world;
    iom_stage *stage = nullptr;
    iom_arch arch = {};

  private:
    void finish_walk(iom_walk &walk) const;
    uint32_t port_of_walks() const;
    void connect(const iom_stage_config &config, const StageLinks &links);
    void listen(uint32_t inputs);

    iom_pool dma_pool_ = {}, control_pool_ = {};
    uint32_t inputs_;
    std::map<uint64_t, iom_leaf> pages_;
    std::map<const iom_dma *, iom_cycle> answered_, at_memory_;
};

} // namespace bench

#endif
