// SPDX-License-Identifier: Apache-2.0
//
// Building a system: devices, their device TLBs and links, and the replay that stands for devices. See
// system.h.
#include <stdexcept>

#include "models/system.h"
#include "models/traffic_settings.h"

namespace iommu_sim
{

// ---- devices and their way to the IOMMU ----------------------------------------------------------------

void System::connect_devices()
{
    for (uint32_t i = 0; replay_ != nullptr && i < iom_replay_device_count(replay_); i++)
        connect_device(iom_replay_device_port(replay_, i), i);
    for (uint32_t i = 0; replay_ == nullptr && i < config_.devices.size(); i++) {
        if (devices_[i] == nullptr) {
            connect_device(iom_host_port(host_, IOM_HOST_PORT_DMA + i), i);
            continue;
        }
        if (!iom_netlist_add(&netlist_, iom_device_unit(devices_[i])))
            throw std::bad_alloc();
        connect_device(iom_device_port(devices_[i]), i);
    }
}

// The device TLB is part of the device, one cycle away from what sends the requests. Returns the port that
// goes on to the IOMMU.
iom_port *System::insert_device_tlb(iom_port *port, uint32_t input)
{
    if (replay_ != nullptr || config_.devices[input].device_tlb.entries == 0)
        return port;
    const DeviceSettings &device = config_.devices[input];
    iom_device_tlb_config settings = device_tlb_config(config_, device);
    settings.index = static_cast<uint32_t>(device_tlbs_.size());
    settings.tracker = tracker_;
    iom_device_tlb *tlb = iom_device_tlb_create(&settings, (device.name + ".device_tlb").c_str());
    if (tlb == nullptr)
        throw std::runtime_error("devices: " + device.name +
                                 ": device_tlb: the geometry cannot be built or memory is out");
    device_tlbs_.push_back(tlb);
    iom_link_config wire = {1, 1, 1, config_.frontend.ingress_depth};
    if (!iom_netlist_add(&netlist_, iom_device_tlb_unit(tlb)) ||
        !iom_netlist_connect(&netlist_, port, iom_device_tlb_port(tlb, IOM_DEVICE_TLB_DEVICE), &wire))
        throw std::bad_alloc();
    return iom_device_tlb_port(tlb, IOM_DEVICE_TLB_HOST);
}

// A link of limited width is a unit of its own, one cycle away from the device; the flight time to the IOMMU
// is in it. Returns the port that goes on to the IOMMU.
iom_port *System::insert_link(iom_port *port, uint32_t input)
{
    if (config_.link.bytes_per_cycle == 0)
        return port;
    const iom_link_unit_config settings = link_unit_config(config_.link);
    iom_link *link = iom_link_create(&settings, ("link" + std::to_string(input)).c_str());
    if (link == nullptr)
        throw std::bad_alloc();
    links_.push_back(link);
    iom_link_config wire = {1, 1, 1, config_.frontend.ingress_depth};
    if (!iom_netlist_add(&netlist_, iom_link_unit(link)) ||
        !iom_netlist_connect(&netlist_, port, iom_link_device_port(link), &wire))
        throw std::bad_alloc();
    return iom_link_host_port(link);
}

// Invalidation requests come down the way of the answers, completions go up the way of the requests. The
// number of invalidation tags limits them; they need no credits besides.
void System::connect_invalidations(uint32_t tlb, iom_link *link)
{
    iom_port *fanout = iom_iommu_ats_port(&iommu_, tlb);
    iom_port *device = iom_device_tlb_port(device_tlbs_[tlb], IOM_DEVICE_TLB_INVALIDATE);
    iom_link_config way = {};
    way.latency = config_.link.return_latency_cycles;
    way.response_latency = config_.link.latency_cycles;
    way.credit_latency = 1;
    bool ok = true;
    if (link != nullptr) {
        way.response_latency = link_hop_cycles;
        const iom_link_config wire = {1, 1, 1, 0};
        ok = iom_netlist_connect(&netlist_, iom_link_invalidate_port(link), device, &wire);
        device = iom_link_fanout_port(link);
    }
    if (!ok || !iom_netlist_connect(&netlist_, fanout, device, &way))
        throw std::bad_alloc();
}

void System::connect_device(iom_port *port, uint32_t input)
{
    const size_t tlbs = device_tlbs_.size();
    port = insert_device_tlb(port, input);
    port = insert_link(port, input);
    if (device_tlbs_.size() != tlbs)
        connect_invalidations(static_cast<uint32_t>(tlbs),
                              config_.link.bytes_per_cycle != 0 ? links_.back() : nullptr);
    iom_link_config link = {};
    link.latency = config_.link.bytes_per_cycle != 0 ? link_hop_cycles : config_.link.latency_cycles;
    link.response_latency = config_.link.return_latency_cycles;
    link.credit_latency = 1;
    link.depth = config_.frontend.ingress_depth;
    if (!iom_netlist_connect(&netlist_, port, iom_iommu_input(&iommu_, input), &link))
        throw std::bad_alloc();
}

void System::make_devices()
{
    for (const DeviceSettings &settings : config_.devices) {
        if (settings.generator.kind == GeneratorKind::none) {
            devices_.push_back(nullptr);
            generators_.push_back(nullptr);
            continue;
        }
        iom_generator_config generator = generator_config(settings);
        const char *error = nullptr;
        iom_generator *made =
            iom_generator_create(&generator, config_.run.seed, settings.name.c_str(), &error);
        if (made == nullptr)
            throw std::runtime_error("devices: " + settings.name +
                                     ": generator: " + (error != nullptr ? error : "out of memory"));
        iom_device_config device = device_config(settings);
        completions_.push_back(std::make_unique<Completion>());
        completions_.back()->system = this;
        device.on_completed = on_completed;
        device.on_completed_context = completions_.back().get();
        if (config_.devices.size() == 1 && config_.run.requests != 0)
            device.requests = config_.run.requests + config_.run.warmup_requests;
        const char *device_error = iom_device_config_error(&device);
        iom_device *unit = iom_device_create(&device, made, settings.name.c_str());
        if (unit == nullptr)
            throw std::runtime_error("devices: " + settings.name + ": " +
                                     (device_error != nullptr ? device_error : "out of memory"));
        devices_.push_back(unit);
        generators_.push_back(made);
    }
}

// ---- replay --------------------------------------------------------------------------------------------

iom_replay_driver System::replay_driver() const
{
    const SoftwareTraits traits = arch_->software_traits();
    iom_replay_driver driver = {};
    driver.present = true;
    driver.policy = flush_policy(config_);
    driver.descriptor_cycles = config_.driver.descriptor_cycles;
    driver.doorbell_cycles = config_.driver.doorbell_cycles;
    driver.relax_cycles = config_.driver.poll_cycles;
    driver.enqueue_cycles = config_.driver.enqueue_cycles;
    driver.batch = config_.driver.batch;
    driver.queue_log2 = queue_log2();
    driver.first_stage = traits.first_stage;
    driver.pasid_tables = traits.pasid_tables;
    driver.default_pasid = traits.default_pasid;
    driver.caching_mode = traits.caching_mode;
    driver.tracker = tracker_;
    driver.on_ready = driver.on_finished = [](void *context, iom_cycle) {
        static_cast<Completion *>(context)->system->stop_ = true;
    };
    return driver;
}

void System::make_replay()
{
    iom_trace_error error = {};
    reader_ = iom_trace_reader_open(config_.trace.file.c_str(), &error);
    if (reader_ == nullptr)
        throw std::runtime_error(error.text);
    iom_replay_config config = {};
    config.mode =
        config_.trace.mode == TraceMode::closed_loop ? IOM_REPLAY_CLOSED_LOOP : IOM_REPLAY_SCALED_TIME;
    config.queue_depth = config_.trace.queue_depth;
    config.device_latency = to_ticks(config_.trace.device_latency_ns, config_.clock.tick_ps);
    config.map_cycles = config_.driver.map_cycles;
    config.unmap_cycles = config_.driver.unmap_cycles;
    set_scale(config, config_.trace.time_scale, iom_trace_reader_header(reader_)->tick_ps,
              config_.clock.tick_ps);
    if (config_.run.requests != 0)
        config.requests = config_.run.requests + config_.run.warmup_requests;
    config.start = IOM_NEVER;
    config.driver = replay_driver();
    completions_.push_back(std::make_unique<Completion>());
    completions_.back()->system = this;
    config.on_completed = on_completed;
    config.hook_context = completions_.back().get();
    replay_ = iom_replay_create(&config, reader_, mapper_, "replay", &error);
    if (replay_ == nullptr)
        throw std::runtime_error(error.text);
}

} // namespace iommu_sim
