// SPDX-License-Identifier: Apache-2.0
//
// A serial look-up stage (struct iom_serial_config) between scripted neighbours, connected like the recorded
// hardware: what the world sends to the stage arrives in the same cycle, what the stage sends takes one
// cycle.
//
// The world plays the AXI port (one request at a time, a release when an answer has arrived), the walkers,
// the unit that takes fault reports, and the command queue. A request that the AXI port takes up in c was
// presented in p = c - 1; the stage's answer in n is the handshake of n + 1.
//
// The architecture is the toy of stage_bench.h, with these changes: a page without the permission asked for
// refuses when its entry is used (toy_fault_permission), and addresses with bit 59 set pass untranslated
// although there is a fault to record. A request with PASID has its tables from the process: a device's
// context has second-stage tables only. What a walk brings is read when it arrives at its walker.
#ifndef IOM_TESTS_CORE_SUPPORT_SERIAL_BENCH_H
#define IOM_TESTS_CORE_SUPPORT_SERIAL_BENCH_H

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/axi_port.h"
#include "tests/core/support/stage_bench.h"

namespace bench
{

constexpr uint64_t passing_address = uint64_t{1} << 59;
constexpr uint16_t toy_fault_permission = 79;

/// All three caches with 4 entries each, fully associative, tree PLRU as in the recorded hardware; no quirks,
/// no squashing. Latencies are set, and are to have no effect.
iom_stage_config serial_stage();

iom_context toy_context(uint32_t source);
iom_context toy_process(uint32_t source, uint32_t pasid);

class SerialBench
{
  public:
    /// `report_slots`: of the unit that takes reports, 0 = unlimited.
    explicit SerialBench(const iom_stage_config &config, uint32_t report_slots = 0);
    ~SerialBench();
    SerialBench(const SerialBench &) = delete;
    SerialBench &operator=(const SerialBench &) = delete;

    // ---- requests ---------------------------------------------------------------------------------------
    /// `arrival` is the cycle in which the stage has it; the AXI port must be free by then.
    iom_dma *send(iom_cycle arrival, uint32_t source, uint64_t address, unsigned flags = 0,
                  uint32_t pasid = 0);
    iom_dma *send_pasid(iom_cycle arrival, uint32_t source, uint32_t pasid, uint64_t address)
    {
        return send(arrival, source, address, IOM_REQ_PASID, pasid);
    }
    /// The message of an answered request is used for another one.
    void resend(iom_dma *dma, iom_cycle arrival, uint32_t source, uint64_t address);
    /// Asked for through registers, at input 1.
    iom_dma *debug(iom_cycle arrival, uint32_t source, uint64_t address);
    /// Cycle in which the stage answered, IOM_NEVER if it did not.
    iom_cycle answered(const iom_dma *dma) const;
    /// Handshake: cycle of the release.
    iom_cycle accepted(const iom_dma *dma) const;
    std::vector<iom_cycle> lost;  ///< cycles in which the address just given was taken back
    uint64_t handshake_waits = 0; ///< cycles that the target is not ready

    // ---- tables -----------------------------------------------------------------------------------------
    /// Identity mapping plus `offset`, for every requester. A page that is not mapped is refused by its walk.
    void map(uint64_t page, uint64_t offset = moved, uint8_t permissions = IOM_PERM_READ | IOM_PERM_WRITE);
    std::set<uint32_t> bad_contexts;                       ///< requesters whose context walk refuses
    std::set<std::pair<uint32_t, uint32_t>> bad_processes; ///< requesters and PASIDs
    /// Requesters whose context says that no fault is recorded: walks bring it like that from now on.
    std::set<uint32_t> silent_contexts;
    /// Sends a request that needs no other walk than those for `pages` and what leads to them, and lets it
    /// pass; what has been seen is forgotten. `pages` are mapped.
    void warm(uint32_t source, const std::vector<uint64_t> &pages, uint32_t pasid = 0);

    // ---- walks ------------------------------------------------------------------------------------------
    struct Walk {
        iom_cycle begun; ///< cycle of the look-up that missed
        uint32_t what;
        uint32_t source;
        uint64_t address;
        iom_walk *message; ///< until it is over
    };
    std::vector<Walk> walks;
    /// From the look-up that misses to the fill, or refusal. 0: by hand.
    uint64_t walk_cycles[IOM_LOOKUP_COUNT] = {5, 20, 10};
    void end_walk(size_t index, iom_cycle arrival);
    /// Cycles in which walks for `what` were begun.
    std::vector<iom_cycle> begun(uint32_t what) const;

    struct Told {
        iom_cycle from; ///< holds in this cycle
        iom_context context;
        bool write;
    };
    std::vector<Told> told; ///< to the walkers, of the context of the page walk

    // ---- control: `arrival` is the cycle in which it takes effect -----------------------------------------
    void invalidate_page(iom_cycle arrival, uint64_t page);
    void invalidate_context(iom_cycle arrival, uint32_t source); ///< and its processes
    void invalidate_process(iom_cycle arrival, uint32_t source, uint32_t pasid);
    void change_view(iom_cycle arrival, const iom_view &view);

    // ---- reports ----------------------------------------------------------------------------------------
    std::vector<std::pair<iom_cycle, iom_fault>> reports; ///< cycle in which each left
    /// A slot is free again, the credit usable in `cycle`.
    void free_report_slot(iom_cycle cycle);
    bool free_report_slots = true; ///< each at once
    std::vector<std::pair<iom_cycle, iom_event>> events;

    /// The stage is woken in every cycle up to `last`, whether or not it has asked for it.
    void wake_always(iom_cycle last);
    const iom_stage_stats &stats() const
    {
        return *iom_stage_stats_of(stage);
    }
    const iom_lookup_stats &lookup_stats(iom_lookup which) const
    {
        return *iom_stage_lookup_stats(stage, which);
    }

    Bench bench;
    ScriptUnit world;
    iom_stage *stage = nullptr;
    iom_arch arch = {};

  private:
    iom_dma *submit(uint32_t input, iom_cycle arrival, uint32_t source, uint64_t address, unsigned flags,
                    uint32_t pasid);
    iom_control *control(iom_cycle arrival);
    iom_invalidation_part *invalidate(iom_cycle arrival, uint32_t targets);
    void finish_walk(iom_walk &walk) const;
    void release(iom_dma *dma);
    void listen();

    iom_pool dma_pool_ = {}, control_pool_ = {}, release_pool_ = {};
    std::map<uint64_t, iom_leaf> pages_;
    std::map<const iom_dma *, iom_cycle> answered_, accepted_;
    const iom_dma *in_service_ = nullptr;
};

} // namespace bench

#endif
