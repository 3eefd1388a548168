// SPDX-License-Identifier: Apache-2.0
//
// The command queue of the functional target: commands one after the other, each complete when it returns,
// except waits for invalidation requests that devices have not completed. The rules are those of
// core/command_queue.h; nothing is cached, so that invalidations have no effect but their messages to
// devices.
#include "models/verify/functional_target.h"

namespace iommu_sim::verify
{

// Register events.
void FunctionalTarget::tell(iom_queue_event event)
{
    event.generation = generation_;
    act(ops().queue_event(arch(), state_.data(), &event));
    finish_stores();
}

void FunctionalTarget::run_queue()
{
    if (ops().queue == nullptr || running_)
        return;
    running_ = true;
    Progress progress = Progress::next;
    while (progress == Progress::next) {
        iom_queue_setup setup = {};
        ops().queue(arch(), state_.data(), &setup);
        if (setup.generation != generation_) {
            generation_ = setup.generation;
            head_ = setup.head;
        }
        if (!setup.enabled || head_ == setup.tail)
            break;
        progress = run_command(setup);
    }
    running_ = false;
}

void FunctionalTarget::advance(const iom_queue_setup &setup)
{
    head_ = (head_ + setup.command_bytes) % setup.bytes;
    iom_queue_event event = {};
    event.kind = IOM_QUEUE_HEAD;
    event.head = head_;
    tell(event);
}

FunctionalTarget::Progress FunctionalTarget::run_command(const iom_queue_setup &setup)
{
    iom_queue_event problem = {};
    problem.head = head_;
    uint64_t words[IOM_COMMAND_WORDS] = {};
    if (memory_.fetch(setup.base + head_, words, setup.command_bytes) != IOM_ACCESS_OK) {
        problem.kind = IOM_QUEUE_ACCESS;
        tell(problem);
        return Progress::stays;
    }
    iom_command command = {};
    ops().decode(arch(), &setup, words, &command);
    switch (static_cast<iom_command_kind>(command.kind)) {
    case IOM_COMMAND_INVALIDATE:
        if (invalidate(command.invalidation) == Progress::stays)
            return Progress::stays;
        break;
    case IOM_COMMAND_WAIT:
        return wait(setup, command.wait);
    case IOM_COMMAND_RESPOND:
        devices_.receive(command.response);
        break;
    case IOM_COMMAND_ACCEPTED:
        break;
    case IOM_COMMAND_INVALID:
        problem.kind = IOM_QUEUE_INVALID;
        problem.error = command.error;
        tell(problem);
        return Progress::stays;
    }
    advance(setup);
    return Progress::next;
}

FunctionalTarget::Progress FunctionalTarget::invalidate(const iom_invalidation &invalidation)
{
    if (!invalidation.has_device)
        return Progress::next;
    const std::optional<unsigned> tag = devices_.free_tag();
    if (!tag)
        return Progress::stays;
    devices_.receive(invalidation.device, *tag);
    return Progress::next;
}

FunctionalTarget::Progress FunctionalTarget::wait(const iom_queue_setup &setup, const iom_command_wait &wait)
{
    if (devices_.holds_any())
        return Progress::stays;
    if (timed_out_) {
        timed_out_ = false;
        iom_queue_event event = {};
        event.kind = IOM_QUEUE_TIMEOUT;
        event.head = head_;
        tell(event);
        return Progress::stays;
    }
    if (wait.drain_reads || wait.drain_writes) {
        Drain drain = drain_.value_or(Drain{});
        drain.reads |= wait.drain_reads;
        drain.writes |= wait.drain_writes;
        drain_ = drain;
    }
    if (wait.write_status && memory_.store(wait.address, &wait.status, wait.status_bytes) != IOM_ACCESS_OK &&
        wait.holds_head) {
        iom_queue_event event = {};
        event.kind = IOM_QUEUE_ACCESS;
        event.head = head_;
        tell(event);
        return Progress::stays;
    }
    advance(setup);
    if (wait.interrupt) {
        iom_queue_event event = {};
        event.kind = IOM_QUEUE_INTERRUPT;
        tell(event);
    }
    return Progress::next;
}

} // namespace iommu_sim::verify
