// SPDX-License-Identifier: Apache-2.0
//
// The test bench of a record. See rig.h.
#include "models/timing/rig.h"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <string>

#include "models/system_settings.h"
#include "models/systemc/systemc_kernel.h"

namespace iommu_sim::timing
{

namespace
{

/// Inputs of the memory: those of the IOMMU share its channels, the driver's writes do not.
enum {
    memory_tables,
    memory_commands,
    memory_records,
    memory_channel_inputs,
    memory_driver = memory_channel_inputs,
    memory_inputs
};

/// How far beyond the end of the record a run goes: something that is late is seen to end.
constexpr iom_cycle overtime_cycles = 20'000;

void set_size(CacheGeometry &cache, uint32_t entries)
{
    cache.entries = entries;
    cache.ways = std::max(entries, 1u); // fully associative
}

/// What the hardware of a record can do: README of the records, section 2, "Builds".
void set_features(const Build &build, RiscvSettings &riscv)
{
    RiscvFeatures features = {};
    features.sv48 = features.sv57 = features.sv48x4 = features.sv57x4 = features.svpbmt = false;
    features.amo_mrif = features.amo_hwad = features.ats = features.t2gpa = false;
    features.msi_interrupts = features.performance_monitor = features.debug = false;
    features.msi_flat = build.msi != MsiTables::none;
    features.msi_mrif = build.msi == MsiTables::flat_and_mrif;
    riscv.features = features;
    riscv.capabilities = 0;
    riscv.choices.no_process_contexts = !build.process_contexts;
}

/// What a latency of the record leaves to the engine when `hop` cycles of it are spent on the way back.
uint32_t rest_of(uint32_t latency_cycles, iom_cycle hop, const char *what)
{
    if (latency_cycles < hop)
        throw std::runtime_error(std::string(what) + " is less than the latency of the connection (hops)");
    return static_cast<uint32_t>(latency_cycles - hop);
}

Outcome outcome_of(const iom_sequence_result &result)
{
    Outcome outcome;
    outcome.presented = result.presented;
    outcome.accepted = result.accepted;
    outcome.done = result.done;
    outcome.responded = result.responded;
    switch (static_cast<iom_outcome>(result.outcome)) {
    case IOM_OUTCOME_NONE:
        break;
    case IOM_OUTCOME_FAULT:
    case IOM_OUTCOME_DENIED:
        outcome.result = Result::fault;
        if (result.fault != 0)
            outcome.cause = result.fault;
        break;
    default:
        outcome.result = Result::address;
        outcome.address = result.output;
        break;
    }
    return outcome;
}

} // namespace

SystemConfig config_of(const SystemConfig &profile, const Record &record)
{
    if (profile.axi.beat_bytes == 0)
        throw std::runtime_error("axi.beat_bytes: records need an AXI port in front of the IOMMU");
    if (profile.memory.channels.beat_bytes == 0)
        throw std::runtime_error("memory.channels.beat_bytes: records need a memory port with channels");
    SystemConfig config = profile;
    const Build &build = record.build;
    set_size(config.iotlb, build.iotlb_entries);
    set_size(config.context_cache, build.ddtc_entries);
    set_size(config.pasid_cache, build.pdtc_entries);
    config.axi.boundary_check = build.boundary_check;
    config.iommu.arch = Architecture::riscv;
    set_features(build, config.riscv);
    config.memory.latency_cycles =
        rest_of(record.read_latency_cycles, hop_of(profile, profile.hops.tables).back, "mem_read_latency");
    config.memory.channels.write_latency_cycles = rest_of(
        record.write_latency_cycles, hop_of(profile, profile.hops.commands).back, "mem_write_latency");
    config.memory.bytes_per_cycle = 0;
    config.memory.outstanding = 0;
    return config;
}

Rig::Rig(const SystemConfig &profile, const Record &record, KernelKind kernel)
    : record_(record), config_(config_of(profile, record)), driver_(record, profile.axi.beat_bytes)
{
    iom_netlist_init(&netlist_);
    try {
        make();
        if (kernel == KernelKind::systemc)
            kernel_ = std::make_unique<SystemcKernel>(netlist_, partition_by_unit(netlist_), 1000);
        else
            kernel_ = std::make_unique<CoreKernel>(netlist_);
    } catch (const std::invalid_argument &problem) { // connections that no kernel can play (models/kernel.h)
        free_all(); // the destructor does not run for an object that was not finished
        throw std::runtime_error(connections_text(problem));
    } catch (...) {
        free_all();
        throw;
    }
}

Rig::~Rig()
{
    free_all();
}

void Rig::free_all()
{
    kernel_.reset();
    iom_netlist_free(&netlist_);
    iom_sequence_destroy(sequence_);
    iom_axi_port_destroy(axi_);
    if (iommu_made_)
        iom_iommu_free(&iommu_);
    iom_memory_destroy(target_);
    iom_memory_destroy(memory_);
    iom_tracker_destroy(tracker_);
    iom_memory_image_destroy(image_);
}

// ---- building ------------------------------------------------------------------------------------------

void Rig::make()
{
    make_memory();
    make_iommu();
    make_driver();
    connect();
    set_registers();
    ObserverConfig observed;
    // No driver is modelled: what a drained queue has carried out counts as reported.
    observed.drained = [this](iom_cycle now) {
        iom_tracker_completed(tracker_, now, iommu_.arch.iommu);
        drained_.push_back(now);
    };
    observed.arch = &iommu_.arch;
    observed.beat_bytes = config_.memory.channels.beat_bytes;
    observed.read_response_cycles = hop_of(config_, config_.hops.tables).back;
    observed.write_latency_cycles = record_.write_latency_cycles;
    observer_ = std::make_unique<Observer>(observed, memory_, iommu_.registers, iom_iommu_front(&iommu_));
}

void Rig::make_memory()
{
    image_ = iom_memory_image_create();
    // Every address answers: what no record wrote reads as zero.
    if (image_ == nullptr || !iom_memory_image_add_range(image_, 0, iom_low_bits(UINT64_MAX, 57)))
        throw std::bad_alloc();
    for (const auto &[address, word] : record_.memory) {
        if (!iom_memory_image_write(image_, address, &word, sizeof word))
            throw std::bad_alloc();
    }
    for (const auto &[address, response] : record_.read_errors) {
        if (response != 0 && !iom_memory_image_mark(image_, address, IOM_ACCESS_POISONED))
            throw std::bad_alloc();
    }
    if (config_.tracker.enabled) {
        iom_tracker_config watch = {};
        watch.image = image_;
        watch.iommus = 1;
        watch.iommu[0].arch = &iommu_.arch; // filled in with the IOMMU
        watch.findings_per_kind = std::max<uint32_t>(1, static_cast<uint32_t>(record_.requests.size()));
        tracker_ = iom_tracker_create(&watch);
        if (tracker_ == nullptr)
            throw std::bad_alloc();
    }
    iom_memory_config memory = memory_config(config_);
    memory.tracker = tracker_;
    memory.inputs = memory_inputs;
    memory.channels.inputs = memory_channel_inputs;
    memory_ = iom_memory_create(&memory, image_, "memory");
    iom_memory_config target = {};
    target.tracker = tracker_;
    target.inputs = 1;
    target.latency_cycles =
        rest_of(record_.sink_latency_cycles, hop_of(config_, config_.hops.target).back, "sink_latency");
    target_ = iom_memory_create(&target, image_, "target");
    if (memory_ == nullptr || target_ == nullptr)
        throw std::bad_alloc();
}

void Rig::make_iommu()
{
    architecture_ = make_architecture(config_);
    arch_ = architecture_->arch();
    iom_iommu_config config = iommu_config(config_, arch_, 1);
    config.tracker = tracker_;
    iommu_made_ = true;
    const char *error = iom_iommu_init(
        &iommu_, &config, "iommu0", &netlist_, nullptr, iom_memory_input(memory_, memory_tables),
        iom_memory_input(memory_, memory_commands), iom_memory_input(memory_, memory_records));
    if (error != nullptr)
        throw std::runtime_error(std::string("iommu0: ") + error);
}

void Rig::make_driver()
{
    const iom_axi_port_config port = axi_port_config(config_);
    axi_ = iom_axi_port_create(&port, "iommu0.axi");
    const iom_sequence_config sequence = driver_.config();
    if (const char *wrong = iom_sequence_config_error(&sequence))
        throw std::runtime_error(wrong);
    sequence_ = iom_sequence_create(&sequence, "driver");
    if (axi_ == nullptr || sequence_ == nullptr)
        throw std::bad_alloc();
}

void Rig::connect_one(iom_port *requester, iom_port *responder, iom_hop hop, uint32_t depth)
{
    const iom_link_config link = {hop.there, hop.back, 1, depth};
    if (!iom_netlist_connect(&netlist_, requester, responder, &link))
        throw std::bad_alloc();
}

void Rig::connect()
{
    for (iom_unit *unit : {iom_memory_unit(memory_), iom_memory_unit(target_), iom_axi_port_unit(axi_),
                           iom_sequence_unit(sequence_)}) {
        if (!iom_netlist_add(&netlist_, unit))
            throw std::bad_alloc();
    }
    const auto sequence = [this](enum iom_sequence_port port) { return iom_sequence_port(sequence_, port); };
    const auto axi = [this](enum iom_axi_port_port port) { return iom_axi_port_port(axi_, port); };
    // What the driver is told and what it writes to memory takes no time: it stands for a bench.
    constexpr iom_hop at_once = {0, 1};
    const HopsSettings &hops = config_.hops;
    const iom_hop devices = hop_of(config_, hops.devices);
    connect_one(sequence(IOM_SEQUENCE_READ), axi(IOM_AXI_READ), devices, 1);
    connect_one(sequence(IOM_SEQUENCE_WRITE), axi(IOM_AXI_WRITE), devices, 1);
    connect_one(axi(IOM_AXI_EVENTS), sequence(IOM_SEQUENCE_EVENTS), at_once, 0);
    connect_one(axi(IOM_AXI_LOOK_UP), iom_iommu_input(&iommu_, 0), hop_of(config_, hops.look_up), 0);
    connect_one(axi(IOM_AXI_MEMORY), iom_memory_input(target_, 0), hop_of(config_, hops.target), 0);
    connect_one(sequence(IOM_SEQUENCE_REGISTERS), iom_register_unit_mmio(iommu_.registers),
                hop_of(config_, hops.registers), 0);
    connect_one(sequence(IOM_SEQUENCE_MEMORY_PORT), iom_memory_input(memory_, memory_driver), at_once, 0);
    connect_one(iom_command_queue_port(iommu_.queue, IOM_COMMAND_QUEUE_STATUS), sequence(IOM_SEQUENCE_QUEUE),
                at_once, 0);
}

// ---- registers -----------------------------------------------------------------------------------------

// Outside the simulation: what a write asks for beyond registers is done at once.
void Rig::write_register(uint32_t offset, unsigned bytes, uint64_t value)
{
    const iom_arch_ops &ops = *iommu_.arch.ops;
    void *state = iom_register_unit_state(iommu_.registers);
    const uint32_t actions = ops.write(&iommu_.arch, state, offset, bytes, value);
    if (actions & 1u << IOM_ACTION_UPDATE_VIEW)
        ops.action_done(&iommu_.arch, state, IOM_ACTION_UPDATE_VIEW);
    if (actions & 1u << IOM_ACTION_INVALIDATE) {
        iom_invalidation unused; // caches are empty
        while (ops.next_invalidation(&iommu_.arch, state, &unused))
            continue;
        ops.action_done(&iommu_.arch, state, IOM_ACTION_INVALIDATE);
    }
}

void Rig::set_registers()
{
    constexpr unsigned ppn_shift = 10;
    const RegisterSetup &setup = record_.registers;
    const auto queue_base = [](uint64_t ppn, uint32_t entries) {
        return ppn << ppn_shift | (iom_log2_u64(entries) - 1);
    };
    if (setup.wired_interrupts)
        write_register(IOM_RISCV_FCTL, 4, IOM_RISCV_FCTL_WSI);
    write_register(IOM_RISCV_CQB, 8, queue_base(setup.cqb_ppn, setup.cq_entries));
    write_register(IOM_RISCV_FQB, 8, queue_base(setup.fqb_ppn, setup.fq_entries));
    write_register(IOM_RISCV_CQCSR, 4, setup.cq_enabled ? 1 : 0);
    write_register(IOM_RISCV_FQCSR, 4, setup.fq_enabled ? 1 : 0);
    write_register(IOM_RISCV_DDTP, 8, setup.ddtp_ppn << ppn_shift | setup.ddtp_mode);
    iom_iommu_sync_view(&iommu_);
    if (tracker_ != nullptr) {
        iom_view view;
        iommu_.arch.ops->view(&iommu_.arch, iom_register_unit_state(iommu_.registers), &view);
        iom_tracker_view(tracker_, 0, 0, &view);
    }
}

// ---- playing -------------------------------------------------------------------------------------------

// A change that software never invalidated is its own fault, not that of the hardware; and a request that
// waited for its turn when the queue was drained was there before.
bool Rig::is_stale(const iom_finding &finding) const
{
    if (finding.kind != IOM_FINDING_HAZARD || !finding.has_request || finding.covered == IOM_NEVER)
        return false;
    const auto gone = std::lower_bound(drained_.begin(), drained_.end(), finding.covered);
    const auto request = static_cast<uint32_t>(finding.request);
    return gone != drained_.end() && *gone < iom_sequence_result_of(sequence_, request)->presented;
}

std::vector<uint32_t> Rig::stale_requests() const
{
    std::vector<uint32_t> requests;
    for (size_t i = 0; tracker_ != nullptr && i < iom_tracker_finding_count(tracker_); i++) {
        const iom_finding &finding = *iom_tracker_finding(tracker_, i);
        if (is_stale(finding))
            requests.push_back(static_cast<uint32_t>(finding.request));
    }
    std::sort(requests.begin(), requests.end());
    requests.erase(std::unique(requests.begin(), requests.end()), requests.end());
    return requests;
}

Playback Rig::play()
{
    kernel_->run(record_.cycles + overtime_cycles, nullptr);
    if (tracker_ != nullptr)
        iom_tracker_settle(tracker_, kernel_->now());
    Playback playback;
    for (uint32_t i = 0; i < record_.requests.size(); i++)
        playback.seen.requests.push_back(outcome_of(*iom_sequence_result_of(sequence_, i)));
    for (uint32_t i = 0; i < record_.ops.size(); i++) {
        const iom_sequence_op_result *result = iom_sequence_op_result_of(sequence_, i);
        playback.seen.ops.push_back({result->start, result->done});
    }
    playback.seen.activity = observer_->activity();
    playback.stale = stale_requests();
    return playback;
}

} // namespace iommu_sim::timing
