// SPDX-License-Identifier: Apache-2.0
//
// A RISC-V IOMMU's register file alone: configuration, register accesses, and what its operations hand out.
// Tests use register offsets and bits as the specification prints them, not the names of the code under test.
#pragma once

#include <optional>
#include <vector>

#include "core/arch/riscv/riscv.h"

namespace riscv_test
{

constexpr uint64_t bit(unsigned n)
{
    return uint64_t{1} << n;
}

constexpr uint64_t range(unsigned high, unsigned low)
{
    return (high == 63 ? ~uint64_t{0} : bit(high + 1) - 1) & ~(bit(low) - 1);
}

/// Bits of the capabilities register.
enum Capability : unsigned {
    msi_flat = 22,
    ats = 25,
    end = 27,
    igs = 28, // 2 bits: 0 MSI, 1 WSI, 2 both
    hpm = 30,
    dbg = 31,
    pas = 32, // 6 bits
    pd8 = 38,
    pd17 = 39,
    pd20 = 40,
    qosid = 41,
    nl = 42,
    s = 43,
};

/// Everything there is, messages and wires, 56-bit physical addresses.
constexpr uint64_t all_capabilities = 0x10 | range(11, 8) | range(19, 15) | range(26, 21) | bit(end) |
                                      bit(igs + 1) | bit(hpm) | bit(dbg) | uint64_t{56} << pas | bit(pd8) |
                                      bit(pd17) | bit(pd20) | bit(qosid) | bit(nl) | bit(s);

inline iom_riscv_config full_config()
{
    iom_riscv_config config{};
    config.capabilities = all_capabilities;
    config.gxl_writable = true;
    config.be_writable = true;
    config.max_mode = 4;
    config.device_id_mask = 0xffffff;
    config.counters = 5;
    config.counter_bits = 40;
    config.events = 8;
    config.vector_bits = 4;
    config.bare_page_sv32_log2 = config.bare_page_log2 = 12;
    config.invalidation_tags = 8;
    return config;
}

class Registers
{
  public:
    explicit Registers(const iom_riscv_config &configuration = full_config()) : config(configuration)
    {
        arch.ops = &iom_riscv_ops;
        arch.config = &config;
        arch.iommu = 3;
        state_.resize((iom_riscv_ops.state_bytes + 7) / 8);
        iom_riscv_ops.reset(&arch, state());
    }
    Registers(const Registers &) = delete;
    Registers &operator=(const Registers &) = delete;

    void *state()
    {
        return state_.data();
    }
    uint64_t read(uint32_t offset, unsigned bytes)
    {
        return iom_riscv_ops.read(&arch, state(), offset, bytes);
    }
    /// Returns the actions asked for.
    uint32_t write(uint32_t offset, unsigned bytes, uint64_t value)
    {
        return iom_riscv_ops.write(&arch, state(), offset, bytes, value);
    }
    iom_view view()
    {
        iom_view result;
        iom_riscv_ops.view(&arch, state(), &result);
        return result;
    }
    void done(iom_register_action action)
    {
        iom_riscv_ops.action_done(&arch, state(), action);
    }
    std::optional<iom_register_store> next_store()
    {
        iom_register_store store{};
        if (!iom_riscv_ops.next_store(&arch, state(), &store))
            return std::nullopt;
        return store;
    }
    void store_done(const iom_register_store &store, iom_access access = IOM_ACCESS_OK)
    {
        iom_riscv_ops.store_done(&arch, state(), &store, access);
    }
    /// Has all stores carried out and returns them.
    std::vector<iom_register_store> carry_out()
    {
        std::vector<iom_register_store> stores;
        while (auto store = next_store()) {
            stores.push_back(*store);
            store_done(*store);
        }
        return stores;
    }
    std::optional<iom_page_response> next_response()
    {
        iom_page_response response{};
        if (!iom_riscv_ops.next_response(&arch, state(), &response))
            return std::nullopt;
        return response;
    }
    bool record(const iom_fault &fault)
    {
        return iom_riscv_ops.record(&arch, state(), &fault);
    }
    bool page_request(const iom_page_request &request)
    {
        return iom_riscv_ops.page_request(&arch, state(), &request);
    }
    iom_queue_setup queue()
    {
        iom_queue_setup setup{};
        iom_riscv_ops.queue(&arch, state(), &setup);
        return setup;
    }
    uint32_t queue_event(iom_queue_event_kind kind, uint32_t head = 0, uint32_t generation_offset = 0)
    {
        iom_queue_event event{};
        event.kind = static_cast<uint8_t>(kind);
        event.head = head;
        event.generation = queue().generation + generation_offset;
        return iom_riscv_ops.queue_event(&arch, state(), &event);
    }
    void count(const iom_event &event)
    {
        iom_riscv_ops.count(&arch, state(), &event);
    }
    void time(iom_cycle now)
    {
        iom_riscv_ops.time(&arch, state(), now);
    }
    iom_cycle wake()
    {
        return iom_riscv_ops.wake(&arch, state());
    }

    iom_riscv_config config;
    iom_arch arch{};

  private:
    std::vector<uint64_t> state_;
};

} // namespace riscv_test
