// SPDX-License-Identifier: Apache-2.0
//
// The importer on captures of real drivers and on small logs written by hand.
//
// Expected counts of the captures were taken with awk and grep from the logs (the commands stand in the
// tests), not from the importer. Order is checked against the host log itself, read here by other means.
#include <gtest/gtest.h>
#include <zstd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/rng.h"
#include "traffic/import.h"
#include "traffic/trace_check.h"

namespace
{

using Records = std::vector<iom_trace_record>;

const char *const nvme_device = "0000:00:04.0";
constexpr uint32_t nvme_id = 0x20;

std::string capture(const std::string &name)
{
    return std::string(IOM_SOURCE_DIR) + "/tests/data/traces/" + name;
}

/// A capture as text.
std::string unpacked(const std::string &name)
{
    std::ifstream file(capture(name), std::ios::binary);
    const std::string packed((std::istreambuf_iterator<char>(file)), {});
    const auto bytes = ZSTD_getFrameContentSize(packed.data(), packed.size());
    std::string text;
    if (bytes != ZSTD_CONTENTSIZE_UNKNOWN && bytes != ZSTD_CONTENTSIZE_ERROR) {
        text.resize(bytes);
        ZSTD_decompress(text.data(), text.size(), packed.data(), packed.size());
        return text;
    }
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {packed.data(), packed.size(), 0};
    std::vector<char> part(1 << 16);
    while (in.pos < in.size) {
        ZSTD_outBuffer out = {part.data(), part.size(), 0};
        if (ZSTD_isError(ZSTD_decompressStream(stream, &out, &in)))
            break;
        text.append(part.data(), out.pos);
    }
    ZSTD_freeDStream(stream);
    return text;
}

struct Result {
    iom_import *import = nullptr;
    std::string error;
    Records records;
    iom_trace_check check = {};

