// SPDX-License-Identifier: Apache-2.0
//
// See vtd_tables.h.
#include "tests/models/support/vtd_tables.h"

#include <stdexcept>
#include <utility>

namespace vtd_tables
{

namespace
{

void require(const char *error)
{
    if (error != nullptr)
        throw std::runtime_error(error);
}

void require(bool good, const char *what)
{
    require(good ? nullptr : what);
}

} // namespace

iom_vtd_features features()
{
    iom_vtd_features features{};
    features.guest_address_bits = 48;
    features.domain_bits = 16;
    features.second_stage_levels = 1u << 4;
    features.max_address_mask = 9;
    features.fault_records = 4;
    features.coherent = features.queued_invalidation = features.page_selective = true;
    return features;
}

iom_cache_config fully_associative(uint32_t entries)
{
    iom_cache_config cache{};
    cache.entries = cache.ways = entries;
    cache.policy = IOM_POLICY_LRU;
    cache.prefer_invalid = true;
    return cache;
}

Tables::Tables(const iom_vtd_features &features, uint8_t haw_bits, const iom_vtd_software_settings &settings,
               Store store)
    : store_(std::move(store))
{
    require(iom_vtd_capabilities(&features, &config_.cap, &config_.ecap));
    config_.haw_bits = haw_bits;
    config_.tagging = IOM_TAG_BY_DOMAIN;
    require(iom_vtd_config_finish(&config_));
    arch = {&iom_vtd_ops, &config_, 0};
    const iom_software_config config{&arch, &settings};
    const iom_software_host host{this, take_table, store_to_host, nullptr};
    const char *error = "no memory";
    software = iom_vtd_software_ops.create(&config, &host, &error);
    require(software != nullptr, error);
}

Tables::~Tables()
{
    iom_vtd_software_ops.destroy(software);
}

void Tables::attach(uint32_t source, uint32_t domain)
{
    require(iom_vtd_software_ops.attach(software, source, IOM_NO_PASID, domain, IOM_SOFTWARE_TRANSLATE) ==
                IOM_SOFTWARE_OK,
            "a device cannot be attached");
}

void Tables::map(uint32_t domain, uint64_t iova, uint64_t address, uint8_t permissions)
{
    require(iom_vtd_software_ops.map(software, domain, iova, address, IOM_PAGE_LOG2, permissions, nullptr) ==
                IOM_SOFTWARE_OK,
            "a page cannot be mapped");
}

std::vector<iom_register_write> Tables::startup() const
{
    std::vector<iom_register_write> list(16);
    list.resize(iom_vtd_software_ops.startup(software, list.data(), list.size()));
    return list;
}

bool Tables::take_table(void *context, unsigned size_log2, uint64_t *address)
{
    auto &self = *static_cast<Tables *>(context);
    const uint64_t bytes = uint64_t{1} << size_log2;
    *address = self.free_ = iom_div_ceil(self.free_, bytes) * bytes;
    self.free_ += bytes;
    return true;
}

bool Tables::store_to_host(void *context, const iom_store *store)
{
    static_cast<Tables *>(context)->store_(*store);
    return true;
}

} // namespace vtd_tables
