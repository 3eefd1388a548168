// SPDX-License-Identifier: Apache-2.0
//
// A VT-d unit's configuration and the tables that software builds for it, in somebody's memory; and a cache
// geometry. For tests that put a platform together by hand.
#ifndef IOM_TESTS_MODELS_SUPPORT_VTD_TABLES_H
#define IOM_TESTS_MODELS_SUPPORT_VTD_TABLES_H

#include <functional>
#include <vector>

#include "core/arch/vtd/vtd.h"
#include "core/arch/vtd/vtd_tables.h"
#include "core/cache.h"

namespace vtd_tables
{

/// What every platform here has: four-level tables, page-selective invalidation through a queue.
iom_vtd_features features();

/// `entries` of any place, least recently used first out.
iom_cache_config fully_associative(uint32_t entries);

/// Throws std::runtime_error when something cannot be built.
class Tables
{
  public:
    using Store = std::function<void(const iom_store &)>;
    /// Every word written goes to `store`; tables lie from 1 MiB upwards.
    Tables(const iom_vtd_features &features, uint8_t haw_bits, const iom_vtd_software_settings &settings,
           Store store);
    ~Tables();
    Tables(const Tables &) = delete;
    Tables &operator=(const Tables &) = delete;

    void attach(uint32_t source, uint32_t domain);
    /// One 4 KiB page; permissions are IOM_PERM_*.
    void map(uint32_t domain, uint64_t iova, uint64_t address, uint8_t permissions);
    std::vector<iom_register_write> startup() const;

    iom_arch arch{};
    iom_software *software = nullptr;

  private:
    static bool take_table(void *context, unsigned size_log2, uint64_t *address);
    static bool store_to_host(void *context, const iom_store *store);

    iom_vtd_config config_{};
    Store store_;
    uint64_t free_ = 0x100000;
};

} // namespace vtd_tables

#endif