    Result() = default;
    Result(const Result &) = delete;
    Result &operator=(const Result &) = delete;
    ~Result()
    {
        iom_import_free(import);
    }
    uint64_t operator[](iom_import_count count) const
    {
        return import == nullptr ? 0 : iom_import_get(import, count);
    }
};

/// Reads back what an import writes.
void read_back(const void *trace, size_t bytes, Result &result)
{
    iom_trace_error error;
    iom_trace_reader *reader = iom_trace_reader_open_memory(trace, bytes, "t", &error);
    ASSERT_NE(reader, nullptr) << error.text;
    iom_trace_record record;
    int got;
    while ((got = iom_trace_read(reader, &record, &error)) == 1)
        result.records.push_back(record);
    iom_trace_reader_close(reader);
    ASSERT_EQ(got, 0) << error.text;
    reader = iom_trace_reader_open_memory(trace, bytes, "t", &error);
    ASSERT_EQ(iom_trace_check_all(reader, &result.check, &error), 0) << error.text;
    iom_trace_reader_close(reader);
}

void import(const std::string &guest, const std::string *host, const iom_import_options &options,
            Result &result)
{
    const iom_import_source sources[] = {
        {"g.txt", guest.data(), guest.size()},
        {"h.log", host != nullptr ? host->data() : nullptr, host != nullptr ? host->size() : 0}};
    iom_trace_error error = {};
    result.import = iom_import_logs(sources, host != nullptr ? 2 : 1, &options, &error);
    result.error = error.text;
    void *trace = nullptr;
    size_t bytes = 0;
    const int status =
        iom_import_buffer(guest.data(), guest.size(), host != nullptr ? host->data() : nullptr,
                          host != nullptr ? host->size() : 0, &options, &trace, &bytes, &error);
    ASSERT_EQ(status == 0, result.import != nullptr);
    if (status == 0)
        read_back(trace, bytes, result);
    std::free(trace);
}

iom_import_options defaults()
{
    iom_import_options options;
    iom_import_options_init(&options);
    return options;
}

void import_capture(const std::string &name, Result &result, iom_import_options options = defaults())
{
    const std::string host = unpacked(name + ".host.qemu.log.zst");
    import(unpacked(name + ".guest.ftrace.txt.zst"), &host, options, result);
    ASSERT_NE(result.import, nullptr) << result.error;
}

std::string failure(const std::string &guest, const std::string &host = "")
{
    Result result;
    import(guest, host.empty() ? nullptr : &host, defaults(), result);
    return result.error;
}

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
        times.push_back(static_cast<uint64_t>(std::stod(line.substr(begin, at - begin)) * 1e6 + 0.5) * 1000);
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
        if (record.kind != IOM_TRACE_MARK)
            EXPECT_EQ(record.device, 0x100u);
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

// ---------------------------------------------------------------------------------------------------
// Logs written by hand

const std::string guest_head = "# tracer: nop\n#\n";

std::string guest_line(double seconds, const std::string &event)
{
    char text[512];
    std::snprintf(text, sizeof text, "          <idle>-0       [001] d.h1.  %.6f: %s\n", seconds,
                  event.c_str());
    return text;
}

std::string host_line(unsigned us, const std::string &event)
{
    char text[512];
    std::snprintf(text, sizeof text, "77@1795188395.%06u:%s\n", us, event.c_str());
    return text;
}

std::string access(unsigned us, uint64_t iova, uint64_t address)
{
    char text[512];
    std::snprintf(text, sizeof text,
                  "vtd_iotlb_page_hit IOTLB page hit sid 0x20 iova 0x%" PRIx64 " slpte 0x%" PRIx64
                  " domain 0x3",
                  iova, (address & ~UINT64_C(0xfff)) | 3);
    std::string lines = host_line(us, text);
    std::snprintf(text, sizeof text,
                  "vtd_dmar_translate dev 00:04.00 iova 0x%" PRIx64 " -> gpa 0x%" PRIx64 " mask 0xfff",
                  iova & ~UINT64_C(0xfff), address & ~UINT64_C(0xfff));
    return lines + host_line(us, text);
}

TEST(Import, a_write_with_a_prp_list)
{
    // 16 KiB write: PRP 1 directly, three more pages in a list; data begins in mid-page.
    std::string guest = guest_head;
    guest += guest_line(
        1.0, "map: IOMMU: iova=0x0000000000100000 - 0x0000000000105000 paddr=0x0000000000500000 size=20480");
    guest += guest_line(
        1.000001,
        "dma_map_page: 0000:00:04.0 dir=TO_DEVICE dma_addr=100200 size=16384 phys_addr=500200 attrs=");
    guest += guest_line(
        1.1, "unmap: IOMMU: iova=0x0000000000100000 - 0x0000000000105000 size=20480 unmapped_size=20480");
    guest += guest_line(1.100001, "qi_submit: iotlb_inv dmar0: 0x300f2 0x100043 0x0 0x0");
    std::string host =
        access(10, 0xff040, 0x9000040) +
        host_line(11, "pci_nvme_io_cmd cid 7 nsid 0x1 sqid 1 opc 0x1 opname 'NVME_NVM_CMD_WRITE'");
    host += host_line(12, "pci_nvme_map_addr addr 0x100200 len 3584") + access(13, 0xfe100, 0x9001100);
    host += host_line(14, "pci_nvme_map_addr addr 0x101000 len 4096") +
            host_line(14, "pci_nvme_map_addr addr 0x102000 len 4096");
    host += host_line(14, "pci_nvme_map_addr addr 0x103000 len 4096") +
            host_line(14, "pci_nvme_map_addr addr 0x104000 len 512");
    host += access(15, 0x100200, 0x500200) + access(16, 0x101000, 0x501000) + access(17, 0x102000, 0x502000);
    host += access(18, 0x103000, 0x503000) + access(19, 0x104000, 0x504000);
    host += host_line(20, "pci_nvme_enqueue_req_completion cid 7 cqid 1 dw0 0x0 dw1 0x0 status 0x0") +
            access(21, 0xfd010, 0x9002010);
    host += host_line(22, "vtd_inv_desc invalidate desc type iotlb high 0x100043 low 0x300f2");
    host += host_line(23, "vtd_inv_desc invalidate desc type wait high 0x1 low 0x200000025");
    Result r;
    import(guest, &host, defaults(), r);
    ASSERT_NE(r.import, nullptr) << r.error;
    EXPECT_EQ(iom_trace_check_total(&r.check), 0u);
    EXPECT_EQ(r[IOM_IMPORT_unclassified_dma], 0u);
    EXPECT_EQ(r[IOM_IMPORT_synthetic_pages], 3u) << "submission queue, list, completion queue";
    EXPECT_EQ(r.check.summary.kinds[IOM_TRACE_OP_BEGIN], 1u);
    EXPECT_EQ(r.check.summary.dma_classes[IOM_TRACE_DMA_RING], 2u);
    EXPECT_EQ(r.check.summary.dma_classes[IOM_TRACE_DMA_COMPLETION], 1u);
    EXPECT_EQ(r.check.summary.written_bytes, 16u) << "the completion entry";
    EXPECT_EQ(r.check.summary.read_bytes, 64u + 4 * 8 + 16384) << "entry, four list entries, data";
    uint64_t at = 0x100200;
    for (const iom_trace_record &record : r.records) {
        if (record.kind == IOM_TRACE_OP_BEGIN)
            EXPECT_EQ(record.bytes, 16384u);
        if (record.kind != IOM_TRACE_DMA || record.detail != IOM_TRACE_DMA_DATA)
            continue;
        EXPECT_EQ(record.iova, at);
        EXPECT_EQ(record.iova / 256, (record.iova + record.bytes - 1) / 256) << "cut at multiples of 256";
        at += record.bytes;
    }
    EXPECT_EQ(at, 0x100200u + 16384);
}

TEST(Import, the_latest_possible_place_of_lazy_unmaps_and_reuse)
{
    // Lazy: the page is unmapped, flushed much later, and mapped anew at the same address for the next
    // command before the flush. Both commands must get their own map.
    std::string guest = guest_head;
    std::string host;
    for (int i = 0; i < 2; i++) {
        guest += guest_line(
            1.0 + i * 0.001,
            "map: IOMMU: iova=0x0000000000100000 - 0x0000000000101000 paddr=0x0000000000500000 size=4096");
        guest += guest_line(
            1.00001 + i * 0.001,
            "dma_map_page: 0000:00:04.0 dir=FROM_DEVICE dma_addr=100000 size=4096 phys_addr=500000 attrs=");
        guest += guest_line(
            1.0005 + i * 0.001,
            "unmap: IOMMU: iova=0x0000000000100000 - 0x0000000000101000 size=4096 unmapped_size=4096");
        const unsigned us = 500000 + static_cast<unsigned>(i) * 100;
        host += access(us, 0xff000 + static_cast<unsigned>(i) * 64, 0x9000000) +
                host_line(us + 1, "pci_nvme_io_cmd cid 7 nsid 0x1 sqid 1 opc 0x2 opname 'R'");
        host += host_line(us + 2, "pci_nvme_map_addr addr 0x100000 len 4096") +
                access(us + 3, 0x100000, 0x500000);
        host += host_line(us + 4, "pci_nvme_enqueue_req_completion cid 7 cqid 1 dw0 0x0 dw1 0x0 status 0x0") +
                access(us + 5, 0xfd000 + static_cast<unsigned>(i) * 16, 0x9002000);
    }
    guest += guest_line(1.01, "qi_submit: iotlb_inv dmar0: 0x300e2 0x0 0x0 0x0");
    host += host_line(900000, "vtd_inv_desc invalidate desc type iotlb high 0x0 low 0x300e2");
    Result r;
    import(guest, &host, defaults(), r);
    ASSERT_NE(r.import, nullptr) << r.error;
    EXPECT_EQ(iom_trace_check_total(&r.check), 0u);
    EXPECT_EQ(r[IOM_IMPORT_deferred_unmaps], 2u);
    std::string order;
    for (const iom_trace_record &record : r.records)
        if (record.op != 0 && (record.kind != IOM_TRACE_DMA || record.iova == 0x100000))
            order += std::string(iom_trace_kind_name(record.kind)) + std::to_string(record.op) + " ";
    EXPECT_EQ(order, "op_begin1 map1 dma1 unmap1 op_end1 op_begin2 map2 dma2 unmap2 op_end2 ");
}

TEST(Import, malformed_lines_name_file_line_and_token)
{
    const std::string good = guest_line(
        1.0, "map: IOMMU: iova=0x0000000000100000 - 0x0000000000101000 paddr=0x0000000000500000 size=4096");
    EXPECT_EQ(failure(guest_head + good), "");
    const struct {
        const char *line;
        const char *message;
    } cases[] = {
        {"map: IOMMU: iova=0x100 - 0x1100 paddr=0x0 size=4096",
         "g.txt:3: paddr=0x0 size=4096: expected a range of whole pages"},
        {"map: IOMMU: iova=0x1000 - 0x2000 paddr=0x0 size=8192",
         "g.txt:3: end of line: expected the size of the range"},
        {"map: IOMMU: iova=0x1000 - 0x2000 paddr=zz size=4096",
         "g.txt:3: zz size=4096: expected paddr=0x... size=BYTES"},
        {"unmap: IOMMU: iova=0x1000 - 0x2000 size=4096",
         "g.txt:3: end of line: expected size=BYTES unmapped_size=BYTES"},
        {"qi_submit: iotlb_inv dmar0: 0x12", "g.txt:3: end of line: expected TYPE UNIT"},
        {"dma_map_page: 0000:00:04.0 dir=SIDEWAYS dma_addr=0 size=1",
         "g.txt:3: SIDEWAYS dma_addr=0 size=1: expected TO_DEVICE"},
    };
    for (const auto &c : cases)
        EXPECT_NE(failure(guest_head + guest_line(1.0, c.line)).find(c.message), std::string::npos)
            << failure(guest_head + guest_line(1.0, c.line));
    EXPECT_NE(
        failure(guest_head + good, host_line(1, "vtd_dmar_translate dev 00:04.00 iova 0x")).find("h.log:1: "),
        std::string::npos);
    EXPECT_NE(failure(guest_head + good + good.substr(0, 30)).find("stops in mid-line"), std::string::npos);
    iom_import_options lenient = defaults();
    lenient.lenient = true;
    Result r;
    import(guest_head + guest_line(1.0, cases[0].line) + good, nullptr, lenient, r);
    EXPECT_EQ(r[IOM_IMPORT_malformed_lines], 1u);
    EXPECT_EQ(r[IOM_IMPORT_map_records], 1u);
}

TEST(Import, files_that_are_no_logs_are_named)
{
    EXPECT_EQ(failure(""), "g.txt: the file is empty; record the log again");
    EXPECT_NE(failure("GIF89a").find("expected ftrace text"), std::string::npos);
    EXPECT_NE(failure(std::string("\x17\x08\x44tracing\0\0", 12)).find("trace-cmd report"),
              std::string::npos);
    EXPECT_NE(failure(guest_head, guest_head).find("a second guest (ftrace) log"), std::string::npos);
    EXPECT_NE(failure(host_line(1, "vtd_inv_qi_fetch ")).find("a host log alone"), std::string::npos);
    EXPECT_NE(failure(guest_head + std::string(70000, 'x')).find("longer than 65536 bytes"),
              std::string::npos);
    const std::string packed = "\x28\xb5\x2f\xfd garbage";
    EXPECT_NE(failure(packed).find("zstd stream is damaged"), std::string::npos);
}

TEST(Import, lost_and_unknown_lines_are_counted)
{
    std::string guest = "# tracer: nop\n# entries-in-buffer/entries-written: 5/12   #P:2\n";
    guest += "CPU:1 [LOST 30 EVENTS]\n##### CPU 1 buffer started ####\n" +
             guest_line(1.0, "sched_switch: prev=a") + guest_line(1.0, "sched_switch: prev=b");
    const std::string host =
        host_line(1, "memory_region_ops_read cpu 0") + host_line(2, "vtd_ir_remap index 3");
    Result r;
    import(guest, &host, defaults(), r);
    ASSERT_NE(r.import, nullptr) << r.error;
    EXPECT_EQ(r[IOM_IMPORT_lost_events], 7u + 30u);
    EXPECT_EQ(r[IOM_IMPORT_unknown_lines], 3u);
    EXPECT_EQ(r[IOM_IMPORT_interrupt_lines], 1u);
    uint32_t count = 0;
    const iom_import_line_kind *kinds = iom_import_line_kinds(r.import, &count);
    ASSERT_EQ(count, 3u);
    EXPECT_STREQ(kinds[0].name, "sched_switch");
    EXPECT_EQ(kinds[0].count, 2u);
    EXPECT_EQ(kinds[0].use, IOM_IMPORT_UNKNOWN);
    EXPECT_EQ(kinds[2].use, IOM_IMPORT_INTERRUPT);
}

// ---------------------------------------------------------------------------------------------------
// Robustness: whatever the logs hold, the importer refuses them or writes a trace that can be read.

void expect_refused_or_readable(const std::string &guest, const std::string *host)
{
    iom_import_options options = defaults();
    options.lenient = true;
    iom_trace_error error = {};
    void *trace = nullptr;
    size_t bytes = 0;
    if (iom_import_buffer(guest.data(), guest.size(), host != nullptr ? host->data() : nullptr,
                          host != nullptr ? host->size() : 0, &options, &trace, &bytes, &error) != 0) {
        EXPECT_STRNE(error.text, "");
        return;
    }
    Result result;
    read_back(trace, bytes, result);
    std::free(trace);
}

std::string mutate(std::string text, iom_rng &rng)
{
    static const char *const tokens[] = {
        "0xffffffffffffffff",   "0", "-", " ", "\n", "size=4096", "0xfffffffffffff000", "}",
        "18446744073709551615", "[", "]", ":"};
    const uint64_t edits = 1 + iom_rng_below(&rng, 20);
    for (uint64_t i = 0; i < edits && !text.empty(); i++) {
        const size_t at = iom_rng_below(&rng, text.size());
        switch (iom_rng_below(&rng, 5)) {
        case 0:
            text[at] = static_cast<char>(iom_rng_next(&rng));
            break;
        case 1:
            text.erase(at, 1 + iom_rng_below(&rng, 200));
            break;
        case 2:
            text.insert(at, tokens[iom_rng_below(&rng, sizeof tokens / sizeof *tokens)]);
            break;
        case 3:
            text.insert(at, text.substr(iom_rng_below(&rng, text.size()), iom_rng_below(&rng, 2000)));
            break;
        default:
            text.replace(at, 1, tokens[iom_rng_below(&rng, sizeof tokens / sizeof *tokens)]);
            break;
        }
    }
    return text;
}

TEST(Import, damaged_logs_never_crash_the_importer)
{
    iom_rng rng;
    iom_rng_seed(&rng, 1, "import_test");
    for (const char *name : {"vtd-legacy-strict/vfio", "smmuv3-strict-vfio/vfio", "amdvi-strict/probe",
                             "virtio-iommu-strict/probe"}) {
        const std::string guest = unpacked(std::string(name) + ".guest.ftrace.txt.zst");
        const std::string host = unpacked(std::string(name) + ".host.qemu.log.zst");
        for (int i = 0; i < 40; i++) {
            const std::string bad_host = mutate(host, rng);
            expect_refused_or_readable(mutate(guest, rng), i % 4 == 0 ? nullptr : &bad_host);
        }
    }
}

TEST(Import, logs_cut_anywhere_never_crash_the_importer)
{
    const std::string guest = unpacked("vtd-legacy-strict/vfio.guest.ftrace.txt.zst");
    const std::string host = unpacked("vtd-legacy-strict/vfio.host.qemu.log.zst");
    for (size_t part = 0; part <= 40; part++) {
        const std::string cut_host = host.substr(0, host.size() * part / 40);
        const std::string cut_guest = guest.substr(0, guest.size() * part / 40);
        expect_refused_or_readable(guest, &cut_host);
        expect_refused_or_readable(cut_guest, &host);
    }
}

} // namespace
