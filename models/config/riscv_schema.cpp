// SPDX-License-Identifier: Apache-2.0
//
// Keys of a RISC-V IOMMU; see riscv_settings.h.
#include "models/config/schema_sections.h"

namespace iommu_sim
{

namespace
{

// Rules of "IOMMU capabilities" between settings; those of the specification's text, not of one model.
void check_features(const RiscvFeatures &f, CheckReport &report)
{
    struct Need {
        bool has, needs;
        const char *key, *other;
    };
    const Need needs[] = {
        {f.sv57, f.sv48, "sv57", "sv48"},
        {f.sv48, f.sv39, "sv48", "sv39"},
        {f.sv57x4, f.sv48x4, "sv57x4", "sv48x4"},
        {f.sv48x4, f.sv39x4, "sv48x4", "sv39x4"},
        {f.msi_mrif, f.msi_flat, "msi_mrif", "msi_flat"},
        {f.amo_mrif, f.msi_mrif, "amo_mrif", "msi_mrif"},
        {f.t2gpa, f.ats, "t2gpa", "ats"},
        {!f.msi_interrupts, f.wired_interrupts, "msi_interrupts: false", "wired_interrupts"},
    };
    for (const Need &need : needs) {
        if (need.has && !need.needs)
            report.conflict({std::string(need.key).substr(0, std::string(need.key).find(':')), need.other},
                            std::string(need.key) + " needs " + need.other);
    }
}

Section<RiscvFeatures> features_section()
{
    using F = RiscvFeatures;
    Section<F> s;
    s.boolean("sv32", &F::sv32, "First-stage tables Sv32.");
    s.boolean("sv39", &F::sv39, "First-stage tables Sv39.");
    s.boolean("sv48", &F::sv48, "First-stage tables Sv48.");
    s.boolean("sv57", &F::sv57, "First-stage tables Sv57.");
    s.boolean("sv32x4", &F::sv32x4, "Second-stage tables Sv32x4.");
    s.boolean("sv39x4", &F::sv39x4, "Second-stage tables Sv39x4.");
    s.boolean("sv48x4", &F::sv48x4, "Second-stage tables Sv48x4.");
    s.boolean("sv57x4", &F::sv57x4, "Second-stage tables Sv57x4.");
    s.boolean("svpbmt", &F::svpbmt, "Page-based memory types.");
    s.boolean("svrsw60t59b", &F::svrsw60t59b, "Bits 60 and 59 of page-table entries are software's.");
    s.boolean("msi_flat", &F::msi_flat, "MSI page tables, and device contexts of 64 bytes for them.");
    s.boolean("msi_mrif", &F::msi_mrif, "Memory-resident interrupt files.");
    s.boolean("amo_mrif", &F::amo_mrif, "Atomic updates of memory-resident interrupt files.");
    s.boolean("amo_hwad", &F::amo_hwad, "Hardware sets accessed and dirty flags.");
    s.boolean("ats", &F::ats, "Address translation services and page requests.");
    s.boolean("t2gpa", &F::t2gpa, "Translation completions may bring guest-physical addresses.");
    s.boolean("both_endian", &F::both_endian, "In-memory structures in either byte order (END).");
    s.boolean("msi_interrupts", &F::msi_interrupts, "Interrupts of the IOMMU itself as messages.");
    s.boolean("wired_interrupts", &F::wired_interrupts, "Interrupts of the IOMMU itself on wires.");
    s.boolean("performance_monitor", &F::performance_monitor, "Performance counters (HPM).");
    s.boolean("debug", &F::debug, "Translations asked for through registers (DBG).");
    s.boolean("pd8", &F::pd8, "Process directories of one level, 8-bit process_id.");
    s.boolean("pd17", &F::pd17, "Process directories of two levels, 17-bit process_id.");
    s.boolean("pd20", &F::pd20, "Process directories of three levels, 20-bit process_id.");
    s.boolean("qos", &F::qos, "Quality-of-service identifiers.");
    s.boolean("non_leaf", &F::non_leaf, "Invalidation of non-leaf entries (NL).");
    s.boolean("range", &F::range, "Invalidation of address ranges (S).");
    s.check(check_features);
    return s;
}

Section<RiscvChoices> choices_section()
{
    using H = RiscvChoices;
    Section<H> s;
    s.boolean("cached_permissions", &H::cached_permissions,
              "Permissions are decided when an entry is used: one that does not suffice is kept and refuses; "
              "false: it is walked again.");
    s.boolean("no_process_contexts", &H::no_process_contexts,
              "No process directories: process ids are ignored, DC.tc.PDTV is refused.");
    s.boolean("skips_reserved_word", &H::skips_reserved_word,
              "The reserved last doubleword of an extended device context is not read.");
    return s;
}

Section<RiscvQuirks> quirks_section()
{
    using Q = RiscvQuirks;
    Section<Q> s;
    s.boolean("privilege_without_process", &Q::privilege_without_process,
              "Privilege counts without a process id.");
    s.boolean("fetch_as_read", &Q::fetch_as_read, "Execute requests are refused with the causes of reads.");
    s.boolean("execute_only_refused", &Q::execute_only_refused,
              "Pages without read permission are refused whatever is asked for.");
    s.boolean("sum_refuses_executable", &Q::sum_refuses_executable,
              "SUM does not open executable pages to supervisor requests.");
    s.boolean("no_guest_detail", &Q::no_guest_detail,
              "Guest-page faults of cached entries carry no iotval2.");
    s.boolean("implicit_dirty", &Q::implicit_dirty,
              "A write needs the dirty flag on second-stage pages of page tables too.");
    s.boolean("dirty_not_rechecked", &Q::dirty_not_rechecked,
              "A cached entry serves writes although its dirty flag was clear.");
    s.boolean("upper_address_ignored", &Q::upper_address_ignored,
              "Address bits above those the tables translate are ignored.");
    s.boolean("narrow_device_ids", &Q::narrow_device_ids,
              "The check of a device id's width takes base contexts for extended ones.");
    s.boolean("bypass_beats_refusal", &Q::bypass_beats_refusal,
              "A process id or privilege that is not allowed is recorded, and passes, where nothing is "
              "translated.");
    s.boolean(
        "process_directory_untranslated", &Q::process_directory_untranslated,
        "The root of a process directory is not translated by the second stage, its other tables from a "
        "root at 0.");
    s.boolean("superpage_address", &Q::superpage_address,
              "Wrong address bits where a small first-stage page lies in a large second-stage page.");
    s.boolean("fault_queue_full_32bit", &Q::fault_queue_full_32bit,
              "The fault queue's full test does not see a wrap, and hangs where it holds.");
    return s;
}

void check_ranges(const RiscvSettings &riscv, CheckReport &report)
{
    const auto power = [&](const char *key, uint64_t bytes) {
        if (!iom_is_power_of_two(bytes))
            report.conflict({key}, std::to_string(bytes) + " bytes are not a power of two");
    };
    power("bare_page", riscv.bare_page_bytes);
    power("bare_page_sv32", riscv.bare_page_sv32_bytes);
    const uint32_t bits = riscv.process_bits;
    if (bits != 0 && bits != 8 && bits != 17 && bits != 20)
        report.conflict({"process_bits"},
                        std::to_string(bits) + ": process directories have 8, 17 or 20 bits; 0 = none");
    if (bits != 0 && riscv.mode == RiscvMode::second_stage)
        report.conflict({"process_bits", "mode"}, "second-stage tables are those of devices, not processes");
    if (bits != 0 && riscv.mode == RiscvMode::pass_through)
        report.conflict({"process_bits", "mode"}, "pass-through needs no process directories");
}

/// Keys of the driver.
void add_driver_keys(Section<RiscvSettings> &s)
{
    using R = RiscvSettings;
    s.choice("mode", &R::mode,
             {{RiscvMode::first_stage, "first-stage"},
              {RiscvMode::second_stage, "second-stage"},
              {RiscvMode::nested, "nested"},
              {RiscvMode::pass_through, "pass-through"}},
             "How the driver sets up translation for the devices.");
    s.integer("first_stage_levels", &R::first_stage_levels, {3, 5}, "levels",
              "Depth of first-stage tables (Sv39, Sv48, Sv57).");
    s.integer("second_stage_levels", &R::second_stage_levels, {3, 5}, "levels",
              "Depth of second-stage tables (Sv39x4, Sv48x4, Sv57x4).");
    s.integer(
        "process_bits", &R::process_bits, {0, 20}, "bits",
        "Process directories that the driver builds, 8, 17 or 20; 0 = none, and no requests with PASID.");
    s.boolean("hardware_flags", &R::hardware_flags,
              "The driver leaves accessed and dirty flags to the hardware (tc.SADE, tc.GADE).");
}

} // namespace

Section<RiscvSettings> riscv_section()
{
    using R = RiscvSettings;
    constexpr uint64_t smallest_range = UINT64_C(1) << 12, largest_range = UINT64_C(1) << 48;
    Section<R> s;
    add_driver_keys(s);
    s.address("capabilities", &R::capabilities, {},
              "Capabilities register; 0 = derived from features and iommu.address_width.");
    s.section("features", &R::features, features_section(), "What the capabilities register announces.");
    s.section("choices", &R::choices, choices_section(), "What the specification leaves open.");
    s.section("quirks", &R::quirks, quirks_section(), "Deviations of real hardware (docs/timing.md).");
    s.integer("directory_levels", &R::directory_levels, {1, 3}, "levels",
              "Deepest device directory that ddtp.iommu_mode accepts; the driver builds it.");
    s.integer("device_id_bits", &R::device_id_bits, {6, 24}, "bits",
              "Width of device ids; commands that name a wider one are illegal.");
    s.integer("counters", &R::counters, {0, 32}, "counters",
              "Performance counters, the cycle counter included.");
    s.integer("counter_bits", &R::counter_bits, {1, 63}, "bits", "Width of an event counter.");
    s.integer("events", &R::events, {0, 32767}, "", "Largest event id a counter can be set to.");
    s.integer("vector_bits", &R::vector_bits, {0, 4}, "bits",
              "Writable bits of an interrupt vector number (icvec).");
    s.boolean("gxl_writable", &R::gxl_writable, "fctl.GXL can be changed.");
    s.boolean("be_writable", &R::be_writable, "fctl.BE can be changed.");
    s.size("bare_page", &R::bare_page_bytes, {smallest_range, largest_range},
           "Range that answers report for a stage that translates nothing.");
    s.size("bare_page_sv32", &R::bare_page_sv32_bytes, {smallest_range, largest_range},
           "Likewise where tables of Sv32 or Sv32x4 are the only ones.");
    s.integer("invalidation_tags", &R::invalidation_tags, {1, 32}, "requests",
              "Invalidation requests to devices under way at most; a command that finds none free waits.");
    s.check(check_ranges);
    return s;
}

} // namespace iommu_sim
