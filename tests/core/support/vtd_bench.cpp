// SPDX-License-Identifier: Apache-2.0
//
// VT-d among scripted requesters. See vtd_bench.h.
#include "tests/core/support/vtd_bench.h"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <string>

namespace bench
{

namespace
{

constexpr uint64_t ram_first = 0x1000, ram_last = (uint64_t{1} << 40) - 1;
constexpr uint64_t first_table = uint64_t{1} << 38; // below are buffers; within reach of three levels

void require(bool good, const std::string &what)
{
    if (!good)
        throw std::runtime_error(what);
}

iom_cache_config cache(uint32_t entries, uint32_t ways)
{
    iom_cache_config config = {};
    config.entries = entries;
    config.ways = ways;
    config.policy = IOM_POLICY_LRU;
    config.prefer_invalid = true;
    return config;
}

} // namespace

iom_vtd_config vtd_config(bool five_levels, iom_tagging tagging)
{
    iom_vtd_features features = {};
    features.guest_address_bits = five_levels ? 57 : 48;
    features.domain_bits = 16;
    features.second_stage_levels = static_cast<uint8_t>(1u << 3 | 1u << 4 | (five_levels ? 1u << 5 : 0));
    features.pasid_bits = 20;
    features.max_address_mask = 18;
    features.fault_records = 64;
    features.second_stage_2m = features.second_stage_1g = features.scalable_mode = features.second_stage =
        true;
    features.first_stage = features.first_stage_1g = features.nested = features.pass_through = true;
    features.first_stage_5level = five_levels;
    features.pasid = features.rid_pasid = features.coherent = features.snoop_control = true;
    features.queued_invalidation = features.page_selective = features.set_root_flushes = true;
    features.device_tlb = features.drain_reads = features.drain_writes = true;
    iom_vtd_config config = {};
    const char *error = iom_vtd_capabilities(&features, &config.cap, &config.ecap);
    require(error == nullptr, error == nullptr ? "" : error);
    config.haw_bits = 46;
    config.tagging = tagging;
    error = iom_vtd_config_finish(&config);
    require(error == nullptr, error == nullptr ? "" : error);
    return config;
}

iom_iommu_config roomy_iommu(uint32_t inputs)
{
    iom_iommu_config config = {};
    config.wiring = IOM_WIRING_FUSED;
    config.inputs = inputs;
    config.hop_cycles = 1;
    config.pcie_ordering = true;
    config.arbitration = IOM_ARBITRATION_ROUND_ROBIN;
    config.front_latency_cycles = 1;
    config.front_lookups_per_cycle = 4;
    for (int i = 0; i < IOM_LOOKUP_COUNT; i++) {
        config.lookup[i].cache = cache(64, 64);
        config.lookup[i].latency_cycles = 1;
        config.lookups_per_cycle[i] = 4;
    }
    config.iotlb_tagging = IOM_TAG_BY_DOMAIN;
    config.stage_queue_depth = 64;
    config.miss_entries = 16;
    config.merges_per_entry = 16;
    config.hit_under_miss = true;
    config.squash_walks = true;
    config.walkers = 8;
    config.walk_queue_depth = 64;
    config.step_cycles = 1;
    for (auto &stage : config.psc.cache) {
        for (int level = 2; level <= 5; level++)
            stage[level] = cache(16, 16);
    }
    config.psc.latency_cycles = 1;
    config.psc_lookups_per_cycle = 4;
    config.queue_prefetch_commands = 8;
    config.queue_decode_cycles = 1;
    config.queue_max_in_flight = 16;
    config.memory_queue_depth = 64;
    config.seed = 1;
    return config;
}

iom_memory_config roomy_memory()
{
    iom_memory_config config = {};
    config.inputs = 3;
    config.latency_cycles = 1;
    config.seed = 1;
    return config;
}

// ---- the bench ----------------------------------------------------------------------------------------

VtdBench::VtdBench(const VtdBenchConfig &config)
    : devices("devices", config.iommu.inputs + 1, 0), config_(config),
      vtd_(vtd_config(config.software.second_stage_levels == 5 || config.software.first_stage_levels == 5,
                      config.tagging)),
      next_table_(first_table)
{
    iom_pool_init(&pool_, IOM_MSG_DMA, sizeof(iom_dma));
    arch_ = {&iom_vtd_ops, &vtd_, 0};
    image = iom_memory_image_create();
    require(image != nullptr && iom_memory_image_add_range(image, ram_first, ram_last), "no memory image");
    memory = iom_memory_create(&config_.memory, image, "memory");
    require(memory != nullptr, "no memory unit");
    config_.iommu.arch = &arch_;
    config_.iommu.iotlb_tagging = config.tagging;
    const char *error =
        iom_iommu_init(&iommu, &config_.iommu, "iommu0", &bench.netlist(), iom_memory_input(memory, 0),
                       iom_memory_input(memory, 1), iom_memory_input(memory, 2), nullptr);
    require(error == nullptr, error == nullptr ? "" : error);
    bench.add(iom_memory_unit(memory));
    bench.add(devices.unit());
    const uint32_t inputs = config_.iommu.inputs;
    for (uint32_t i = 0; i < inputs; i++) {
        const iom_link_config link = {config_.link_cycles, config_.link_cycles, 1, config_.link_depth};
        bench.connect(devices.port(i), iom_iommu_input(&iommu, i), link);
        devices.on(i, [this](iom_cycle now, iom_msg *msg) {
            answers_.push_back({now, reinterpret_cast<iom_dma *>(msg)});
        });
    }
    const iom_link_config mmio = {1, 1, 1, 0};
    bench.connect(devices.port(inputs), iom_register_unit_mmio(iommu.registers), mmio);
    const iom_software_config software = {&arch_, &config_.software};
    const iom_software_host host = {this, take_table, store, nullptr};
    software_ = iom_vtd_software_ops.create(&software, &host, &error);
    require(software_ != nullptr, error == nullptr ? "no software side" : error);
    bench.start();
}

VtdBench::~VtdBench()
{
    iom_vtd_software_ops.destroy(software_);
    bench.close();
    iom_iommu_free(&iommu);
    iom_memory_destroy(memory);
    iom_memory_image_destroy(image);
    iom_pool_free(&pool_);
}

bool VtdBench::take_table(void *context, unsigned size_log2, uint64_t *address)
{
    auto &self = *static_cast<VtdBench *>(context);
    const uint64_t bytes = uint64_t{1} << size_log2;
    *address = (self.next_table_ + bytes - 1) / bytes * bytes;
    self.next_table_ = *address + bytes;
    return true;
}

bool VtdBench::store(void *context, const iom_store *store)
{
    return iom_memory_image_write(static_cast<VtdBench *>(context)->image, store->address, &store->value,
                                  store->bytes);
}

void VtdBench::attach(uint32_t source, uint32_t pasid, uint32_t domain, iom_software_kind kind)
{
    require(iom_vtd_software_ops.attach(software_, source, pasid, domain, kind) == IOM_SOFTWARE_OK,
            "attach failed");
}

void VtdBench::map(uint32_t domain, uint64_t iova, uint64_t address, unsigned size_log2, uint8_t permissions)
{
    require(iom_vtd_software_ops.map(software_, domain, iova, address, size_log2, permissions, nullptr) ==
                IOM_SOFTWARE_OK,
            "map failed");
}

void VtdBench::unmap(uint32_t domain, uint64_t iova, unsigned size_log2)
{
    require(iom_vtd_software_ops.unmap(software_, domain, iova, size_log2, false, nullptr) == IOM_SOFTWARE_OK,
            "unmap failed");
}

void VtdBench::enable()
{
    iom_register_write list[16];
    const size_t count = iom_vtd_software_ops.startup(software_, list, 16);
    require(count <= 16, "start-up sequence too long");
    void *state = iom_register_unit_state(iommu.registers);
    for (size_t i = 0; i < count; i++) {
        const uint32_t actions =
            iom_vtd_ops.write(&arch_, state, list[i].offset, list[i].bytes, list[i].value);
        if ((actions & 1u << IOM_ACTION_UPDATE_VIEW) != 0)
            iom_vtd_ops.action_done(&arch_, state, IOM_ACTION_UPDATE_VIEW);
        if ((actions & 1u << IOM_ACTION_INVALIDATE) == 0)
            continue;
        iom_invalidation invalidation = {}; // the caches are empty
        while (iom_vtd_ops.next_invalidation(&arch_, state, &invalidation)) {
        }
        iom_vtd_ops.action_done(&arch_, state, IOM_ACTION_INVALIDATE);
    }
    iom_iommu_sync_view(&iommu);
}

iom_dma *VtdBench::request(uint32_t source, uint32_t pasid, uint64_t address, uint32_t bytes, unsigned flags)
{
    auto *dma = static_cast<iom_dma *>(iom_pool_take(&pool_));
    require(dma != nullptr, "no message");
    const iom_msg header = dma->msg;
    *dma = iom_dma{};
    dma->msg = header;
    dma->x.source = source;
    dma->x.address = address;
    dma->x.bytes = bytes;
    if (pasid != IOM_NO_PASID) {
        dma->x.pasid = pasid;
        flags |= IOM_REQ_PASID;
    }
    if ((flags & IOM_REQ_WRITE) != 0 && (flags & IOM_REQ_TRANSLATE) == 0)
        flags |= IOM_REQ_POSTED;
    dma->x.flags = static_cast<uint16_t>(flags);
    return dma;
}

void VtdBench::send(uint32_t device, iom_dma *dma, iom_cycle cycle)
{
    devices.at(cycle, [this, device, dma](iom_cycle now) {
        dma->issued = now;
        iom_port_send(devices.port(device), &dma->msg, now);
    });
}

const VtdBench::Answer *VtdBench::answer_of(const iom_dma *dma) const
{
    auto at = std::find_if(answers_.begin(), answers_.end(), [&](const Answer &a) { return a.dma == dma; });
    return at == answers_.end() ? nullptr : &*at;
}

iom_xlate VtdBench::pure(const iom_dma &dma) const
{
    iom_xlate x = {};
    x.address = dma.x.address;
    x.bytes = dma.x.bytes;
    x.source = dma.x.source;
    x.pasid = dma.x.pasid;
    x.flags = dma.x.flags;
    iom_translate_pure(&arch_, iom_stage_view(iom_iommu_front(const_cast<iom_iommu *>(&iommu))),
                       iom_memory_image_read_fn, image, &x);
    return x;
}

} // namespace bench
