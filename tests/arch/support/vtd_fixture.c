// SPDX-License-Identifier: Apache-2.0
//
// A VT-d unit with memory and hand-written tables for tests; see vtd_fixture.h.
#include "tests/arch/support/vtd_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "tests/shim/gtest_c.h"

struct iom_vtd_features vtd_all_features(void)
{
    return (struct iom_vtd_features){
        .guest_address_bits = 57,
        .domain_bits = 16,
        .second_stage_levels = 0x38,
        .pasid_bits = 20,
        .max_address_mask = 18,
        .fault_records = 1,
        .second_stage_2m = true,
        .second_stage_1g = true,
        .scalable_mode = true,
        .second_stage = true,
        .first_stage = true,
        .first_stage_1g = true,
        .first_stage_5level = true,
        .nested = true,
        .pass_through = true,
        .pasid = true,
        .rid_pasid = true,
        .device_tlb = true,
        .page_requests = true,
        .supervisor_requests = true,
        .execute_requests = true,
        .extended_accessed = true,
        .second_stage_dirty = true,
        .coherent = true,
        .snoop_control = true,
        .queued_invalidation = true,
        .page_selective = true,
        .drain_reads = true,
        .drain_writes = true,
    };
}

void vtd_fixture_open(struct vtd_fixture *fixture, const struct iom_vtd_features *features)
{
    memset(fixture, 0, sizeof *fixture);
    IOM_EXPECT(iom_vtd_capabilities(features, &fixture->config.cap, &fixture->config.ecap) == NULL);
    fixture->config.haw_bits = 46;
    IOM_EXPECT(iom_vtd_config_finish(&fixture->config) == NULL);
    fixture->arch.ops = &iom_vtd_ops;
    fixture->arch.config = &fixture->config;
    fixture->state = calloc(1, iom_vtd_ops.state_bytes);
    iom_vtd_ops.reset(&fixture->arch, fixture->state);
    iom_vtd_ops.view(&fixture->arch, fixture->state, &fixture->view);
    fixture->memory = iom_memory_image_create();
    IOM_EXPECT(iom_memory_image_add_range(fixture->memory, 0x1000, VTD_RAM_END - 1));
}

void vtd_fixture_close(struct vtd_fixture *fixture)
{
    iom_memory_image_destroy(fixture->memory);
    free(fixture->state);
}

void vtd_put(struct vtd_fixture *fixture, uint64_t address, uint64_t value)
{
    IOM_EXPECT(iom_memory_image_write(fixture->memory, address, &value, 8));
}

uint64_t vtd_get(struct vtd_fixture *fixture, uint64_t address)
{
    uint64_t value = 0;
    IOM_EXPECT(iom_memory_image_read(fixture->memory, address, &value, 8));
    return value;
}

void vtd_register_write(struct vtd_fixture *fixture, uint32_t offset, unsigned bytes, uint64_t value)
{
    uint32_t actions = iom_vtd_ops.write(&fixture->arch, fixture->state, offset, bytes, value);
    if (actions >> IOM_ACTION_UPDATE_VIEW & 1) {
        iom_vtd_ops.view(&fixture->arch, fixture->state, &fixture->view);
        iom_vtd_ops.action_done(&fixture->arch, fixture->state, IOM_ACTION_UPDATE_VIEW);
    }
    if (actions >> IOM_ACTION_INVALIDATE & 1) {
        struct iom_invalidation invalidation;
        while (iom_vtd_ops.next_invalidation(&fixture->arch, fixture->state, &invalidation))
            continue;
        iom_vtd_ops.action_done(&fixture->arch, fixture->state, IOM_ACTION_INVALIDATE);
    }
}

uint64_t vtd_register_read(const struct vtd_fixture *fixture, uint32_t offset, unsigned bytes)
{
    return iom_vtd_ops.read(&fixture->arch, fixture->state, offset, bytes);
}

// ---- tables --------------------------------------------------------------------------------------

static void second_stage(struct vtd_fixture *fixture)
{
    vtd_put(fixture, VTD_SS4_WORD, VTD_SS3 | 3);
    vtd_put(fixture, VTD_SS3_WORD, VTD_SS2 | 3);
    vtd_put(fixture, VTD_SS2_WORD, VTD_SS1 | 3);
    vtd_put(fixture, VTD_SS1_WORD, VTD_PAGE | 3);
}

static void first_stage(struct vtd_fixture *fixture, uint64_t page)
{
    vtd_put(fixture, VTD_FS4_WORD, VTD_FS3 | 7);
    vtd_put(fixture, VTD_FS3_WORD, VTD_FS2 | 7);
    vtd_put(fixture, VTD_FS2_WORD, VTD_FS1 | 7);
    vtd_put(fixture, VTD_FS1_WORD, page | 7);
}

