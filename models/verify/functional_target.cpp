// SPDX-License-Identifier: Apache-2.0
//
// Functional target: see functional_target.h.
#include "models/verify/functional_target.h"

#include <utility>

#include "models/verify/family.h"

namespace iommu_sim::verify
{

namespace
{

extern "C" iom_access functional_read(void *context, uint64_t address, void *data, unsigned bytes)
{
    return static_cast<const SparseMemory *>(context)->fetch(address, data, bytes);
}

extern "C" iom_access functional_cas(void *context, uint64_t address, uint64_t expected, uint64_t desired,
                                     uint64_t *found)
{
    return static_cast<SparseMemory *>(context)->swap(address, expected, desired, found);
}

} // namespace

FunctionalTarget::FunctionalTarget(ArchInstance instance, const std::vector<RamRange> &ram,
                                   unsigned invalidation_tags)
    : instance_(std::move(instance)), memory_(ram), state_(iom_div_ceil(ops().state_bytes, 8)),
      devices_(invalidation_tags)
{
    ops().reset(arch(), state_.data());
    ops().view(arch(), state_.data(), &view_);
}

void FunctionalTarget::write_memory(uint64_t address, const void *data, size_t bytes)
{
    memory_.write(address, data, bytes);
}

void FunctionalTarget::read_memory(uint64_t address, void *data, size_t bytes)
{
    memory_.read(address, data, bytes);
}

void FunctionalTarget::write_register(uint32_t offset, unsigned bytes, uint64_t value)
{
    act(ops().write(arch(), state_.data(), offset, bytes, value));
    finish_stores();
}

uint64_t FunctionalTarget::read_register(uint32_t offset, unsigned bytes)
{
    return ops().read(arch(), state_.data(), offset, bytes);
}

// What a register write or an event asks for, in the order of core/register_unit.h.
void FunctionalTarget::act(uint32_t actions)
{
    if (actions & (1u << IOM_ACTION_UPDATE_VIEW)) {
        ops().view(arch(), state_.data(), &view_);
        ops().action_done(arch(), state_.data(), IOM_ACTION_UPDATE_VIEW);
    }
    if (actions & (1u << IOM_ACTION_INVALIDATE)) {
        iom_invalidation nothing_is_cached = {};
        while (ops().next_invalidation != nullptr &&
               ops().next_invalidation(arch(), state_.data(), &nothing_is_cached))
            nothing_is_cached = {};
        ops().action_done(arch(), state_.data(), IOM_ACTION_INVALIDATE);
    }
    if (actions & (1u << IOM_ACTION_TRANSLATE))
        translate_for_registers();
    if (actions & (1u << IOM_ACTION_DOORBELL))
        run_queue();
}

void FunctionalTarget::translate(iom_xlate *x)
{
    const iom_functional_memory memory = {&memory_, functional_read, functional_cas};
    iom_translate_functional(arch(), &view_, &memory, x);
    count(*x);
}

// Requests alone, also those of registers; what walks do is not counted.
void FunctionalTarget::count(const iom_xlate &x)
{
    if (ops().count == nullptr || view_.monitored == 0 || (x.flags & IOM_REQ_PAGE))
        return;
    iom_event event = {};
    event.events = IOM_EVENT_UNTRANSLATED;
    if (x.flags & IOM_REQ_TRANSLATE)
        event.events = IOM_EVENT_ATS;
    else if (x.flags & IOM_REQ_TRANSLATED)
        event.events = IOM_EVENT_TRANSLATED;
    event.events &= view_.monitored;
    event.source = x.source;
    event.pasid = x.pasid;
    event.flags = x.flags;
    if (event.events != 0)
        act(ops().count(arch(), state_.data(), &event));
}

void FunctionalTarget::record(const iom_fault &fault)
{
    ops().record(arch(), state_.data(), &fault);
    finish_stores();
}

// Carries out the stores that the registers want, one after the other, then their answers to page requests.
void FunctionalTarget::finish_stores()
{
    iom_register_store store = {};
    while (ops().next_store != nullptr && ops().next_store(arch(), state_.data(), &store)) {
        const iom_access access = memory_.store(store.address, store.data, store.bytes);
        act(ops().store_done(arch(), state_.data(), &store, access));
    }
    iom_page_response response = {};
    while (ops().next_response != nullptr && ops().next_response(arch(), state_.data(), &response))
        devices_.receive(response);
}

DmaResult FunctionalTarget::dma(const DmaStep &step)
{
    iom_xlate x = request_of(step);
    translate(&x);
    if (x.outcome == IOM_OUTCOME_FAULT && x.fault.recorded != 0)
        record(x.fault);
    finish_stores();
    return result_of(x);
}

void FunctionalTarget::translate_for_registers()
{
    iom_xlate x = {};
    ops().translate_request(arch(), state_.data(), &x);
    translate(&x);
    if (x.outcome == IOM_OUTCOME_FAULT && x.fault.recorded != 0)
        record(x.fault);
    act(ops().translate_result(arch(), state_.data(), &x));
}

// A refused page request is told whether it is recorded or not: an answer may be due.
void FunctionalTarget::page_request(const PageRequest &request)
{
    iom_xlate x = request_of(request);
    translate(&x);
    if (x.outcome == IOM_OUTCOME_PAGE) {
        iom_page_request accepted = {};
        accepted.address = x.address;
        accepted.source = x.source;
        accepted.pasid = x.pasid;
        accepted.flags = x.flags;
        accepted.message = x.page_request;
        ops().page_request(arch(), state_.data(), &accepted);
    } else {
        record(x.fault);
    }
    finish_stores();
}

std::vector<DeviceMessage> FunctionalTarget::take_messages()
{
    return devices_.take();
}

void FunctionalTarget::complete(const InvalidationCompletion &completion)
{
    devices_.complete(completion);
    run_queue();
    finish_stores();
}

void FunctionalTarget::expire(uint32_t tags)
{
    timed_out_ = devices_.expire(tags) || timed_out_;
    run_queue();
    finish_stores();
}

void FunctionalTarget::mark_memory(const MemoryMark &mark)
{
    memory_.mark(mark);
}

std::vector<MemoryWord> FunctionalTarget::take_changes()
{
    return memory_.changes().take();
}

std::optional<Drain> FunctionalTarget::take_drain()
{
    return std::exchange(drain_, std::nullopt);
}

void FunctionalTarget::flush_caches()
{
    // There are none.
}

void FunctionalTarget::settle()
{
    // Every register write is complete when it returns.
}

bool FunctionalTarget::executes_queue() const
{
    return ops().queue != nullptr;
}

bool FunctionalTarget::has_caches() const
{
    return false;
}

iom_xlate request_of(const DmaStep &step)
{
    iom_xlate x = {};
    x.address = step.address;
    x.bytes = step.bytes;
    x.source = step.device;
    x.pasid = step.pasid.value_or(0);
    unsigned flags = 0;
    const auto set_if = [&flags](bool condition, iom_request_flag flag) {
        if (condition)
            flags |= flag;
    };
    set_if(step.write, IOM_REQ_WRITE);
    set_if(step.exec, IOM_REQ_EXEC);
    set_if(step.priv, IOM_REQ_PRIV);
    set_if(step.pasid.has_value(), IOM_REQ_PASID);
    set_if(step.type == AddressType::translation_request, IOM_REQ_TRANSLATE);
    set_if(step.type == AddressType::translated, IOM_REQ_TRANSLATED);
    set_if(step.cxl, IOM_REQ_CXL);
    x.flags = static_cast<uint16_t>(flags);
    return x;
}

iom_xlate request_of(const PageRequest &request)
{
    iom_xlate x = {};
    x.address = iom_align_down(request.payload, IOM_PAGE_LOG2);
    x.bytes = 1;
    x.source = request.device;
    x.pasid = request.pasid.value_or(0);
    unsigned flags = IOM_REQ_PAGE;
    if (request.pasid)
        flags |= IOM_REQ_PASID;
    if (request.priv)
        flags |= IOM_REQ_PRIV;
    if (request.exec)
        flags |= IOM_REQ_EXEC;
    x.flags = static_cast<uint16_t>(flags);
    x.page_request = static_cast<uint16_t>(iom_low_bits(request.payload, IOM_PAGE_LOG2));
    return x;
}

// A translation completion answers for the privilege of its request, and grants writing and
// executing only where they were asked for (PCI Express 5.0, 10.2.3).
static void permissions_of(const iom_xlate &x, DmaResult *result)
{
    const bool priv = (x.flags & IOM_REQ_PRIV) != 0;
    const unsigned have = x.leaf.permissions;
    result->size_log2 = x.leaf.size_log2;
    result->read = (have & (priv ? IOM_PERM_PRIV_READ : IOM_PERM_READ)) != 0;
    result->write = (x.flags & IOM_REQ_WRITE) && (have & (priv ? IOM_PERM_PRIV_WRITE : IOM_PERM_WRITE));
    result->exec = (x.flags & IOM_REQ_EXEC) && (have & (priv ? IOM_PERM_PRIV_EXEC : IOM_PERM_EXEC));
    result->permissions = x.leaf.permissions;
    result->priv = priv;
    result->global = x.leaf.global != 0;
}

DmaResult result_of(const iom_xlate &x)
{
    DmaResult result;
    result.attributes = x.leaf.attributes;
    switch (static_cast<iom_outcome>(x.outcome)) {
    case IOM_OUTCOME_ADDRESS:
    case IOM_OUTCOME_BYPASS:
        result.completion = Completion::address;
        result.pa = x.leaf.output;
        permissions_of(x, &result);
        break;
    case IOM_OUTCOME_INTERRUPT:
        result.completion = Completion::interrupt;
        break;
    case IOM_OUTCOME_DENIED:
        result.completion = Completion::denied;
        break;
    case IOM_OUTCOME_MRIF:
        result.completion = Completion::mrif;
        result.pa = x.leaf.output;
        permissions_of(x, &result);
        break;
    case IOM_OUTCOME_PAGE:
    case IOM_OUTCOME_NONE:
    case IOM_OUTCOME_FAULT:
    case IOM_OUTCOME_RETRY:
        result.completion = x.fault.abort != 0 ? Completion::aborted : Completion::unsupported;
        break;
    }
    return result;
}

std::unique_ptr<Target> make_functional_target(const VectorConfig &config)
{
    const Family &family = family_of(config.machine);
    return std::make_unique<FunctionalTarget>(family.make_arch(config), family.ram(config),
                                              family.invalidation_tags(config));
}

} // namespace iommu_sim::verify
