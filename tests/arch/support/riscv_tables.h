// SPDX-License-Identifier: Apache-2.0
//
// A RISC-V IOMMU with memory and tables for tests of look-ups and walks. Tables are built here from the
// formats as the specifications print them, not with the names of the code under test.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/memory_image.h"
#include "tests/arch/support/riscv_registers.h"

namespace riscv_test
{

/// Page-table entry bits.
enum Entry : uint64_t {
    V = 1,
    R = 2,
    W = 4,
    X = 8,
    U = 16,
    G = 32,
    A = 64,
    D = 128,
};
/// A page everybody may use, with its flags set.
constexpr uint64_t open_page = V | R | W | X | U | A | D;

/// DC.tc bits.
enum Control : uint64_t {
    tc_v = 1,
    tc_en_ats = 1 << 1,
    tc_en_pri = 1 << 2,
    tc_t2gpa = 1 << 3,
    tc_dtf = 1 << 4,
    tc_pdtv = 1 << 5,
    tc_prpr = 1 << 6,
    tc_gade = 1 << 7,
    tc_sade = 1 << 8,
    tc_dpe = 1 << 9,
    tc_sbe = 1 << 10,
    tc_sxl = 1 << 11,
};

/// MODE of iosatp and iohgatp.
enum Mode : unsigned { bare = 0, sv32 = 8, sv39 = 8, sv48 = 9, sv57 = 10 };

constexpr uint64_t pointer(unsigned mode, uint64_t address)
{
    return uint64_t{mode} << 60 | address >> 12;
}
constexpr uint64_t entry(uint64_t address, uint64_t flags)
{
    return address >> 12 << 10 | flags;
}

struct DeviceContext {
    uint64_t tc = tc_v;
    uint64_t iohgatp = 0;
    uint64_t ta = 0;
    uint64_t fsc = 0;
    uint64_t msiptp = 0;
    uint64_t msi_mask = 0;
    uint64_t msi_pattern = 0;
    uint64_t reserved = 0;
};

/// A page table: root and format.
struct Table {
    uint64_t root = 0;
    unsigned mode = bare;
    bool narrow = false; ///< Sv32
    bool guest = false;  ///< second stage: a root of four pages
    bool big = false;    ///< big-endian

    unsigned levels() const
    {
        return narrow ? 2 : mode - 5;
    }
    unsigned shift(unsigned level) const // of level 1, 2, ...
    {
        return 12 + (level - 1) * (narrow ? 10 : 9);
    }
    uint64_t pointer() const
    {
        return riscv_test::pointer(mode, root);
    }
};

struct Request {
    uint64_t address = 0;
    unsigned flags = 0; ///< enum iom_request_flag
    uint32_t device = 5;
    uint32_t process = 0;
};

class Machine
{
  public:
    explicit Machine(const iom_riscv_config &configuration = full_config());
    Machine(const Machine &) = delete;
    Machine &operator=(const Machine &) = delete;

    void put(uint64_t address, uint64_t value);
    uint64_t get(uint64_t address) const;
    /// A zeroed stretch of pages, aligned to its size.
    uint64_t pages(unsigned count = 1);
    void mark(uint64_t address, iom_access access);

    /// Directory with `levels`; the device contexts that exist are written again.
    void directory(unsigned levels);
    /// Writes a context; returns its address.
    uint64_t device(const DeviceContext &context, uint32_t device_id = 5);

    Table table(unsigned mode, bool narrow = false, bool guest = false, bool big = false);
    /// Writes `value` as the entry of `level` for `address`, with tables down to it; returns the address of
    /// the entry. Tables of a first stage above `guest` get an identical page there.
    uint64_t map(const Table &table, uint64_t address, uint64_t value, unsigned level = 1,
                 const Table *guest = nullptr);
    /// Maps the page at `address` of a second stage to itself.
    uint64_t identity(const Table &guest, uint64_t address, uint64_t flags = open_page);
    /// Value of an entry (32 bits with Sv32).
    uint64_t entry_at(const Table &table, uint64_t address) const;
    void set_entry(const Table &table, uint64_t address, uint64_t value);

    iom_xlate translate(const Request &request);
    iom_xlate translate(uint64_t address, unsigned flags = 0)
    {
        return translate(Request{address, flags});
    }

    iom_riscv_config config;
    iom_arch arch{};
    iom_view view{};
    uint64_t updates = 0;        ///< compare-and-swaps that stored
    bool refuse_updates = false; ///< compare-and-swap finds no memory
    uint64_t disturb_at = 0;     ///< before the first update: this word ...
    uint64_t disturb_with = 0;   ///< ... gets these bits
    std::vector<uint64_t> reads; ///< addresses read by the last translation

  private:
    static iom_access read(void *self, uint64_t address, void *data, unsigned bytes);
    static iom_access swap(void *self, uint64_t address, uint64_t expected, uint64_t desired,
                           uint64_t *found);
    uint64_t directory_entry(uint32_t device_id);

    struct Destroy {
        void operator()(iom_memory_image *image) const
        {
            iom_memory_image_destroy(image);
        }
    };
    std::unique_ptr<iom_memory_image, Destroy> memory_;
    uint64_t next_page_ = 0x100000;
    unsigned levels_ = 1;
    std::map<uint32_t, DeviceContext> devices_;
};

uint64_t swap64(uint64_t value);

} // namespace riscv_test
