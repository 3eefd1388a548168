// SPDX-License-Identifier: Apache-2.0
//
// Keys of what loads the IOMMU: the operating system's driver, the devices with their traffic, the
// workload of CPU threads, and the replay of a trace. See system_schema.cpp.
#include "models/config/schema_sections.h"

namespace iommu_sim
{
namespace
{

constexpr uint64_t cost_max = 1'000'000'000;

/// Cycles of the driver's own work.
void add_cost_keys(Section<DriverSettings> &s)
{
    using D = DriverSettings;
    s.integer("mmio_cycles", &D::mmio_cycles, {1, cost_max}, "cycles",
              "Processor to the registers of the IOMMU, one way.");
    s.integer("poll_cycles", &D::poll_cycles, {1, cost_max}, "cycles",
              "Between two looks at a status word or register.");
    s.integer("map_cycles", &D::map_cycles, {0, cost_max}, "cycles",
              "Work of a map call before its first store.");
    s.integer("unmap_cycles", &D::unmap_cycles, {0, cost_max}, "cycles",
              "Work of an unmap call before its first store.");
    s.integer("return_cycles", &D::return_cycles, {0, cost_max}, "cycles",
              "Work of a call after its last step.");
    s.integer("store_cycles", &D::store_cycles, {1, cost_max}, "cycles",
              "Between two stores to tables or the queue.");
    s.integer("write_back_cycles", &D::write_back_cycles, {0, cost_max}, "cycles",
              "Writing one cache line back; with vtd.coherent_walk: false.");
    s.integer("descriptor_cycles", &D::descriptor_cycles, {0, cost_max}, "cycles",
              "Putting one command into the queue.");
    s.integer("doorbell_cycles", &D::doorbell_cycles, {0, cost_max}, "cycles",
              "Of the doorbell write to the processor; its way is mmio_cycles.");
    s.integer("lock_cycles", &D::lock_cycles, {0, cost_max}, "cycles", "Acquiring a lock that is free.");
    s.integer("iova_cycles", &D::iova_cycles, {0, cost_max}, "cycles",
              "Allocating or releasing a range of addresses.");
    s.integer("enqueue_cycles", &D::enqueue_cycles, {0, cost_max}, "cycles",
              "Putting an unmapped range into a flush queue.");
}

Section<DriverQuirks> driver_quirks_section()
{
    using Q = DriverQuirks;
    Section<Q> s;
    s.boolean("no_iotlb_flush", &Q::no_iotlb_flush, "Unmap does not flush the IOTLB.");
    s.boolean("no_device_flush", &Q::no_device_flush, "Unmap does not flush device TLBs.");
    s.boolean("no_wait", &Q::no_wait, "Unmap returns when its commands are in the queue.");
    s.boolean("flush_first", &Q::flush_first, "Unmap flushes before it changes the tables.");
    s.boolean("device_first", &Q::device_first, "Unmap flushes device TLBs before the IOTLB.");
    s.boolean("no_write_back", &Q::no_write_back,
              "Tables are not written back for walkers that do not snoop.");
    return s;
}

void add_pattern_keys(Section<GeneratorSettings> &s)
{
    using G = GeneratorSettings;
    s.size("stride_bytes", &G::stride_bytes, {1, window_max}, "Distance between two requests.")
        .only_for({"strided"});
    s.real("zipf_exponent", &G::zipf_exponent, {0.01, 10}, "",
           "Skew of page popularity; about 1 in many real systems.")
        .only_for({"zipf"});
    s.size("hot_bytes", &G::hot_bytes, {0, window_max}, "Hot part at the start of the window; 0 = none.")
        .only_for({"uniform"});
    s.real("hot_fraction", &G::hot_fraction, {0, 1}, "", "Share of the requests that go to the hot part.")
        .only_for({"uniform"});
    s.integer("burst_requests", &G::burst_requests, {1, 65536}, "requests",
              "Requests issued back to back, followed by a pause that keeps the rate.")
        .only_for({"sequential", "strided", "uniform", "zipf"});
}

void add_device_model_keys(Section<GeneratorSettings> &s)
{
    using G = GeneratorSettings;
    s.integer("ring_entries", &G::ring_entries, {1, 65536}, "descriptors", "Descriptors of a ring.")
        .only_for({"nic"});
    s.size("buffer_bytes", &G::buffer_bytes, {64, 65536}, "Buffer of one descriptor.").only_for({"nic"});
    s.size("frame_bytes", &G::frame_bytes, {64, 65536}, "Bytes of a frame.").only_for({"nic"});
    s.integer("queues", &G::queues, {1, 1024}, "queues", "Submission and completion queue pairs.")
        .only_for({"nvme"});
    s.integer("queue_depth", &G::queue_depth, {1, 65536}, "commands", "Commands in flight per queue.")
        .only_for({"nvme"});
    s.size("block_bytes", &G::block_bytes, {512, 16 << 20}, "Bytes of one command.").only_for({"nvme"});
}

Section<GeneratorSettings> generator_section()
{
    using G = GeneratorSettings;
    Section<G> s;
    s.choice("kind", &G::kind,
             {{GeneratorKind::none, "none"},
              {GeneratorKind::sequential, "sequential"},
              {GeneratorKind::strided, "strided"},
              {GeneratorKind::uniform, "uniform"},
              {GeneratorKind::zipf, "zipf"},
              {GeneratorKind::nic, "nic"},
              {GeneratorKind::nvme, "nvme"}},
             "What produces the requests; several keys exist for some kinds only. none: the threads of the "
             "workload.")
        .discriminator();
    s.address("base_iova", &G::base_iova, {}, "First address of the window.");
    s.size("window_bytes", &G::window_bytes, {4096, window_max}, "Addresses the device uses.");
    s.size("request_bytes", &G::request_bytes, {1, 4096}, "Bytes of one DMA request.");
    s.real("read_fraction", &G::read_fraction, {0, 1}, "", "Share of reads; the rest are writes.");
    s.real("rate", &G::rate, {0, 1e6}, "requests/1000 cycles",
           "Offered load; 0 = as fast as `outstanding` allows.");
    s.integer("outstanding", &G::outstanding, {1, 65536}, "requests", "DMA requests in flight at once.");
    add_pattern_keys(s);
    add_device_model_keys(s);
    s.check(check_generator);
    return s;
}

Section<DeviceTlbQuirks> device_tlb_quirks_section()
{
    using Q = DeviceTlbQuirks;
    Section<Q> s;
    s.boolean("squash_fills", &Q::squash_fills,
              "An invalidation drops answers under way; false: they are filled all the same.");
    s.boolean("completion_overtakes_writes", &Q::completion_overtakes_writes,
              "The completion of an invalidation does not wait for posted writes.");
    s.integer("write_buffer_cycles", &Q::write_buffer_cycles, {0, latency_max}, "cycles",
              "Posted writes stay so long in a buffer; with completion_overtakes_writes.");
    s.boolean("silent", &Q::silent, "Neither carries out nor answers invalidations.");
    return s;
}

Section<DeviceTlbSettings> device_tlb_section()
{
    using T = DeviceTlbSettings;
    Section<T> s;
    add_cache_geometry(s);
    add_cache_timing(s);
    s.integer("outstanding", &T::outstanding, {1, 65536}, "requests", "Translation requests under way.");
    s.integer("merges_per_request", &T::merges_per_request, {0, 65536}, "requests",
              "DMA requests that can join the one that asked for the page.");
    s.integer("queue_depth", &T::queue_depth, {1, 32}, "invalidations",
              "Invalidation requests held at once.");
    s.boolean("use_size", &T::use_size, "Answers for large pages are kept whole; false: as pages of 4K.");
    s.boolean("ask_write", &T::ask_write, "Reads ask for write permission, too.");
    s.boolean("untranslated_fallback", &T::untranslated_fallback,
              "A DMA that is refused a translation goes untranslated; false: it fails.");
    add_invalidate(s);
    s.section("quirks", &T::quirks, device_tlb_quirks_section(), "A device TLB with bugs.");
    return s;
}

} // namespace

Section<DriverSettings> driver_section()
{
    Section<DriverSettings> s;
    s.choice("page_size", &DriverSettings::page_size,
             {{PageSize::size_4k, "4K"}, {PageSize::size_2m, "2M"}, {PageSize::size_1g, "1G"}},
             "Largest page that the driver maps with.");
    s.boolean("premap", &DriverSettings::premap, "Map every window before the run.");
    s.choice(
        "policy", &DriverSettings::policy,
        {{FlushPolicy::strict, "strict"},
         {FlushPolicy::lazy, "lazy"},
         {FlushPolicy::lazy_single, "lazy_single"}},
        "strict: an unmap returns when the pages are flushed; lazy: pages wait in a queue of the CPU for "
        "one flush of the domain; lazy_single: one queue for all CPUs.");
    s.integer("flush_entries", &DriverSettings::flush_entries, {0, 1 << 20}, "ranges",
              "Size of a flush queue, a power of two; 0 = as Linux: 256, lazy_single 32768.");
    s.optional_integer("flush_timeout_ns", &DriverSettings::flush_timeout_ns,
                       {0, UINT64_C(1'000'000'000'000)}, "ns",
                       "From the first range in a flush queue to the timer's flush; 0 = no timer, none = as "
                       "Linux: 10 ms, lazy_single 1 s.");
    s.choice("device_flush", &DriverSettings::device_flush,
             {{DeviceFlush::per_attachment, "per_attachment"},
              {DeviceFlush::skip_repeated, "skip_repeated"},
              {DeviceFlush::deduplicated, "deduplicated"}},
             "Device TLBs of a domain attached several times: one flush per attachment, none for the device "
             "flushed just before, or one per device.");
    s.boolean("page_selective", &DriverSettings::page_selective,
              "An unmap flushes its pages; false: the whole domain.");
    s.boolean("leaf_only", &DriverSettings::leaf_only,
              "Flushes spare the paging-structure caches when only leaf entries have changed.");
    s.integer("batch", &DriverSettings::batch, {1, 120}, "commands", "Commands of one submission at most.");
    s.integer("cpus", &DriverSettings::cpus, {0, 4096}, "CPUs",
              "Processors that the threads of a workload are spread over; 0 = one each.");
    s.boolean("check_errors", &DriverSettings::check_errors,
              "While the driver waits for a status it reads the error register as well.");
    add_cost_keys(s);
    s.section("quirks", &DriverSettings::quirks, driver_quirks_section(), "A driver with bugs.");
    s.check(check_driver);
    return s;
}
Section<DeviceSettings> device_section()
{
    Section<DeviceSettings> s;
    s.text("name", &DeviceSettings::name, "Name in reports; letters, digits, '_', '-' and '.'.").required();
    s.source_id("source_id", &DeviceSettings::source_id, "Requester id: bus:device.function or 0x...")
        .required();
    s.integer("domain", &DeviceSettings::domain, {0, 65535}, "",
              "Domain id; devices of a domain share one address space.");
    s.optional_integer("pasid", &DeviceSettings::pasid, {0, (1u << 20) - 1}, "",
                       "Process address space of the requests; none = requests without PASID.");
    s.section("device_tlb", &DeviceSettings::device_tlb, device_tlb_section(),
              "Device TLB (ATS); 0 entries = the device has none.");
    s.section("generator", &DeviceSettings::generator, generator_section(), "The traffic of this device.");
    return s;
}

Section<WorkloadSettings> workload_section()
{
    using W = WorkloadSettings;
    Section<W> s;
    s.integer("threads", &W::threads, {0, 4096}, "threads", "CPU threads; 0 = no workload.");
    s.text("device", &W::device,
           "Device that uses the mappings, with generator.kind none; empty = all such devices in turn.");
    s.integer("iterations", &W::iterations, {1, UINT32_MAX}, "mappings",
              "Buffers that each thread maps and unmaps.");
    s.size("bytes", &W::bytes, {4096, 1 << 30}, "Size of a mapping, or of one segment of it.");
    s.integer("segments", &W::segments, {1, 4096}, "segments",
              "Length of the scatter-gather list that one call maps.");
    s.integer("requests", &W::requests, {0, 1 << 20}, "requests",
              "DMA requests to a mapping; 0 = one for each request_bytes of it.");
    s.size("request_bytes", &W::request_bytes, {1, 4096}, "Bytes of a DMA request.");
    s.choice("direction", &W::direction,
             {{WorkloadDirection::from_device, "from_device"}, {WorkloadDirection::to_device, "to_device"}},
             "from_device: the device writes; to_device: it reads.");
    s.boolean(
        "await_answers", &W::await_answers,
        "Unmap when the DMA has been answered; false: while it may be under way (a driver with a bug).");
    s.integer("think_cycles", &W::think_cycles, {0, cost_max}, "cycles", "From an unmap to the next map.");
    s.integer("late_requests", &W::late_requests, {0, 4096}, "requests",
              "DMA requests that the device still sends when the unmap has returned (a device or driver "
              "with a bug).");
    s.integer("buffers", &W::buffers, {1, 256}, "buffers", "Physical buffers of a thread, used in turn.");
    s.check(check_workload);
    return s;
}

Section<TraceSettings> trace_section()
{
    Section<TraceSettings> s;
    s.text("file", &TraceSettings::file, "Trace to replay; empty = none.");
    s.choice("mode", &TraceSettings::mode,
             {{TraceMode::closed_loop, "closed_loop"}, {TraceMode::scaled_time, "scaled_time"}},
             "closed_loop: operations start in recorded order as earlier ones end; scaled_time: records "
             "are due at their recorded times.");
    s.integer("queue_depth", &TraceSettings::queue_depth, {0, 1 << 20}, "operations",
              "Operations in flight in closed_loop; 0 = as recorded.");
    s.integer("device_latency_ns", &TraceSettings::device_latency_ns, {0, UINT64_C(1'000'000'000'000)}, "ns",
              "Work of the device between ring fetch and data in closed_loop.");
    s.real("time_scale", &TraceSettings::time_scale, {1e-6, 1e6}, "",
           "Factor on recorded times in scaled_time; above 1 is slower.");
    s.check(check_trace);
    return s;
}

} // namespace iommu_sim
