// SPDX-License-Identifier: Apache-2.0
//
// Devices of a vector: see device_side.h.
#include "models/verify/device_side.h"

#include <algorithm>
#include <utility>

namespace iommu_sim::verify
{

namespace
{

// Response message (10.4.2.1): destination, code, group index.
uint64_t response_payload(const iom_page_response &response)
{
    constexpr unsigned device_shift = 48, code_shift = 44, group_shift = 32;
    return uint64_t{response.stream & 0xffff} << device_shift | uint64_t{response.code} << code_shift |
           uint64_t{response.group} << group_shift;
}

} // namespace

void DeviceSide::receive(const iom_device_invalidation &what, unsigned tag)
{
    DeviceMessage message;
    message.kind = DeviceMessage::Kind::invalidation;
    message.device = what.stream;
    message.tag = static_cast<uint8_t>(tag);
    if (what.has_pasid)
        message.pasid = what.pasid;
    message.payload = what.payload;
    received_.push_back(message);
    if (!answers_at_once())
        requests_[tag] = {true, what.stream, 0};
}

void DeviceSide::receive(const iom_page_response &response)
{
    DeviceMessage message;
    message.kind = DeviceMessage::Kind::page_response;
    message.device = response.stream;
    if (response.has_pasid)
        message.pasid = response.pasid;
    message.payload = response.payload != 0 ? response.payload : response_payload(response);
    received_.push_back(message);
}

std::vector<DeviceMessage> DeviceSide::take()
{
    return std::exchange(received_, {});
}

bool DeviceSide::holds_any() const
{
    return std::any_of(requests_.begin(), requests_.end(),
                       [](const Request &request) { return request.held; });
}

std::optional<unsigned> DeviceSide::free_tag() const
{
    if (answers_at_once())
        return 0;
    for (unsigned tag = 0; tag < tags_; tag++) {
        if (!requests_[tag].held)
            return tag;
    }
    return std::nullopt;
}

uint32_t DeviceSide::complete(const InvalidationCompletion &completion)
{
    uint32_t ended = 0;
    for (unsigned tag = 0; tag < most_tags; tag++) {
        if ((completion.tags >> tag & 1) == 0)
            continue;
        Request &request = requests_[tag];
        const bool stray = !request.held || request.device != completion.device;
        if (!stray && ++request.completions < completion.expected)
            continue;
        if (!stray)
            request = {};
        ended |= 1u << tag;
    }
    return ended;
}

bool DeviceSide::expire(uint32_t tags)
{
    bool held = false;
    for (unsigned tag = 0; tag < most_tags; tag++) {
        if (tags >> tag & 1) {
            held = held || requests_[tag].held;
            requests_[tag] = {};
        }
    }
    return held;
}

} // namespace iommu_sim::verify
