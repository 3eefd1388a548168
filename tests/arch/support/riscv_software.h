// SPDX-License-Identifier: Apache-2.0
//
// The software side of a RISC-V IOMMU with a host for it (table_host.h), and the translations that its tables
// give.
#pragma once

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "core/arch/riscv/riscv_tables.h"
#include "core/memory_image.h"
#include "core/walk.h"
#include "tests/arch/support/riscv_registers.h"
#include "tests/arch/support/table_host.h"

namespace riscv_test
{

constexpr uint64_t software_ram = uint64_t{1} << 32;

class Software : public tables_test::TableHost
{
  public:
    explicit Software(const iom_riscv_software_settings &settings,
                      const iom_riscv_config &configuration = full_config())
        : registers(configuration), image_(iom_memory_image_create())
    {
        EXPECT_EQ(iom_riscv_config_finish(&registers.config), nullptr);
        EXPECT_TRUE(iom_memory_image_add_range(image_, 0, software_ram - 1));
        const iom_software_config config = {&registers.arch, &settings};
        const iom_software_host host = tables_in(image_);
        software_ = iom_riscv_software_ops.create(&config, &host, &error);
    }
    ~Software()
    {
        iom_riscv_software_ops.destroy(software_);
        iom_memory_image_destroy(image_);
    }
    Software(const Software &) = delete;
    Software &operator=(const Software &) = delete;

    iom_software *get() const
    {
        return software_;
    }

    /// Programs the registers as the builder says; polls must hold once the hardware has done its part.
    void start()
    {
        std::vector<iom_register_write> list(ops.startup(software_, nullptr, 0));
        ops.startup(software_, list.data(), list.size());
        for (const iom_register_write &write : list) {
            const uint32_t actions = registers.write(write.offset, write.bytes, write.value);
            for (const iom_register_action action : {IOM_ACTION_UPDATE_VIEW, IOM_ACTION_INVALIDATE}) {
                if ((actions & 1u << action) != 0)
                    registers.done(action);
            }
            if (write.poll_bytes != 0) {
                EXPECT_EQ(registers.read(write.poll_offset, write.poll_bytes) & write.poll_mask,
                          write.poll_value)
                    << "register " << write.offset;
            }
        }
    }

    iom_xlate translate(uint64_t address, unsigned flags, uint32_t source, uint32_t pasid = IOM_NO_PASID)
    {
        iom_xlate x = tables_test::make_request(address, flags, source, pasid);
        const iom_view view = registers.view();
        const iom_functional_memory memory = {this, read, swap};
        iom_translate_functional(&registers.arch, &view, &memory, &x);
        return x;
    }

    /// What the walks of a request put into caches: look-up and tag.
    std::vector<std::pair<uint8_t, iom_tag>> fills(uint64_t address, uint32_t source,
                                                   uint32_t pasid = IOM_NO_PASID)
    {
        const iom_arch &arch = registers.arch;
        const iom_view view = registers.view();
        std::vector<std::pair<uint8_t, iom_tag>> result;
        iom_xlate x = tables_test::make_request(address, 0, source, pasid);
        for (arch.ops->enter(&arch, &view, &x); x.next != IOM_LOOKUP_DONE;) {
            iom_walk walk = {};
            walk.x = x;
            walk.what = x.next;
            arch.ops->walk_start(&arch, &view, &walk);
            while (walk.action != IOM_WALK_DONE) {
                walk.probe.hit_level = 0;
                if (walk.action == IOM_WALK_READ)
                    walk.access_error = static_cast<uint8_t>(read(this, walk.address, walk.data, walk.bytes));
                arch.ops->walk_step(&arch, &view, &walk);
            }
            if (walk.fill.valid)
                result.emplace_back(walk.what, walk.fill.tag);
            x = walk.x;
        }
        return result;
    }

    uint64_t word(uint64_t address) const
    {
        uint64_t value = 0;
        EXPECT_TRUE(iom_memory_image_read(image_, address, &value, sizeof value));
        return value;
    }

    const iom_software_ops &ops = iom_riscv_software_ops;
    Registers registers;
    const char *error = nullptr;
    uint64_t updates = 0; ///< accessed and dirty bits set by hardware

  private:
    static iom_access read(void *context, uint64_t address, void *data, unsigned bytes)
    {
        return iom_access_if(
            iom_memory_image_read(static_cast<Software *>(context)->image_, address, data, bytes));
    }
    static iom_access swap(void *context, uint64_t address, uint64_t expected, uint64_t desired,
                           uint64_t *found)
    {
        auto *self = static_cast<Software *>(context);
        *found = self->word(address);
        if (*found == expected) {
            EXPECT_TRUE(iom_memory_image_write(self->image_, address, &desired, sizeof desired));
            self->updates++;
        }
        return IOM_ACCESS_OK;
    }

    iom_memory_image *image_;
    iom_software *software_ = nullptr;
};

} // namespace riscv_test
