// SPDX-License-Identifier: Apache-2.0
//
// Building a system. See system.h.
#include "models/system.h"

#include <cmath>
#include <stdexcept>

#include "models/traffic_settings.h"

namespace iommu_sim
{

namespace
{

// Memory ports, in the order in which the memory unit numbers its inputs.
enum MemoryInput : uint32_t { memory_dma, memory_table, memory_host, memory_inputs };

iom_cache_config geometry(const CacheGeometry &settings)
{
    iom_cache_config config = {};
    config.entries = settings.entries;
    config.ways = settings.ways;
    config.policy = settings.policy;
    config.prefer_invalid = settings.prefer_invalid;
    config.plru_touch_on_fill = settings.plru_touch_on_fill;
    return config;
}

void set_lookup(iom_iommu_config &config, iom_lookup which, const CacheSettings &settings)
{
    config.lookup[which].cache = geometry(settings);
    config.lookup[which].latency_cycles = settings.latency_cycles;
    config.lookups_per_cycle[which] = settings.lookups_per_cycle;
}

void set_psc_stage(iom_iommu_config &config, unsigned stage, const PscStageSettings &settings)
{
    config.psc.cache[stage - 1][2] = geometry(settings.level2);
    config.psc.cache[stage - 1][3] = geometry(settings.level3);
    config.psc.cache[stage - 1][4] = geometry(settings.level4);
    config.psc.cache[stage - 1][5] = geometry(settings.level5);
}

iom_device_config device_config(const DeviceSettings &device)
{
    const GeneratorSettings &g = device.generator;
    iom_device_config config = {};
    config.outstanding = g.outstanding;
    // `rate` is requests per 1000 cycles; thousandths of a request keep their exact value.
    config.rate_requests = static_cast<uint64_t>(std::llround(g.rate * 1000.0));
    config.rate_cycles = 1000000;
    config.burst = g.burst_requests;
    config.start = IOM_NEVER;
    return config;
}

// Nanoseconds to ticks, rounding up (unit rule 8).
uint64_t ticks(uint64_t ns, uint32_t tick_ps)
{
    return iom_div_ceil(ns * 1000, tick_ps);
}

// A decimal fraction of at most six places, exact.
void set_scale(iom_replay_config &config, double scale, uint64_t trace_tick_ps, uint32_t tick_ps)
{
    config.scale_numerator = static_cast<uint64_t>(std::llround(scale * 1e6)) * trace_tick_ps;
    config.scale_denominator = UINT64_C(1000000) * tick_ps;
}

} // namespace

iom_iommu_config iommu_config(const SystemConfig &settings, const iom_arch &arch, uint32_t inputs)
{
    iom_iommu_config config = {};
    config.arch = &arch;
    config.wiring = settings.iommu.wiring == Wiring::fused ? IOM_WIRING_FUSED : IOM_WIRING_CHAINED;
    config.inputs = inputs;
    config.hop_cycles = settings.iommu.hop_cycles;
    config.pcie_ordering = settings.frontend.pcie_ordering;
    config.arbitration = settings.frontend.arbitration == Arbitration::fixed ? IOM_ARBITRATION_FIXED
                                                                             : IOM_ARBITRATION_ROUND_ROBIN;
    config.front_latency_cycles = settings.frontend.latency_cycles;
    config.front_lookups_per_cycle = settings.frontend.lookups_per_cycle;
    set_lookup(config, IOM_LOOKUP_CONTEXT, settings.context_cache);
    set_lookup(config, IOM_LOOKUP_PASID, settings.pasid_cache);
    set_lookup(config, IOM_LOOKUP_IOTLB, settings.iotlb);
    config.iotlb_tagging = settings.iotlb.tag_by == IotlbTag::source ? IOM_TAG_BY_SOURCE : IOM_TAG_BY_DOMAIN;
    config.stage_queue_depth = settings.frontend.ingress_depth;
    config.miss_entries = settings.miss_table.entries;
    config.merges_per_entry = settings.miss_table.merges_per_entry;
    config.hit_under_miss = settings.miss_table.hit_under_miss;
    config.squash_walks = true;
    config.walkers = settings.walker.walkers;
    config.walk_queue_depth = settings.walker.queue_depth;
    config.step_cycles = settings.walker.step_cycles;
    set_psc_stage(config, 1, settings.psc.stage1);
    set_psc_stage(config, 2, settings.psc.stage2);
    config.psc.latency_cycles = settings.psc.latency_cycles;
    config.psc_lookups_per_cycle = settings.psc.lookups_per_cycle;
    config.memory_queue_depth = settings.memory.queue_depth;
    config.seed = settings.run.seed;
    return config;
}

iom_memory_config memory_config(const SystemConfig &settings)
{
    iom_memory_config config = {};
    config.latency_cycles = settings.memory.latency_cycles;
    config.bytes_per_cycle = settings.memory.bytes_per_cycle;
    config.outstanding = settings.memory.outstanding;
    config.llc = geometry(settings.memory.llc);
    config.llc.match = IOM_TAG_ADDRESS;
    config.llc_latency_cycles = settings.memory.llc.latency_cycles;
    config.seed = settings.run.seed;
    return config;
}

// ---- building ------------------------------------------------------------------------------------------

System::System(const SystemConfig &config) : config_(config), arch_(make_architecture(config))
{
    iom_netlist_init(&netlist_);
    try {
        make_memory();
        make_mapper();
        if (!config_.trace.file.empty())
            make_replay();
        else
            make_devices();
        uint32_t inputs =
            replay_ != nullptr ? iom_replay_device_count(replay_) : static_cast<uint32_t>(devices_.size());
        make_iommu(inputs);
        make_driver();
        connect_host();
        attach_and_map();
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
    devices_.clear();
    for (iom_link *link : links_)
        iom_link_destroy(link);
    if (replay_ != nullptr)
        iom_replay_destroy(replay_);
    if (reader_ != nullptr)
        iom_trace_reader_close(reader_);
    if (driver_ != nullptr)
        iom_driver_destroy(driver_);
    if (iommu_made_)
        iom_iommu_free(&iommu_);
    if (mapper_ != nullptr)
        iom_mapper_destroy(mapper_);
    iom_memory_destroy(memory_);
    iom_memory_image_destroy(image_);
}

void System::make_memory()
{
    image_ = iom_memory_image_create();
    uint64_t base = config_.memory.base;
    if (image_ == nullptr || !iom_memory_image_add_range(image_, base, base + config_.memory.size_bytes - 1))
        throw std::bad_alloc();
    iom_memory_config memory = memory_config(config_);
    memory.inputs = memory_inputs;
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
    iom_iommu_config config = iommu_config(config_, arch_->arch(), inputs);
    iommu_made_ = true;
    const char *error =
        iom_iommu_init(&iommu_, &config, "iommu0", &netlist_, iom_memory_input(memory_, memory_dma),
                       iom_memory_input(memory_, memory_table));
    if (error != nullptr)
        throw std::runtime_error(std::string("iommu0: ") + error);
    if (!iom_netlist_add(&netlist_, iom_memory_unit(memory_)))
        throw std::bad_alloc();
    for (uint32_t i = 0; i < devices_.size(); i++) {
        if (!iom_netlist_add(&netlist_, iom_device_unit(devices_[i])))
            throw std::bad_alloc();
        connect_device(iom_device_port(devices_[i]), i);
    }
    for (uint32_t i = 0; replay_ != nullptr && i < iom_replay_device_count(replay_); i++)
        connect_device(iom_replay_device_port(replay_, i), i);
}

// A link of limited width is a unit of its own, one cycle away from the device. Returns the port that
// goes on to the IOMMU.
iom_port *System::insert_link(iom_port *port, uint32_t input)
{
    if (config_.link.bytes_per_cycle == 0)
        return port;
    iom_link_unit_config settings = {config_.link.bytes_per_cycle, config_.link.header_bytes};
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

void System::connect_device(iom_port *port, uint32_t input)
{
    port = insert_link(port, input);
    iom_link_config link = {};
    link.latency = config_.link.latency_cycles;
    link.response_latency = config_.link.return_latency_cycles;
    link.credit_latency = 1;
    link.depth = config_.frontend.ingress_depth;
    if (!iom_netlist_connect(&netlist_, port, iom_iommu_input(&iommu_, input), &link))
        throw std::bad_alloc();
}

void System::make_driver()
{
    iom_driver_config config = {};
    config.bring_up = true;
    config.store_cycles = 1;
    config.poll_cycles = config_.driver.poll_cycles;
    config.on_ready = [](void *context, iom_cycle) { static_cast<System *>(context)->stop_ = true; };
    config.on_ready_context = this;
    driver_ = iom_driver_create(&config, mapper_, "driver");
    if (driver_ == nullptr || !iom_netlist_add(&netlist_, iom_driver_unit(driver_)))
        throw std::bad_alloc();
}

// The host's ports: stores to memory, register access. A replay stores for itself; the driver brings the
// IOMMU up in either case.
void System::connect_host()
{
    iom_link_config link = {};
    link.latency = config_.driver.mmio_cycles;
    link.response_latency = config_.driver.mmio_cycles;
    link.credit_latency = 1;
    link.depth = 8;
    bool ok = iom_netlist_connect(&netlist_, iom_driver_port(driver_, IOM_DRIVER_MMIO),
                                  iom_register_unit_mmio(iommu_.registers), &link);
    iom_port *stores = iom_driver_port(driver_, IOM_DRIVER_MEMORY);
    if (replay_ != nullptr) {
        ok = ok && iom_netlist_add(&netlist_, iom_replay_unit(replay_));
        stores = iom_replay_memory_port(replay_);
    }
    link.latency = link.response_latency = config_.iommu.hop_cycles;
    link.depth = config_.memory.queue_depth;
    ok = ok && iom_netlist_connect(&netlist_, stores, iom_memory_input(memory_, memory_host), &link);
    if (!ok)
        throw std::bad_alloc();
}

void System::make_devices()
{
    for (const DeviceSettings &settings : config_.devices) {
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
    config.device_latency = ticks(config_.trace.device_latency_ns, config_.clock.tick_ps);
    config.map_cycles = config_.driver.map_cycles;
    config.unmap_cycles = config_.driver.unmap_cycles;
    set_scale(config, config_.trace.time_scale, iom_trace_reader_header(reader_)->tick_ps,
              config_.clock.tick_ps);
    if (config_.run.requests != 0)
        config.requests = config_.run.requests + config_.run.warmup_requests;
    config.start = IOM_NEVER;
    completions_.push_back(std::make_unique<Completion>());
    completions_.back()->system = this;
    config.on_completed = on_completed;
    config.hook_context = completions_.back().get();
    replay_ = iom_replay_create(&config, reader_, mapper_, "replay", &error);
    if (replay_ == nullptr)
        throw std::runtime_error(error.text);
}

// ---- before the run ------------------------------------------------------------------------------------

void System::check(iom_mapper_result result, const std::string &what) const
{
    switch (result) {
    case IOM_MAPPER_OK:
    case IOM_MAPPER_ALREADY:
        return;
    case IOM_MAPPER_NO_MEMORY:
        throw std::runtime_error(what +
                                 ": simulated memory is full; raise memory.size or shrink the windows");
    case IOM_MAPPER_REFUSED:
    case IOM_MAPPER_NOT_MAPPED:
        throw std::runtime_error(what +
                                 ": the translation tables cannot express it; check vtd.mode, the number of "
                                 "levels, address widths and PASIDs");
    }
}

namespace
{

struct DomainOf {
    uint32_t domain;
    static uint32_t of(void *context, uint32_t, uint32_t)
    {
        return static_cast<DomainOf *>(context)->domain;
    }
};

} // namespace

void System::attach_and_map()
{
    if (replay_ != nullptr) {
        iom_trace_error error = {};
        if (!iom_replay_prepare(replay_, image_, &error))
            throw std::runtime_error(error.text);
        return;
    }
    for (size_t i = 0; i < devices_.size(); i++) {
        const DeviceSettings &device = config_.devices[i];
        uint32_t pasid = device.pasid.value_or(IOM_NO_PASID);
        iom_software_result attached = arch_->software().attach(
            iom_mapper_software(mapper_), device.source_id, pasid, device.domain, arch_->attachment());
        if (attached != IOM_SOFTWARE_OK && attached != IOM_SOFTWARE_ALREADY)
            check(attached == IOM_SOFTWARE_NO_MEMORY ? IOM_MAPPER_NO_MEMORY : IOM_MAPPER_REFUSED,
                  "devices: " + device.name + ": attaching it to domain " + std::to_string(device.domain));
        if (!config_.driver.premap || arch_->attachment() == IOM_SOFTWARE_BYPASS)
            continue;
        DomainOf domain = {device.domain};
        check(iom_driver_premap(mapper_, image_, generators_[i], DomainOf::of, &domain),
              "devices: " + device.name + ": mapping its window");
    }
}

// ---- during the run ------------------------------------------------------------------------------------

void System::on_completed(void *context, uint64_t total)
{
    Completion *completion = static_cast<Completion *>(context);
    System *system = completion->system;
    system->completed_ += total - completion->total;
    completion->total = total;
    if (system->completed_ >= system->stop_at_)
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
    for (iom_device *device : devices_)
        iom_device_start(device, cycle);
}

bool System::traffic_finished() const
{
    if (replay_ != nullptr)
        return iom_replay_finished(replay_);
    for (const iom_device *device : devices_) {
        if (!iom_device_finished(device))
            return false;
    }
    return true;
}

const char *System::error() const
{
    const char *error = iom_driver_error(driver_);
    if (error == nullptr && replay_ != nullptr)
        error = iom_replay_error(replay_);
    return error;
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
}

} // namespace iommu_sim