// Guest tables map to themselves, the guest page to VTD_PAGE.
static void nested_second_stage(struct vtd_fixture *fixture)
{
    vtd_put(fixture, VTD_SS4, VTD_SS3 | 3);
    vtd_put(fixture, VTD_SS3, VTD_SS2 | 3);
    vtd_put(fixture, VTD_SS2, VTD_SS1_TABLES | 3);
    vtd_put(fixture, VTD_SS2 + 9 * 8, VTD_SS1 | 3);
    for (uint64_t table = VTD_FS4; table <= VTD_FS1; table += 0x1000)
        vtd_put(fixture, VTD_NESTED_TABLE_WORD(table), table | 3);
    vtd_put(fixture, VTD_NESTED_PAGE_WORD, VTD_PAGE | 3);
}

static void scalable_tables(struct vtd_fixture *fixture, enum vtd_layout layout)
{
    static const uint64_t type[] = {[VTD_LAYOUT_SECOND] = 2,
                                    [VTD_LAYOUT_FIRST] = 1,
                                    [VTD_LAYOUT_NESTED] = 3,
                                    [VTD_LAYOUT_PASS_THROUGH] = 4};
    vtd_put(fixture, VTD_ROOT_WORD, VTD_CONTEXT | 1);
    // DTE, PASIDE, directory of 128 entries (PASIDs below 8192).
    vtd_put(fixture, VTD_SM_CONTEXT_WORD, VTD_PASID_DIR | 0xd);
    vtd_put(fixture, VTD_SM_CONTEXT_WORD + 8, VTD_RID_PASID);
    // Both PASIDs have index 5 in the same table.
    vtd_put(fixture, VTD_DIR_WORD, VTD_PASID_TABLE | 1);
    vtd_put(fixture, VTD_PASID_DIR + 1 * 8, VTD_PASID_TABLE | 1);
    // AW = 2 (4 levels), page walks snoop, supervisor and execute requests enabled, write protection.
    vtd_put(fixture, VTD_PASID_WORD, VTD_SS4 | type[layout] << 6 | 2 << 2 | 1);
    vtd_put(fixture, VTD_PASID_WORD + 8, VTD_DOMAIN | 1 << 23);
    vtd_put(fixture, VTD_PASID_WORD + 16, VTD_FS4 | 0x33);
}

void vtd_fixture_tables(struct vtd_fixture *fixture, enum vtd_layout layout)
{
    if (layout == VTD_LAYOUT_LEGACY) {
        vtd_put(fixture, VTD_ROOT_WORD, VTD_CONTEXT | 1);
        vtd_put(fixture, VTD_CONTEXT_WORD, VTD_SS4 | 1 << 2 | 1);
        vtd_put(fixture, VTD_CONTEXT_WORD + 8, VTD_DOMAIN << 8 | 2);
    } else {
        scalable_tables(fixture, layout);
    }
    if (layout == VTD_LAYOUT_NESTED)
        nested_second_stage(fixture);
    else
        second_stage(fixture);
    first_stage(fixture, layout == VTD_LAYOUT_NESTED ? VTD_GUEST_PAGE : VTD_PAGE);
    vtd_register_write(fixture, 0x20, 8, VTD_ROOT | (layout == VTD_LAYOUT_LEGACY ? 0 : 0x400));
    vtd_register_write(fixture, 0x18, 4, 0x40000000);
    vtd_register_write(fixture, 0x18, 4, 0x80000000);
}

// ---- translation ---------------------------------------------------------------------------------

static enum iom_access swap(void *context, uint64_t address, uint64_t expected, uint64_t desired,
                            uint64_t *found)
{
    struct vtd_fixture *fixture = context;
    if (fixture->refuse_updates)
        return IOM_ACCESS_REFUSED;
    if (fixture->disturb_with != 0) {
        vtd_put(fixture, fixture->disturb_at, vtd_get(fixture, fixture->disturb_at) | fixture->disturb_with);
        fixture->disturb_with = 0;
    }
    *found = vtd_get(fixture, address);
    if (*found == expected) {
        vtd_put(fixture, address, desired);
        fixture->updates++;
    }
    return IOM_ACCESS_OK;
}

static enum iom_access read(void *context, uint64_t address, void *data, unsigned bytes)
{
    return iom_access_if(
        iom_memory_image_read(((struct vtd_fixture *)context)->memory, address, data, bytes));
}

struct iom_xlate vtd_translate(struct vtd_fixture *fixture, uint64_t address, unsigned flags)
{
    struct iom_functional_memory memory = {.context = fixture, .read = read, .cas = swap};
    struct iom_xlate x;
    memset(&x, 0xa5, sizeof x); // whatever is not an input must not matter
    x.address = address;
    x.bytes = 8;
    x.source = VTD_SOURCE;
    x.pasid = VTD_PASID;
    x.flags = (uint16_t)flags;
    iom_translate_functional(&fixture->arch, &fixture->view, &memory, &x);
    return x;
}
