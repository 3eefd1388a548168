// SPDX-License-Identifier: Apache-2.0
//
// Building a system. See system.h.
#include "models/system.h"

#include <algorithm>
#include <stdexcept>

#include "core/tracker_report.h"

namespace iommu_sim
{

// ---- building ------------------------------------------------------------------------------------------

System::System(const SystemConfig &config) : config_(config), arch_(make_architecture(config))
{
    iom_netlist_init(&netlist_);
    try {
        make_tracker();
        make_memory();
        make_mapper();
        if (!config_.trace.file.empty()) {
            make_replay();
        } else {
            make_devices();
            premap();
            make_host();
        }
        make_iommu(replay_ != nullptr ? iom_replay_device_count(replay_)
                                      : static_cast<uint32_t>(config_.devices.size()));
        connect_devices();
        connect_host();
        attach();
    } catch (...) {
        free_all(); // the destructor does not run for an object that was not finished
        throw;
    }
}

System::~System()
{
    free_all();
}

void System::free_all()
{
    iom_netlist_free(&netlist_);
    for (iom_device *device : devices_)
        iom_device_destroy(device);
    for (iom_device_tlb *tlb : device_tlbs_)
        iom_device_tlb_destroy(tlb);
    for (iom_link *link : links_)
        iom_link_destroy(link);
    if (replay_ != nullptr)
        iom_replay_destroy(replay_);
    if (reader_ != nullptr)
        iom_trace_reader_close(reader_);
    if (host_ != nullptr)
        iom_host_destroy(host_);
    if (iommu_made_)
        iom_iommu_free(&iommu_);
    if (mapper_ != nullptr)
        iom_mapper_destroy(mapper_);
    iom_memory_destroy(memory_);
    if (tracker_ != nullptr)
        iom_tracker_destroy(tracker_); // behind everything that may still hold one of its nodes
    iom_memory_image_destroy(image_);
}

void System::make_tracker()
{
    image_ = iom_memory_image_create();
    if (image_ == nullptr)
        throw std::bad_alloc();
    if (!config_.tracker.enabled)
        return;
    iom_tracker_config config = {};
    config.image = image_;
    config.iommus = 1;
    config.iommu[0].arch = &arch_->arch();
    config.iommu[0].leaf_attributes = arch_->hardware_traits().leaf_attributes;
    config.findings_per_kind = config_.tracker.max_findings;
    tracker_ = iom_tracker_create(&config);
    if (tracker_ == nullptr)
        throw std::bad_alloc();
    iom_tracker_expect_driver(tracker_);
}

void System::make_memory()
{
    uint64_t base = config_.memory.base;
    if (!iom_memory_image_add_range(image_, base, base + config_.memory.size_bytes - 1))
        throw std::bad_alloc();
    iom_memory_config memory = memory_config(config_);
    memory.inputs = memory_inputs;
    memory.tracker = tracker_;
    memory_ = iom_memory_create(&memory, image_, "memory");
    if (memory_ == nullptr)
        throw std::runtime_error("memory.llc: the geometry cannot be built or memory is out");
}

void System::make_mapper()
{
    // The first MiB stays free, as on a real machine; a table at address 0 would hide mistakes.
    uint64_t first = iom_max_u64(config_.memory.base, UINT64_C(1) << 20);
    iom_software_config software = {&arch_->arch(), arch_->software_settings()};
    iom_mapper_config mapper = {};
    mapper.software = &arch_->software();
    mapper.settings = &software;
    mapper.kind = arch_->attachment();
    mapper.ram_first = first;
    mapper.ram_last = config_.memory.base + config_.memory.size_bytes - 1;
    mapper.page_log2 = page_log2(config_.driver.page_size);
    mapper.seed = config_.run.seed;
    iom_store_sink sink = iom_mapper_image_sink(image_);
    const char *error = nullptr;
    mapper_ = iom_mapper_create(&mapper, &sink, "driver", &error);
    if (mapper_ == nullptr)
        throw std::runtime_error(std::string("memory.size: ") + (error != nullptr ? error : "out of memory"));
}

void System::make_iommu(uint32_t inputs)
{
    std::vector<uint32_t> streams;
    for (const DeviceSettings &device : config_.devices) {
        if (replay_ == nullptr && device.device_tlb.entries != 0)
            streams.push_back(device.source_id);
    }
    iom_iommu_config config = iommu_config(config_, *arch_, inputs);
    config.ats_devices = static_cast<uint32_t>(streams.size());
    config.ats_streams = streams.data();
    config.tracker = tracker_;
    iommu_made_ = true;
    const char *error =
        iom_iommu_init(&iommu_, &config, "iommu0", &netlist_, iom_memory_input(memory_, memory_dma),
                       iom_memory_input(memory_, memory_table), iom_memory_input(memory_, memory_queue),
                       iom_memory_input(memory_, memory_registers));
    if (error != nullptr)
        throw std::runtime_error(std::string("iommu0: ") + error);
    if (!iom_netlist_add(&netlist_, iom_memory_unit(memory_)))
        throw std::bad_alloc();
}

// ---- during the run ------------------------------------------------------------------------------------

void System::on_completed(void *context, uint64_t total)
{
    Completion *completion = static_cast<Completion *>(context);
    System *system = completion->system;
    system->count_completed(total - completion->total);
    completion->total = total;
}

void System::count_completed(uint64_t requests)
{
    completed_ += requests;
    if (completed_ >= stop_at_)
        stop_ = true;
}

void System::on_report(void *context, const iom_host_report *report)
{
    System *system = static_cast<System *>(context);
    if (report->kind == IOM_HOST_REPORT_REQUEST)
        system->count_completed(1);
    if (report->kind == IOM_HOST_REPORT_MARK && --system->threads_running_ == 0)
        system->stop_ = true;
}

void System::stop_at_completed(uint64_t total)
{
    stop_at_ = total;
    stop_ = completed_ >= total;
}

uint64_t System::completed() const
{
    return completed_;
}

void System::start_traffic(iom_cycle cycle)
{
    if (replay_ != nullptr)
        iom_replay_start(replay_, cycle);
    for (iom_device *device : devices_) {
        if (device != nullptr)
            iom_device_start(device, cycle);
    }
}

bool System::traffic_finished() const
{
    if (replay_ != nullptr)
        return iom_replay_finished(replay_);
    for (const iom_device *device : devices_) {
        if (device != nullptr && !iom_device_finished(device))
            return false;
    }
    return iom_host_finished(host_);
}

const char *System::error() const
{
    return host_ != nullptr ? iom_host_error(host_) : iom_replay_error(replay_);
}

const iom_trace_header *System::trace_header() const
{
    return reader_ != nullptr ? iom_trace_reader_header(reader_) : nullptr;
}

uint64_t System::trace_position() const
{
    return reader_ != nullptr ? iom_trace_reader_position(reader_) : 0;
}

void System::reset_stats()
{
    for (uint32_t i = 0; i < netlist_.unit_count; i++) {
        iom_unit *unit = netlist_.units[i];
        if (unit->ops->reset_stats != nullptr)
            unit->ops->reset_stats(unit);
    }
    if (tracker_ != nullptr)
        iom_tracker_reset_stats(tracker_);
}

} // namespace iommu_sim
