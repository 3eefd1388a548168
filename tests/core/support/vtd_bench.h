// SPDX-License-Identifier: Apache-2.0
//
// A complete timed IOMMU (VT-d) with real tables in simulated memory, requesters and register access,
// for tests of whole requests: closed-form latencies, invariants of random traffic.
#ifndef IOM_TESTS_CORE_SUPPORT_VTD_BENCH_H
#define IOM_TESTS_CORE_SUPPORT_VTD_BENCH_H

#include <memory>
#include <vector>

#include "core/arch/vtd/vtd.h"
#include "core/arch/vtd/vtd_tables.h"
#include "core/iommu.h"
#include "core/memory.h"
#include "tests/core/support/bench.h"

namespace bench
{

/// Every capability, five-level tables where `five_levels`.
iom_vtd_config vtd_config(bool five_levels, iom_tagging tagging);

/// An IOMMU in which nothing is scarce: unlimited bandwidth, fully associative caches of 64 entries, all
/// paging-structure caches, latencies of 1. Tests change what they are about.
iom_iommu_config roomy_iommu(uint32_t inputs);
iom_memory_config roomy_memory();

struct VtdBenchConfig {
    iom_vtd_software_settings software;
    iom_tagging tagging = IOM_TAG_BY_DOMAIN;
    iom_iommu_config iommu;
    iom_memory_config memory;
    iom_cycle link_cycles = 1; ///< device to IOMMU, and back
    uint32_t link_depth = 0;   ///< request slots of an input, 0 = unlimited
};

class VtdBench
{
  public:
    explicit VtdBench(const VtdBenchConfig &config);
    ~VtdBench();
    VtdBench(const VtdBench &) = delete;
    VtdBench &operator=(const VtdBench &) = delete;

    // ---- software: takes effect at once --------------------------------------------------------------
    void attach(uint32_t source, uint32_t pasid, uint32_t domain,
                iom_software_kind kind = IOM_SOFTWARE_TRANSLATE);
    void map(uint32_t domain, uint64_t iova, uint64_t address, unsigned size_log2, uint8_t permissions);
    void unmap(uint32_t domain, uint64_t iova, unsigned size_log2);
    /// Programs the registers and gives the view to all units.
    void enable();

    // ---- requests ------------------------------------------------------------------------------------
    /// A request of requester `device`, not sent yet. IOM_REQ_POSTED is added to writes.
    iom_dma *request(uint32_t source, uint32_t pasid, uint64_t address, uint32_t bytes, unsigned flags);
    /// Sends it from `device` in `cycle`.
    void send(uint32_t device, iom_dma *dma, iom_cycle cycle);
    /// Answered requests stay with the bench until it is destroyed.
    struct Answer {
        iom_cycle cycle; ///< in which it arrived back
        const iom_dma *dma;
    };
    const std::vector<Answer> &answers() const
    {
        return answers_;
    }
    const Answer *answer_of(const iom_dma *dma) const;
    /// What a walk of the tables as they are now says.
    iom_xlate pure(const iom_dma &dma) const;

    Bench bench;
    iom_iommu iommu = {};
    iom_memory *memory = nullptr;
    iom_memory_image *image = nullptr;
    ScriptUnit devices; ///< port i = requester i, after them the register port

  private:
    static bool take_table(void *context, unsigned size_log2, uint64_t *address);
    static bool store(void *context, const iom_store *store);

    VtdBenchConfig config_;
    iom_vtd_config vtd_;
    iom_arch arch_ = {};
    iom_software *software_ = nullptr;
    uint64_t next_table_;
    iom_pool pool_ = {};
    std::vector<Answer> answers_;
};

} // namespace bench

#endif
