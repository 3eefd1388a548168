// SPDX-License-Identifier: Apache-2.0
//
// Host of a builder of translation tables (core/software.h), whatever the architecture: hands out memory for
// tables, applies stores at once or holds them, and remembers what was given back.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "core/memory_image.h"
#include "core/software.h"
#include "core/walk.h"

namespace tables_test
{

class TableHost
{
  public:
    void apply(const iom_store &s)
    {
        EXPECT_EQ(s.bytes, 8);
        EXPECT_TRUE(iom_memory_image_write(image_, s.address, &s.value, s.bytes));
    }

    bool hold = false; ///< stores are collected instead of applied
    std::vector<iom_store> held;
    std::vector<uint64_t> retired;
    std::vector<uint64_t> reusable;     ///< pages handed out before any new one
    std::map<uint64_t, unsigned> taken; ///< address, size_log2
    uint64_t tables_left = UINT64_MAX;

  protected:
    TableHost() = default;
    ~TableHost() = default;
    TableHost(const TableHost &) = delete;
    TableHost &operator=(const TableHost &) = delete;

    /// The host as the builder calls it; tables go into `image`.
    iom_software_host tables_in(iom_memory_image *image)
    {
        image_ = image;
        return {this, take, store, retire};
    }

  private:
    static bool take(void *context, unsigned size_log2, uint64_t *address)
    {
        auto *self = static_cast<TableHost *>(context);
        if (self->tables_left == 0)
            return false;
        self->tables_left--;
        if (size_log2 == IOM_PAGE_LOG2 && !self->reusable.empty()) {
            *address = self->reusable.back();
            self->reusable.pop_back();
            return true;
        }
        self->next_ = (self->next_ + (uint64_t{1} << size_log2) - 1) >> size_log2 << size_log2;
        *address = self->next_;
        self->next_ += uint64_t{1} << size_log2;
        self->taken[*address] = size_log2;
        return true;
    }
    static bool store(void *context, const iom_store *s)
    {
        auto *self = static_cast<TableHost *>(context);
        // Every store goes into a table that was handed out.
        auto it = self->taken.upper_bound(s->address);
        EXPECT_NE(it, self->taken.begin());
        --it;
        EXPECT_LE(s->address + 8, it->first + (uint64_t{1} << it->second));
        if (self->hold)
            self->held.push_back(*s);
        else
            self->apply(*s);
        return true;
    }
    static void retire(void *context, uint64_t address)
    {
        static_cast<TableHost *>(context)->retired.push_back(address);
    }

    iom_memory_image *image_ = nullptr;
    uint64_t next_ = 0x100000;
};

/// A request, with PASID unless that is IOM_NO_PASID.
inline iom_xlate make_request(uint64_t address, unsigned flags, uint32_t source, uint32_t pasid)
{
    iom_xlate x = {};
    x.address = address;
    x.source = source;
    x.flags = static_cast<uint16_t>(flags);
    if (pasid != IOM_NO_PASID) {
        x.pasid = pasid;
        x.flags |= IOM_REQ_PASID;
    }
    return x;
}

} // namespace tables_test
