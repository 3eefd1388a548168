// SPDX-License-Identifier: Apache-2.0
//
// The importer on captures of real drivers.
//
// Expected counts of the captures were taken with awk and grep from the logs (the commands stand in the
// tests), not from the importer. Order is checked against the host log itself, read here by other means.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/traffic/import_fixture.hpp"
#include "traffic/import.h"

namespace
{

using namespace import_fixture;

const char *const nvme_device = "0000:00:04.0";
constexpr uint32_t nvme_id = 0x20;

// ---------------------------------------------------------------------------------------------------
// The main sample

TEST(Import, randread_counts_are_those_of_the_logs)
{
    Result r;
    import_capture("vtd-legacy-strict/randread-4k-qd32", r);
    // zstdcat guest | grep -c ': map: ' and ': unmap: '; grep -c qi_submit; wc -l
    EXPECT_EQ(r[IOM_IMPORT_guest_lines], 18014u);
    EXPECT_EQ(r[IOM_IMPORT_guest_maps], 2000u);
    EXPECT_EQ(r[IOM_IMPORT_guest_unmaps], 2000u);
    EXPECT_EQ(r[IOM_IMPORT_guest_invalidations], 2000u);
    // zstdcat host | grep -c vtd_dmar_translate, pci_nvme_io_cmd, ...; grep 'vtd_inv_desc inv' | grep -vc
    // wait
    EXPECT_EQ(r[IOM_IMPORT_host_lines], 55143u);
    EXPECT_EQ(r[IOM_IMPORT_host_translations], 14064u);
    EXPECT_EQ(r[IOM_IMPORT_commands], 2000u);
    EXPECT_EQ(r[IOM_IMPORT_completions], 2000u);
    EXPECT_EQ(r[IOM_IMPORT_host_invalidations], 2000u);
    // grep -cE 'vtd_ir_|vtd_warn_ir'
    EXPECT_EQ(r[IOM_IMPORT_interrupt_lines], 933u);
    EXPECT_EQ(r[IOM_IMPORT_paired_invalidations], 2000u);
    // comm -13 of the sorted pages of the map events and of the translations
    EXPECT_EQ(r[IOM_IMPORT_synthetic_pages], 22u);
    EXPECT_EQ(r[IOM_IMPORT_placeholder_pages], 0u);
    EXPECT_EQ(r[IOM_IMPORT_unknown_lines], 0u);
    EXPECT_EQ(r[IOM_IMPORT_lost_events], 0u);
    EXPECT_EQ(r[IOM_IMPORT_unclassified_dma], 0u);
    EXPECT_EQ(r[IOM_IMPORT_assumed_direction], 0u);
    EXPECT_EQ(r[IOM_IMPORT_dma_without_map], 0u);
    EXPECT_EQ(r[IOM_IMPORT_dma_disagreeing], 0u);
    EXPECT_EQ(r[IOM_IMPORT_untranslated_data_bytes], 0u);
    EXPECT_EQ(r[IOM_IMPORT_maps_never_unmapped], 0u);
    EXPECT_EQ(r[IOM_IMPORT_deferred_unmaps], 0u);
    EXPECT_EQ(r[IOM_IMPORT_queue_depth], 32u) << "the workload's name says so";
    EXPECT_EQ(iom_import_header(r.import)->queue_depth, 32u);
    EXPECT_EQ(iom_import_header(r.import)->arch, IOM_TRACE_ARCH_VTD);
    ASSERT_EQ(iom_import_header(r.import)->list[IOM_TRACE_DEVICES].count, 1u);
    EXPECT_STREQ(iom_import_header(r.import)->list[IOM_TRACE_DEVICES].entry[0].text, nvme_device);
    EXPECT_EQ(iom_trace_check_total(&r.check), 0u);
    EXPECT_EQ(r.records.size(), r[IOM_IMPORT_records]);
}

TEST(Import, every_operation_is_a_whole_nvme_read)
{
    Result r;
    import_capture("vtd-legacy-strict/randread-4k-qd32", r);
    struct Op {
        unsigned maps = 0, unmaps = 0, fetches = 0, completions = 0, doorbells = 0;
        uint64_t data = 0, mapped = 0, target = 0;
        bool ordered = true;
        bool ended = false;
    };
    std::map<uint64_t, Op> ops;
    for (const iom_trace_record &record : r.records) {
        if (record.op == 0)
            continue;
        Op &op = ops[record.op];
        EXPECT_FALSE(op.ended);
        switch (record.kind) {
        case IOM_TRACE_OP_BEGIN:
            EXPECT_EQ(record.device, nvme_id);
            EXPECT_EQ(record.opcode, 2) << "NVMe read";
            EXPECT_EQ(record.bytes, 4096u);
            break;
        case IOM_TRACE_MAP:
            op.maps++;
            op.mapped = record.iova;
            op.ordered &= op.fetches == 0;
            EXPECT_EQ(record.flags, IOM_TRACE_WRITE) << "FROM_DEVICE";
            break;
        case IOM_TRACE_UNMAP:
            op.unmaps++;
            EXPECT_EQ(record.iova, op.mapped);
            op.ordered &= op.completions == 1;
            break;
        case IOM_TRACE_OP_END:
            op.ended = true;
            break;
        case IOM_TRACE_DMA:
            EXPECT_EQ(record.device, nvme_id);
            if (record.detail == IOM_TRACE_DMA_DATA) {
                EXPECT_EQ(record.iova, op.mapped + op.data) << "ascending, without gaps";
                EXPECT_EQ(record.bytes, 256u) << "the default maximum payload";
                EXPECT_EQ(record.flags, IOM_TRACE_WRITE) << "a read command writes memory";
                op.ordered &= op.fetches == 1 && op.completions == 0;
                op.data += record.bytes;
            } else if (record.detail == IOM_TRACE_DMA_COMPLETION) {
                EXPECT_EQ(record.bytes, 16u);
                EXPECT_EQ(record.flags, IOM_TRACE_WRITE);
                op.ordered &= op.data == 4096;
                op.completions++;
            } else if (record.bytes == 64) {
                EXPECT_EQ(record.flags, IOM_TRACE_READ);
                EXPECT_EQ(record.iova % 64, 0u);
                op.fetches++;
            } else {
                EXPECT_EQ(record.bytes, 4u);
                // The doorbell pages are the sample's: shadow 0xffffd000 is read, event index 0xffffc000
                // written (QEMU hw/nvme/ctrl.c: nvme_update_sq_eventidx writes, nvme_update_sq_tail reads).
                EXPECT_EQ(record.flags, record.iova >> 12 == 0xffffd ? IOM_TRACE_READ : IOM_TRACE_WRITE);
                op.doorbells++;
            }
            break;
        default:
            break;
        }
    }
    ASSERT_EQ(ops.size(), 2000u);
    unsigned doorbells = 0;
    for (const auto &[id, op] : ops) {
        EXPECT_TRUE(op.maps == 1 && op.unmaps == 1 && op.fetches == 1 && op.completions == 1 &&
                    op.data == 4096 && op.ordered && op.ended)
            << "op " << id;
        doorbells += op.doorbells;
    }
    // 14064 translations = 2000 entries + 2000 data + 2000 completions + doorbells
    EXPECT_EQ(doorbells, 14064u - 3 * 2000u);
}

/// Positions of unmaps among the DMAs as the host log itself tells them: for each invalidation in
/// order, how many translations come before it.
std::vector<uint64_t> translations_before_invalidations(const std::string &host)
{
    std::vector<uint64_t> before;
    uint64_t count = 0;
    std::istringstream lines(host);
    for (std::string line; std::getline(lines, line);) {
        if (line.find(":vtd_dmar_translate ") != std::string::npos)
            count++;
        else if (line.find(":vtd_inv_desc ") != std::string::npos &&
                 line.find("type wait") == std::string::npos)
            before.push_back(count);
    }
    return before;
}

TEST(Import, unmaps_stand_where_the_host_invalidated)
{
    Result r;
    import_capture("vtd-legacy-strict/randread-4k-qd32", r);
    const auto expected =
        translations_before_invalidations(unpacked("vtd-legacy-strict/randread-4k-qd32.host.qemu.log.zst"));
    uint64_t translations = 0;
    size_t unmap = 0;
    for (const iom_trace_record &record : r.records) {
        // Data is cut into 16 pieces of which only the first is page aligned.
        if (record.kind == IOM_TRACE_DMA && (record.detail != IOM_TRACE_DMA_DATA || record.iova % 4096 == 0))
            translations++;
        if (record.kind == IOM_TRACE_UNMAP) {
            ASSERT_LT(unmap, expected.size());
            ASSERT_EQ(translations, expected[unmap]) << "unmap " << unmap;
            unmap++;
        }
    }
    EXPECT_EQ(unmap, expected.size());
    EXPECT_EQ(translations, 14064u);
}

TEST(Import, guest_times_are_kept)
{
    Result r;
    import_capture("vtd-legacy-strict/seqread-4k-qd1", r);
    // grep ': map: ' | sed -n '1p;$p': with one operation at a time each map is placed at its own time.
    std::istringstream lines(unpacked("vtd-legacy-strict/seqread-4k-qd1.guest.ftrace.txt.zst"));
    std::vector<uint64_t> times;
    for (std::string line; std::getline(lines, line);) {
        const size_t at = line.find(": map: IOMMU");
        if (at == std::string::npos)
            continue;
        const size_t begin = line.rfind(' ', at) + 1;
        times.push_back(static_cast<uint64_t>(std::llround(std::stod(line.substr(begin, at - begin)) * 1e6)) *
                        1000);
    }
    ASSERT_EQ(times.size(), 500u);
    size_t map = 0;
    size_t exact = 0;
    uint64_t last = 0;
    for (const iom_trace_record &record : r.records) {
        EXPECT_GE(record.time, last);
        last = record.time;
        if (record.kind == IOM_TRACE_MAP && !(record.flags & IOM_TRACE_SYNTHETIC))
            exact += record.time == times[map++];
    }
    EXPECT_EQ(map, 500u);
    EXPECT_GE(exact, 490u) << "a map may move behind a host event of the same microsecond";
    EXPECT_EQ(r[IOM_IMPORT_queue_depth], 1u);
}

// ---------------------------------------------------------------------------------------------------
// Other captures

TEST(Import, every_capture_imports_and_checks)
{
    // DMA to unmapped pages faults on VT-d; nothing else may be unmapped.
    for (const char *name :
         {"vtd-legacy-strict/seqread-4k-qd1", "vtd-legacy-strict/vfio", "vtd-legacy-lazy/unbind",
          "smmuv3-strict-vfio/vfio", "amdvi-strict/probe", "virtio-iommu-strict/probe"}) {
        Result r;
        import_capture(name, r);
        EXPECT_EQ(iom_trace_check_total(&r.check), 0u) << name;
        EXPECT_EQ(r[IOM_IMPORT_unknown_lines], 0u) << name;
        EXPECT_EQ(r[IOM_IMPORT_unattributed_maps], 0u) << name;
        EXPECT_EQ(r.check.summary.kinds[IOM_TRACE_UNMAP], r[IOM_IMPORT_guest_unmaps]) << name;
        EXPECT_EQ(r.check.summary.kinds[IOM_TRACE_MAP],
                  r[IOM_IMPORT_guest_maps] + r[IOM_IMPORT_synthetic_maps])
            << name;
    }
}

TEST(Import, architectures_are_recognised)
{
    const struct {
        const char *name;
        iom_trace_arch arch;
        uint64_t maps, unmaps, translations; // grep -c on both logs
    } cases[] = {
        {"vtd-legacy-strict/vfio", IOM_TRACE_ARCH_VTD, 247, 248, 58},
        {"smmuv3-strict-vfio/vfio", IOM_TRACE_ARCH_SMMUV3, 242, 243, 42},
        {"amdvi-strict/probe", IOM_TRACE_ARCH_AMDVI, 36, 26, 193},
        {"virtio-iommu-strict/probe", IOM_TRACE_ARCH_VIRTIO, 36, 26, 193},
    };
    for (const auto &c : cases) {
        Result r;
        import_capture(c.name, r);
        EXPECT_EQ(iom_import_header(r.import)->arch, c.arch) << c.name;
        EXPECT_EQ(r[IOM_IMPORT_guest_maps], c.maps) << c.name;
        EXPECT_EQ(r[IOM_IMPORT_guest_unmaps], c.unmaps) << c.name;
        EXPECT_EQ(r[IOM_IMPORT_host_translations], c.translations) << c.name;
    }
}

TEST(Import, faults_of_the_recording_are_marked)
{
    Result r;
    import_capture("vtd-legacy-strict/vfio", r);
    EXPECT_EQ(r[IOM_IMPORT_host_faults], 32u); // grep -c vtd_dmar_fault
    EXPECT_EQ(r.check.summary.faulted, 32u);
    std::set<uint64_t> pages; // grep vtd_dmar_fault | awk '{print $6}' | cut -c1-5 | sort -u
    for (const iom_trace_record &record : r.records)
        if (record.flags & IOM_TRACE_FAULTED && record.kind == IOM_TRACE_DMA)
            pages.insert(record.iova >> 12);
    EXPECT_FALSE(pages.empty());
}

TEST(Import, trace_cmd_report_gives_the_same_trace)
{
    const std::string host = unpacked("vtd-legacy-strict/vfio.host.qemu.log.zst");
    Result cat;
    Result report;
    import_capture("vtd-legacy-strict/vfio", cat);
    import(unpacked("vtd-legacy-strict/vfio.guest.report.txt.zst"), &host, defaults(), report);
    ASSERT_NE(report.import, nullptr) << report.error;
    ASSERT_EQ(report.records.size(), cat.records.size());
    for (size_t i = 0; i < cat.records.size(); i++)
        ASSERT_EQ(std::memcmp(&report.records[i], &cat.records[i], sizeof cat.records[i]), 0)
            << "record " << i;
}

TEST(Import, a_log_that_began_later_is_aligned_by_content)
{
    const std::string guest = unpacked("vtd-legacy-strict/randread-4k-qd32.guest.ftrace.txt.zst");
    const std::string host = unpacked("vtd-legacy-strict/randread-4k-qd32.host.qemu.log.zst");
    const std::string late_host = host.substr(host.find('\n', host.size() / 3) + 1);
    const std::string late_guest = guest.substr(guest.find('\n', guest.size() / 3) + 1);
    Result a;
    import(guest, &late_host, defaults(), a);
    ASSERT_NE(a.import, nullptr) << a.error;
    EXPECT_EQ(a[IOM_IMPORT_paired_invalidations], a[IOM_IMPORT_host_invalidations]);
    EXPECT_EQ(iom_trace_check_total(&a.check), 0u);
    Result b;
    import(late_guest, &host, defaults(), b);
    ASSERT_NE(b.import, nullptr) << b.error;
    EXPECT_EQ(b[IOM_IMPORT_paired_invalidations], b[IOM_IMPORT_guest_invalidations]);
    EXPECT_EQ(iom_trace_check_total(&b.check), 0u);
    EXPECT_GT(b[IOM_IMPORT_dropped_outside], 0u);
}

TEST(Import, logs_of_different_runs_are_refused)
{
    const std::string host = unpacked("vtd-legacy-strict/vfio.host.qemu.log.zst");
    Result r;
    import(unpacked("vtd-legacy-strict/randread-4k-qd32.guest.ftrace.txt.zst"), &host, defaults(), r);
    EXPECT_EQ(r.import, nullptr);
    EXPECT_NE(r.error.find("do not belong together: of 2000 guest and 251 host commands"), std::string::npos)
        << r.error;
}

TEST(Import, the_guest_log_alone_gives_operations)
{
    Result r;
    import(unpacked("vtd-legacy-strict/randread-4k-qd32.guest.ftrace.txt.zst"), nullptr, defaults(), r);
    ASSERT_NE(r.import, nullptr) << r.error;
    EXPECT_EQ(r[IOM_IMPORT_op_records], 2000u) << "one for each dma_map_page";
    EXPECT_EQ(r.check.summary.written_bytes, 2000u * 4096) << "FROM_DEVICE";
    EXPECT_EQ(r.check.summary.read_bytes, 0u);
    EXPECT_EQ(r[IOM_IMPORT_queue_depth], 32u);
    EXPECT_EQ(iom_trace_check_total(&r.check), 0u);
}

TEST(Import, one_device_can_be_kept)
{
    iom_import_options options = defaults();
    options.device = 0x100; // 01:00.0, virtio-blk
    Result r;
    import_capture("vtd-legacy-lazy/unbind", r, options);
    for (const iom_trace_record &record : r.records)
        EXPECT_TRUE(record.kind == IOM_TRACE_MARK || record.device == 0x100u);
    EXPECT_GT(r[IOM_IMPORT_dropped_other_devices], 1000u);
}

TEST(Import, payload_size_cuts_data)
{
    for (const uint32_t mps : {128u, 512u, 4096u}) {
        iom_import_options options = defaults();
        options.mps_bytes = mps;
        Result r;
        import_capture("vtd-legacy-strict/seqread-4k-qd1", r, options);
        EXPECT_EQ(r.check.summary.dma_classes[IOM_TRACE_DMA_DATA], 500u * 4096 / mps);
        EXPECT_EQ(iom_trace_check_total(&r.check), 0u);
    }
    iom_import_options options = defaults();
    for (const uint32_t mps : {0u, 64u, 300u, 8192u}) {
        options.mps_bytes = mps;
        Result r;
        import(unpacked("vtd-legacy-strict/seqread-4k-qd1.guest.ftrace.txt.zst"), nullptr, options, r);
        EXPECT_NE(r.error.find("--mps"), std::string::npos);
    }
}

} // namespace
