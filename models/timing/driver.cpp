// SPDX-License-Identifier: Apache-2.0
//
// Sequences of records. See driver.h.
#include "models/timing/driver.h"

namespace iommu_sim::timing
{

namespace
{

uint16_t flags_of(const Request &request)
{
    unsigned flags = 0;
    if (request.write)
        flags |= IOM_REQ_WRITE;
    if (request.execute)
        flags |= IOM_REQ_EXEC;
    if (request.privileged)
        flags |= IOM_REQ_PRIV;
    if (request.process_id)
        flags |= IOM_REQ_PASID;
    return static_cast<uint16_t>(flags);
}

iom_sequence_trigger trigger_of(Trigger trigger)
{
    switch (trigger) {
    case Trigger::cycle:
        return IOM_TRIGGER_CYCLE;
    case Trigger::presented:
        return IOM_TRIGGER_PRESENTED;
    case Trigger::done:
        return IOM_TRIGGER_DONE;
    case Trigger::drained:
        break;
    }
    return IOM_TRIGGER_DRAINED;
}

iom_sequence_kind kind_of(OpKind kind)
{
    switch (kind) {
    case OpKind::register_write:
        return IOM_SEQUENCE_REGISTER;
    case OpKind::memory_write:
        return IOM_SEQUENCE_MEMORY;
    case OpKind::wait:
        break;
    }
    return IOM_SEQUENCE_WAIT;
}

} // namespace

Driver::Driver(const Record &record, uint32_t beat_bytes)
    : dual_(record.dual), response_limit_(record.response_limit)
{
    for (const Request &request : record.requests) {
        iom_sequence_request made = {};
        made.address = request.iova;
        made.bytes = request.beats * beat_bytes;
        made.source = request.device_id;
        made.pasid = request.process_id.value_or(0);
        made.flags = flags_of(request);
        made.gap = request.gap;
        made.after_op = request.after_op.value_or(IOM_SEQUENCE_NONE);
        requests_.push_back(made);
    }
    for (const Op &op : record.ops) {
        iom_sequence_op made = {};
        made.kind = static_cast<uint8_t>(kind_of(op.kind));
        made.trigger = static_cast<uint8_t>(trigger_of(op.trigger));
        made.bytes = op.bytes;
        made.request = op.request;
        made.delay = op.delay;
        made.address = op.address;
        made.value = op.value;
        ops_.push_back(made);
    }
}

iom_sequence_config Driver::config() const
{
    iom_sequence_config config = {};
    config.requests = requests_.data();
    config.request_count = static_cast<uint32_t>(requests_.size());
    config.ops = ops_.data();
    config.op_count = static_cast<uint32_t>(ops_.size());
    config.dual = dual_;
    config.response_limit = response_limit_;
    return config;
}

} // namespace iommu_sim::timing
