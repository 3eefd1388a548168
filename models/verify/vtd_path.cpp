// SPDX-License-Identifier: Apache-2.0
//
// Evidence from VT-d tables: see vtd_path.h.
#include "models/verify/vtd_path.h"

#include "core/arch/vtd/vtd.h"

namespace iommu_sim::verify
{

namespace
{

uint64_t pointer(uint64_t entry)
{
    return iom_bits(entry, 51, 12) << 12;
}

bool present(uint64_t entry)
{
    return (entry & 1) != 0;
}

// Reads entries from the top until one is not present, maps a page, or the last level is reached.
void descend(TablePath *path, uint64_t table, unsigned levels, uint64_t address, Target &target)
{
    for (unsigned level = levels; level > 0; level--) {
        const unsigned shift = 12 + 9 * (level - 1);
        const uint64_t entry = target.read_word(table + 8 * iom_bits(address, shift + 8, shift));
        path->entries.push_back(entry);
        const bool usable = path->first_stage ? present(entry) : (entry & 3) != 0;
        const bool page = (level == 2 || level == 3) && (entry & (1u << 7)) != 0;
        if (!usable || page)
            return;
        table = pointer(entry);
    }
}

// AW field: 1 = 3 levels, 2 = 4, 3 = 5.
unsigned levels_of(uint64_t width_field)
{
    return static_cast<unsigned>(width_field) + 2;
}

std::optional<TablePath> legacy_path(uint64_t root, uint32_t source, uint64_t address, Target &target)
{
    const uint64_t root_entry = target.read_word(root + 16ull * iom_bits(source, 15, 8));
    const uint64_t at = pointer(root_entry) + 16ull * iom_bits(source, 7, 0);
    const uint64_t low = target.read_word(at), high = target.read_word(at + 8);
    if (!present(root_entry) || !present(low))
        return std::nullopt;
    constexpr uint64_t type_pass_through = 2;
    TablePath path;
    const unsigned levels = levels_of(iom_bits(high, 2, 0));
    path.width_bits = 12 + 9 * levels;
    path.pass_through = iom_bits(low, 3, 2) == type_pass_through;
    if (!path.pass_through)
        descend(&path, pointer(low), levels, address, target);
    return path;
}

std::optional<TablePath> pasid_path(uint64_t entry_at, uint64_t address, Target &target)
{
    const uint64_t entry = target.read_word(entry_at), third = target.read_word(entry_at + 16);
    if (!present(entry))
        return std::nullopt;
    enum { first = 1, second = 2, pass_through = 4 };
    TablePath path;
    const unsigned levels = levels_of(iom_bits(entry, 4, 2));
    path.width_bits = 12 + 9 * levels;
    switch (iom_bits(entry, 8, 6)) {
    case first:
        path.first_stage = true;
        descend(&path, pointer(third), iom_bits(third, 3, 2) == 0 ? 4 : 5, address, target);
        return path;
    case second:
        descend(&path, pointer(entry), levels, address, target);
        return path;
    case pass_through:
        path.pass_through = true;
        return path;
    default:
        return std::nullopt;
    }
}

std::optional<TablePath> scalable_path(uint64_t root, uint32_t source, uint64_t address, Target &target)
{
    // A root entry has one half for each half of the 256 functions of a bus.
    const uint64_t half = iom_bits(source, 7, 7);
    const uint64_t root_entry = target.read_word(root + 16ull * iom_bits(source, 15, 8) + 8 * half);
    const uint64_t context_at = pointer(root_entry) + 32ull * iom_bits(source, 6, 0);
    const uint64_t context = target.read_word(context_at);
    const uint64_t pasid = iom_bits(target.read_word(context_at + 8), 19, 0);
    if (!present(root_entry) || !present(context))
        return std::nullopt;
    const uint64_t directory_entry = target.read_word(pointer(context) + 8 * (pasid >> 6));
    if (!present(directory_entry))
        return std::nullopt;
    return pasid_path(pointer(directory_entry) + 64 * (pasid & 63), address, target);
}

} // namespace

std::optional<TablePath> vtd_table_path(uint32_t source, uint64_t address, Target &target)
{
    const uint64_t root = target.read_register(IOM_VTD_RTADDR, 8);
    if (iom_bits(root, 11, 10) == IOM_VTD_TTM_SCALABLE)
        return scalable_path(pointer(root), source, address, target);
    return legacy_path(pointer(root), source, address, target);
}

} // namespace iommu_sim::verify
