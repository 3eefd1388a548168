// SPDX-License-Identifier: Apache-2.0
//
// Building the system of a scenario. See build.h.
#include "models/scenario/build.h"

#include <algorithm>
#include <stdexcept>

#include "models/scenario/tables_view.h"
#include "models/system_settings.h"

namespace iommu_sim
{

namespace
{

void require(bool good)
{
    if (!good)
        throw std::bad_alloc();
}

} // namespace

ScenarioSystem::ScenarioSystem(const Scenario &scenario, OnReport on_report, void *context)
    : arch(make_architecture(scenario.system)), scenario_(scenario)
{
    iom_netlist_init(&netlist);
    try {
        make_memory();
        make_mapper();
        make_host(on_report, context);
        make_iommu();
        connect_host();
        uint32_t device_tlb = 0;
        for (uint32_t i = 0; i < scenario_.system.devices.size(); i++)
            connect_device(i, device_tlb);
        set_up();
        resolve();
    } catch (...) {
        free_all(); // the destructor does not run for an object that was not finished
        throw;
    }
}

ScenarioSystem::~ScenarioSystem()
{
    free_all();
}

void ScenarioSystem::free_all()
{
    iom_netlist_free(&netlist);
    for (iom_device_tlb *tlb : device_tlbs) {
        if (tlb != nullptr)
            iom_device_tlb_destroy(tlb);
    }
    for (iom_link *link : links)
        iom_link_destroy(link);
    if (host != nullptr)
        iom_host_destroy(host);
    if (iommu_made)
        iom_iommu_free(&iommu);
    if (mapper != nullptr)
        iom_mapper_destroy(mapper);
    if (memory != nullptr)
        iom_memory_destroy(memory);
    if (tracker != nullptr)
        iom_tracker_destroy(tracker); // behind everything that may still hold one of its nodes
    iom_memory_image_destroy(image);
}

void ScenarioSystem::make_memory()
{
    const SystemConfig &system = scenario_.system;
    image = iom_memory_image_create();
    require(image != nullptr);
    require(iom_memory_image_add_range(image, system.memory.base,
                                       system.memory.base + system.memory.size_bytes - 1));
    iom_tracker_config watch = {};
    watch.image = image;
    watch.iommus = 1;
    watch.iommu[0].arch = &arch->arch();
    watch.iommu[0].leaf_attributes = arch->hardware_traits().leaf_attributes;
    tracker = iom_tracker_create(&watch);
    require(tracker != nullptr);
    iom_tracker_expect_driver(tracker);
    iom_memory_config config = memory_config(system);
    config.inputs = memory_inputs;
    config.tracker = tracker;
    memory = iom_memory_create(&config, image, "memory");
    if (memory == nullptr)
        throw std::runtime_error("system.memory.llc: the geometry cannot be built or memory is out");
}

void ScenarioSystem::make_mapper()
{
    const SystemConfig &system = scenario_.system;
    // Tables lie in the upper half: physical addresses that a scenario names are below.
    iom_software_config software = {&arch->arch(), arch->software_settings()};
    iom_mapper_config config = {};
    config.software = &arch->software();
    config.settings = &software;
    config.kind = arch->attachment();
    config.ram_first = system.memory.base + system.memory.size_bytes / 2;
    config.ram_last = system.memory.base + system.memory.size_bytes - 1;
    config.page_log2 = page_log2(system.driver.page_size);
    config.seed = system.run.seed;
    iom_store_sink sink = iom_mapper_image_sink(image);
    const char *error = nullptr;
    mapper = iom_mapper_create(&config, &sink, "driver", &error);
    if (mapper == nullptr)
        throw std::runtime_error(std::string("system.memory.size: ") +
                                 (error != nullptr ? error : "out of memory"));
}

namespace
{

std::vector<iom_host_domain> host_domains(const Scenario &scenario, const SoftwareTraits &traits)
{
    std::vector<iom_host_domain> domains;
    for (const uint32_t id : scenario.domains) {
        iom_host_domain domain = {};
        domain.id = id;
        domain.first_stage = traits.first_stage;
        domain.policy = flush_policy(scenario.system);
        domains.push_back(domain);
    }
    return domains;
}

iom_host_costs costs_of(const Scenario &scenario)
{
    iom_host_costs costs = host_costs(scenario.system.driver);
    costs.op_cycles = scenario.host.op_cycles;
    costs.attach_cycles = scenario.host.attach_cycles;
    costs.scan_cycles = scenario.host.scan_cycles;
    return costs;
}

} // namespace

void ScenarioSystem::make_host(OnReport on_report, void *context)
{
    const SystemConfig &system = scenario_.system;
    const SoftwareTraits traits = arch->software_traits();
    const std::vector<iom_host_device> devices = host_devices(system);
    const std::vector<iom_host_domain> domains = host_domains(scenario_, traits);
    std::vector<iom_host_program> threads;
    for (const ScenarioThread &thread : scenario_.threads) {
        programs.emplace_back();
        for (const ScenarioStep &step : thread.steps)
            programs.back().push_back(step.op);
        iom_host_program program = {};
        program.ops = programs.back().data(); // vectors of vectors: stays when `programs` grows
        program.count = static_cast<uint32_t>(programs.back().size());
        program.cpu = thread.cpu;
        program.start = thread.start;
        program.name = thread.name.c_str();
        threads.push_back(program);
    }
    std::vector<const char *> locks;
    for (const std::string &lock : scenario_.locks)
        locks.push_back(lock.c_str());
    iom_host_config config = {};
    config.devices = devices.data();
    config.device_count = static_cast<uint32_t>(devices.size());
    config.domains = domains.data();
    config.domain_count = static_cast<uint32_t>(domains.size());
    config.programs = threads.data();
    config.program_count = static_cast<uint32_t>(threads.size());
    config.locks = locks.data();
    config.lock_count = static_cast<uint32_t>(locks.size());
    config.event_count = static_cast<uint32_t>(scenario_.events.size());
    config.cpus = system.driver.cpus;
    config.costs = costs_of(scenario_);
    while ((UINT64_C(1) << config.queue_log2) < system.command_queue.size_bytes)
        config.queue_log2++;
    config.check_errors = system.driver.check_errors;
    config.batch = system.driver.batch;
    config.coherent = traits.coherent;
    config.caching_mode = traits.caching_mode;
    config.pasid_tables = traits.pasid_tables;
    config.default_pasid = traits.default_pasid;
    config.pasid_slots = scenario_.host.pasid_slots;
    config.bring_up = true;
    config.tracker = tracker;
    config.on_report = on_report;
    config.hook_context = context;
    char error[256] = "";
    host = iom_host_create(&config, mapper, "host", error, sizeof error);
    if (host == nullptr)
        throw std::runtime_error(scenario_.id + ": " + (error[0] != '\0' ? error : "out of memory"));
}

void ScenarioSystem::make_iommu()
{
    std::vector<uint32_t> streams;
    for (const DeviceSettings &device : scenario_.system.devices) {
        if (device.device_tlb.entries != 0)
            streams.push_back(device.source_id);
    }
    iom_iommu_config config =
        iommu_config(scenario_.system, *arch, static_cast<uint32_t>(scenario_.system.devices.size()));
    config.ats_devices = static_cast<uint32_t>(streams.size());
    config.ats_streams = streams.data();
    config.tracker = tracker;
    iommu_made = true;
    const char *error =
        iom_iommu_init(&iommu, &config, "iommu0", &netlist, iom_memory_input(memory, memory_dma),
                       iom_memory_input(memory, memory_table), iom_memory_input(memory, memory_queue),
                       iom_memory_input(memory, memory_registers));
    if (error != nullptr)
        throw std::runtime_error(std::string("iommu0: ") + error);
    require(iom_netlist_add(&netlist, iom_memory_unit(memory)));
}

void ScenarioSystem::connect_host()
{
    const SystemConfig &system = scenario_.system;
    require(iom_netlist_add(&netlist, iom_host_unit(host)));
    iom_link_config link = {system.driver.mmio_cycles, system.driver.mmio_cycles, 1, 8};
    require(iom_netlist_connect(&netlist, iom_host_port(host, IOM_HOST_PORT_MMIO),
                                iom_register_unit_mmio(iommu.registers), &link));
    link = {system.iommu.hop_cycles, system.iommu.hop_cycles, 1, system.memory.queue_depth};
    require(iom_netlist_connect(&netlist, iom_host_port(host, IOM_HOST_PORT_MEMORY),
                                iom_memory_input(memory, memory_host), &link));
}

// host -> (device TLB) -> link -> IOMMU, and the fan-out's way back to the device TLB.
void ScenarioSystem::connect_device(uint32_t index, uint32_t &device_tlb)
{
    const SystemConfig &system = scenario_.system;
    const DeviceSettings &device = system.devices[index];
    const iom_link_config wire = {1, 1, 1, system.frontend.ingress_depth};
    iom_port *port = iom_host_port(host, IOM_HOST_PORT_DMA + index);
    device_tlbs.push_back(nullptr);
    if (device.device_tlb.entries != 0) {
        iom_device_tlb_config config = device_tlb_config(system, device);
        config.index = device_tlb;
        config.tracker = tracker;
        iom_device_tlb *tlb = iom_device_tlb_create(&config, (device.name + ".device_tlb").c_str());
        if (tlb == nullptr)
            throw std::runtime_error("system.devices: " + device.name +
                                     ": device_tlb: the geometry cannot be built");
        device_tlbs.back() = tlb;
        require(iom_netlist_add(&netlist, iom_device_tlb_unit(tlb)));
        require(iom_netlist_connect(&netlist, port, iom_device_tlb_port(tlb, IOM_DEVICE_TLB_DEVICE), &wire));
        port = iom_device_tlb_port(tlb, IOM_DEVICE_TLB_HOST);
    }
    // A link unit always: it keeps completions of invalidations behind posted writes.
    iom_link_unit_config settings = link_unit_config(system.link);
    settings.bytes_per_cycle = std::max(settings.bytes_per_cycle, 1u);
    links.push_back(iom_link_create(&settings, ("link" + std::to_string(index)).c_str()));
    iom_link *link = links.back();
    require(link != nullptr && iom_netlist_add(&netlist, iom_link_unit(link)));
    require(iom_netlist_connect(&netlist, port, iom_link_device_port(link), &wire));
    const iom_link_config up = {link_hop_cycles, system.link.return_latency_cycles, 1,
                                system.frontend.ingress_depth};
    require(iom_netlist_connect(&netlist, iom_link_host_port(link), iom_iommu_input(&iommu, index), &up));
    if (device_tlbs.back() == nullptr)
        return;
    const iom_link_config down = {system.link.return_latency_cycles, link_hop_cycles, 1,
                                  IOM_INVALIDATION_TAGS};
    const iom_link_config last = {1, 1, 1, IOM_INVALIDATION_TAGS};
    require(iom_netlist_connect(&netlist, iom_link_invalidate_port(link),
                                iom_device_tlb_port(device_tlbs.back(), IOM_DEVICE_TLB_INVALIDATE), &last));
    require(iom_netlist_connect(&netlist, iom_iommu_ats_port(&iommu, device_tlb), iom_link_fanout_port(link),
                                &down));
    device_tlb++;
}

// ---- before cycle 0 --------------------------------------------------------------------------------------

void ScenarioSystem::set_up()
{
    for (const ScenarioSetup &entry : scenario_.setup) {
        iom_mapper_result result =
            entry.attach ? iom_host_prepare_attach(host, image, entry.device, entry.pasid, entry.domain)
                         : iom_host_prepare_map(host, image, entry.domain, entry.iova, entry.address,
                                                entry.bytes, entry.permissions, entry.page_log2);
        if (result == IOM_MAPPER_OK)
            continue;
        const char *why = result == IOM_MAPPER_ALREADY ? "it is there already"
                          : result == IOM_MAPPER_NO_MEMORY
                              ? "simulated memory is full; raise system.memory.size"
                              : "the translation tables cannot express it; check "
                                "system.vtd.mode (system.riscv.mode), addresses and PASIDs";
        throw std::runtime_error(scenario_.id + " (" + scenario_.variant + "): line " +
                                 std::to_string(entry.origin.line) +
                                 ": setup: " + (entry.attach ? "attach" : "map") + " in domain " +
                                 std::to_string(entry.domain) + ": " + why);
    }
}

// Addresses and values that name places in the tables.
void ScenarioSystem::resolve()
{
    const TablesView tables(arch->arch(), arch->software(), iom_mapper_software(mapper), image, scenario_);
    for (size_t t = 0; t < scenario_.threads.size(); t++) {
        for (size_t s = 0; s < scenario_.threads[t].steps.size(); s++) {
            const ScenarioStep &step = scenario_.threads[t].steps[s];
            try {
                if (step.address)
                    programs[t][s].address = static_cast<uint64_t>(tables.value(*step.address));
                if (step.value)
                    programs[t][s].value = static_cast<uint64_t>(tables.value(*step.value));
            } catch (const ExpressionError &error) {
                throw std::runtime_error(scenario_.id + " (" + scenario_.variant + "): line " +
                                         std::to_string(step.origin.line) + ": " + step.text + ": " +
                                         error.what());
            }
        }
    }
}

} // namespace iommu_sim
