// SPDX-License-Identifier: Apache-2.0
//
// See fake_software.h.
#include "tests/traffic/support/fake_software.h"

#include <algorithm>

namespace iommu_sim::test
{
namespace
{

FakeTables *tables_of(const iom_software *software)
{
    return reinterpret_cast<FakeTables *>(const_cast<iom_software *>(software));
}

bool emit(FakeTables *tables, uint64_t address, uint64_t value, iom_software_change *change)
{
    const iom_store store{address, value, 8};
    if (change != nullptr)
        change->stores++;
    return tables->host.store(tables->host.context, &store);
}

iom_software *create(const iom_software_config *config, const iom_software_host *host, const char **)
{
    auto *tables = *static_cast<FakeTables *const *>(config->settings);
    tables->host = *host;
    return reinterpret_cast<iom_software *>(tables);
}

void destroy(iom_software *)
{
}

iom_software_limits limits(const iom_software *software)
{
    return tables_of(software)->limits;
}

iom_software_result attach(iom_software *software, uint32_t source, uint32_t pasid, uint32_t domain,
                           iom_software_kind)
{
    FakeTables *tables = tables_of(software);
    if (domain >= tables->limits.domains)
        return IOM_SOFTWARE_REFUSED;
    if (tables->attached.count({source, pasid}) != 0)
        return IOM_SOFTWARE_ALREADY;
    tables->attached[{source, pasid}] = domain;
    return emit(tables, 0x1000 + uint64_t{source} * 8, domain, nullptr) ? IOM_SOFTWARE_OK
                                                                        : IOM_SOFTWARE_NO_MEMORY;
}

iom_software_result detach(iom_software *software, uint32_t source, uint32_t pasid)
{
    FakeTables *tables = tables_of(software);
    if (tables->attached.erase({source, pasid}) == 0)
        return IOM_SOFTWARE_NOT_MAPPED;
    return emit(tables, 0x1000 + uint64_t{source} * 8, 0, nullptr) ? IOM_SOFTWARE_OK : IOM_SOFTWARE_NO_MEMORY;
}

bool overlaps(const FakeTables *tables, uint32_t domain, uint64_t iova, uint64_t bytes)
{
    auto after = tables->pages.lower_bound({domain, iova + bytes});
    if (after == tables->pages.begin())
        return false;
    --after;
    return after->first.first == domain &&
           after->first.second + (UINT64_C(1) << after->second.size_log2) > iova;
}

iom_software_result map(iom_software *software, uint32_t domain, uint64_t iova, uint64_t address,
                        unsigned size_log2, uint8_t permissions, iom_software_change *change)
{
    FakeTables *tables = tables_of(software);
    const uint64_t bytes = UINT64_C(1) << size_log2;
    if (iova >> tables->limits.input_bits != 0 || iova % bytes != 0 || address % bytes != 0)
        return IOM_SOFTWARE_REFUSED;
    if (overlaps(tables, domain, iova, bytes))
        return IOM_SOFTWARE_ALREADY;
    if (tables->fail_after-- == 0)
        return IOM_SOFTWARE_NO_MEMORY;
    if (tables->roots.count(domain) == 0) {
        uint64_t root = 0;
        if (!tables->host.take_table(tables->host.context, 12, &root))
            return IOM_SOFTWARE_NO_MEMORY;
        tables->roots[domain] = root;
        if (!emit(tables, 0x800 + domain * 8, root, change))
            return IOM_SOFTWARE_NO_MEMORY;
    }
    tables->pages[{domain, iova}] = {address, size_log2, permissions};
    return emit(tables, tables->roots[domain] + (iova >> 12) % 512 * 8, address | permissions, change)
               ? IOM_SOFTWARE_OK
               : IOM_SOFTWARE_NO_MEMORY;
}

iom_software_result unmap(iom_software *software, uint32_t domain, uint64_t iova, unsigned size_log2, bool,
                          iom_software_change *change)
{
    FakeTables *tables = tables_of(software);
    const auto found = tables->pages.find({domain, iova});
    if (found == tables->pages.end() || found->second.size_log2 != size_log2)
        return IOM_SOFTWARE_NOT_MAPPED;
    tables->pages.erase(found);
    return emit(tables, tables->roots[domain] + (iova >> 12) % 512 * 8, 0, change) ? IOM_SOFTWARE_OK
                                                                                   : IOM_SOFTWARE_NO_MEMORY;
}

bool find(const iom_software *software, uint32_t domain, uint64_t iova, iom_software_mapping *mapping)
{
    const FakeTables *tables = tables_of(software);
    auto after = tables->pages.upper_bound({domain, iova});
    if (after == tables->pages.begin())
        return false;
    --after;
    if (after->first.first != domain || iova - after->first.second >= UINT64_C(1) << after->second.size_log2)
        return false;
    *mapping = {after->second.address, static_cast<uint8_t>(after->second.size_log2),
                after->second.permissions};
    return true;
}

size_t startup(const iom_software *software, iom_register_write *list, size_t capacity)
{
    const auto &steps = tables_of(software)->startup;
    for (size_t i = 0; i < std::min(capacity, steps.size()); i++)
        list[i] = steps[i];
    return steps.size();
}

} // namespace

uint64_t FakeTables::translate(uint32_t domain, uint64_t iova, uint8_t *permissions) const
{
    iom_software_mapping mapping{};
    if (!find(reinterpret_cast<const iom_software *>(this), domain, iova, &mapping))
        return UINT64_MAX;
    if (permissions != nullptr)
        *permissions = mapping.permissions;
    return mapping.output + iova % (UINT64_C(1) << mapping.size_log2);
}

// What is not named here the fake does not have.
const iom_software_ops fake_software_ops = [] {
    iom_software_ops ops = {};
    ops.name = "fake";
    ops.create = create;
    ops.destroy = destroy;
    ops.limits = limits;
    ops.attach = attach;
    ops.detach = detach;
    ops.map = map;
    ops.unmap = unmap;
    ops.find = find;
    ops.startup = startup;
    return ops;
}();

} // namespace iommu_sim::test
