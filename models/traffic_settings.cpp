// SPDX-License-Identifier: Apache-2.0
//
// Settings of traffic generators. See traffic_settings.h.
#include "models/traffic_settings.h"

#include <algorithm>
#include <cmath>

namespace iommu_sim
{

namespace
{

uint32_t parts_per_million(double fraction)
{
    return static_cast<uint32_t>(std::llround(fraction * IOM_PPM));
}

iom_generator_kind generator_kind(GeneratorKind kind)
{
    switch (kind) {
    case GeneratorKind::none: // no generator is made; its window counts for nothing
    case GeneratorKind::sequential:
        return IOM_GENERATOR_SEQUENTIAL;
    case GeneratorKind::strided:
        return IOM_GENERATOR_STRIDED;
    case GeneratorKind::uniform:
        return IOM_GENERATOR_UNIFORM;
    case GeneratorKind::zipf:
        return IOM_GENERATOR_ZIPF;
    case GeneratorKind::nic:
        return IOM_GENERATOR_NIC;
    case GeneratorKind::nvme:
        return IOM_GENERATOR_NVME;
    }
    return IOM_GENERATOR_UNIFORM;
}

} // namespace

iom_generator_config generator_config(const DeviceSettings &device)
{
    const GeneratorSettings &g = device.generator;
    iom_generator_config config = {};
    config.kind = generator_kind(g.kind);
    config.source = device.source_id;
    config.pasid = device.pasid.value_or(0);
    config.flags = device.pasid ? IOM_REQ_PASID : 0;
    config.base_iova = g.base_iova;
    config.window_bytes = g.window_bytes;
    config.request_bytes = g.request_bytes;
    config.read_ppm = parts_per_million(g.read_fraction);
    config.stride_bytes = g.stride_bytes;
    config.hot_bytes = g.hot_bytes;
    config.hot_ppm = parts_per_million(g.hot_fraction);
    config.zipf_exponent_ppm = parts_per_million(g.zipf_exponent);
    config.queues = g.queues;
    config.queue_depth = g.queue_depth;
    config.ring_entries = g.ring_entries;
    config.buffer_bytes = g.buffer_bytes;
    config.frame_bytes = g.frame_bytes;
    config.block_bytes = g.block_bytes;
    return config;
}

uint64_t workload_first_iova(const SystemConfig &config, uint32_t domain)
{
    uint64_t first = IOM_PAGE_BYTES;
    for (const DeviceSettings &device : config.devices) {
        const GeneratorSettings &g = device.generator;
        if (device.domain == domain && g.kind != GeneratorKind::none && g.base_iova <= workload_last_iova)
            first = std::max(first, g.base_iova + g.window_bytes);
    }
    return first;
}

} // namespace iommu_sim
