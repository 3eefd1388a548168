// SPDX-License-Identifier: Apache-2.0
//
// Observation of a model. See observer.h.
#include "models/timing/observer.h"

#include "core/arch/riscv/riscv.h"

namespace iommu_sim::timing
{

namespace
{

/// The client as records name it; false for those that are no part of the IOMMU.
bool client_of(uint8_t client, Client *result)
{
    switch (static_cast<iom_memory_client>(client)) {
    case IOM_CLIENT_PAGE_WALK:
        *result = Client::page_walk;
        return true;
    case IOM_CLIENT_CONTEXT_WALK:
        *result = Client::context_walk;
        return true;
    case IOM_CLIENT_COMMANDS:
        *result = Client::commands;
        return true;
    case IOM_CLIENT_RECORDS:
        *result = Client::records;
        return true;
    case IOM_CLIENT_OTHER:
    case IOM_CLIENT_COUNT:
        break;
    }
    return false;
}

} // namespace

Observer::Observer(const ObserverConfig &config, iom_memory *memory, iom_register_unit *registers,
                   iom_stage *front)
    : config_(config), registers_(registers), watched_{{IOM_RISCV_CQT, EventKind::command_tail, 0},
                                                       {IOM_RISCV_CQH, EventKind::command_head, 0},
                                                       {IOM_RISCV_FQT, EventKind::fault_tail, 0}}
{
    for (Watched &watched : watched_)
        watched.value = value_of(watched);
    const iom_memory_observer accesses = {
        this, [](void *self, iom_cycle now, const iom_memory_access *access, iom_cycle first,
                 iom_cycle last) { static_cast<Observer *>(self)->access(now, *access, first, last); }};
    const iom_register_observer changes = {
        this, [](void *self, iom_cycle now) { static_cast<Observer *>(self)->registers(now); }};
    const iom_stage_observer invalidations = {this,
                                              [](void *self, iom_cycle now, const iom_invalidation *what) {
                                                  static_cast<Observer *>(self)->invalidation(now, *what);
                                              }};
    iom_memory_set_observer(memory, &accesses);
    iom_register_unit_set_observer(registers, &changes);
    iom_stage_set_observer(front, &invalidations);
}

void Observer::access(iom_cycle now, const iom_memory_access &access, iom_cycle first, iom_cycle last)
{
    Client client;
    if (!client_of(access.client, &client))
        return;
    const uint32_t beats = static_cast<uint32_t>(iom_div_ceil(access.bytes, config_.beat_bytes));
    if (access.op == IOM_MEMORY_READ) {
        Read read;
        read.accepted = now;
        read.first = first + config_.read_response_cycles;
        read.last = last + config_.read_response_cycles;
        read.client = client;
        read.address = access.address;
        read.beats = beats;
        activity_.reads.push_back(read);
        return;
    }
    Write write;
    write.accepted = now;
    write.responded = last + config_.write_latency_cycles;
    write.client = client;
    write.address = access.address;
    for (uint32_t i = 0; i < beats; i++) {
        write.data.push_back(access.data[i]);
        write.beats.push_back(first + i);
    }
    activity_.writes.push_back(write);
}

uint64_t Observer::value_of(const Watched &watched) const
{
    return config_.arch->ops->read(config_.arch, iom_register_unit_state(registers_), watched.offset, 4);
}

void Observer::registers(iom_cycle now)
{
    enum { tail, head }; // of watched_
    bool head_moved = false;
    for (Watched &watched : watched_) {
        const uint64_t value = value_of(watched);
        if (value == watched.value)
            continue;
        watched.value = value;
        activity_.events.push_back({now, watched.kind, value});
        head_moved = head_moved || watched.kind == EventKind::command_head;
    }
    if (head_moved && config_.drained && watched_[head].value == watched_[tail].value)
        config_.drained(now);
}

void Observer::invalidation(iom_cycle now, const iom_invalidation &what)
{
    const uint32_t targets = iom_invalidation_targets(&what);
    if (targets & IOM_INVALIDATE_CONTEXT)
        activity_.events.push_back({now, EventKind::flush_devices, 0});
    else if (targets & IOM_INVALIDATE_PASID)
        activity_.events.push_back({now, EventKind::flush_processes, 0});
    else if (targets & IOM_INVALIDATE_IOTLB)
        activity_.events.push_back({now, EventKind::flush_translations, 0});
}

} // namespace iommu_sim::timing
