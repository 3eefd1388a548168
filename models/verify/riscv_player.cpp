// SPDX-License-Identifier: Apache-2.0
//
// Player of the vectors of the RISC-V reference model: see riscv_player.h.
//
// A step is carried out, then everything that it has brought about is collected (records appended to the
// queues, messages, changed words of memory) and compared with what the vector names; last the registers,
// whose values hold until a step says otherwise.
#include "models/verify/riscv_player.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "core/arch/riscv/riscv.h"
#include "models/verify/functional_target.h"
#include "models/verify/riscv_compare.h"
#include "models/verify/riscv_family.h"
#include "models/verify/riscv_queues.h"

namespace iommu_sim::verify::riscv
{

namespace
{

void append(Differences *all, const Differences &more)
{
    all->insert(all->end(), more.begin(), more.end());
}

void write_word(Target &target, const MemoryWord &word)
{
    std::array<uint8_t, 8> bytes = {};
    for (unsigned i = 0; i < bytes.size(); i++)
        bytes[i] = static_cast<uint8_t>(word.value >> (8 * i));
    target.write_memory(word.address, bytes.data(), bytes.size());
}

std::string request_text(const DmaStep &request)
{
    static constexpr const char *types[] = {"untranslated", "translation request", "translated"};
    std::string text = "req " + std::string(types[static_cast<size_t>(request.type)]);
    text += request.write ? " w" : request.exec ? " x" : " r";
    text += " device " + hex(request.device);
    if (request.pasid)
        text += " process " + hex(*request.pasid);
    text += request.priv ? " priv" : "";
    return text + " address " + hex(request.address);
}

std::string operation_text(const Step &step)
{
    if (const auto *request = std::get_if<RequestStep>(&step))
        return request_text(request->request);
    std::string text = riscv::step_name(step);
    if (const auto *write = std::get_if<RegisterWriteStep>(&step))
        return text + " " + hex(write->write.offset) + " value " + hex(write->write.value);
    if (const auto *read = std::get_if<RegisterReadStep>(&step))
        return text + " " + hex(read->offset);
    if (const auto *command = std::get_if<QueueStep>(&step))
        return text + " " + command->name + " " + hex(command->words[0]) + " " + hex(command->words[1]);
    if (const auto *page = std::get_if<PageRequestStep>(&step))
        return text + " device " + hex(page->request.device) + " payload " + hex(page->request.payload);
    if (const auto *completion = std::get_if<CompletionStep>(&step))
        return text + " device " + hex(completion->completion.device) + " tags " +
               hex(completion->completion.tags);
    return text;
}

/// A system together with the state of playing on it; used for the system under test and for the reference.
class System
{
  public:
    explicit System(Target &target) : target_(target), around_(target.surroundings())
    {
        if (around_ == nullptr)
            throw std::runtime_error(
                "these vectors need a system that sends and receives messages of devices");
    }

    void set_up(const Vector &vector)
    {
        for (const MemoryWord &word : vector.memory)
            write_word(target_, word);
        for (const MemoryMark &mark : vector.marks)
            around_->mark_memory(mark);
        target_.settle();
        collect();
    }

    Target &target()
    {
        return target_;
    }
    Surroundings &around()
    {
        return *around_;
    }

    /// Takes note of where the queues end.
    void begin()
    {
        fault_tail_ = locate(Queue::fault, target_).tail;
        page_tail_ = locate(Queue::page_request, target_).tail;
    }
    /// What has happened since begin().
    Effects collect();

    // Steps; a request's result and a register's value are the caller's to compare.
    // Switching a queue on sets its tail to 0; no record is produced by that.
    void play(const RegisterWriteStep &step)
    {
        const bool had_faults = is_on(Queue::fault), had_pages = is_on(Queue::page_request);
        target_.write_register(step.write.offset, step.write.bytes, step.write.value);
        target_.settle();
        if (!had_faults && is_on(Queue::fault))
            fault_tail_ = 0;
        if (!had_pages && is_on(Queue::page_request))
            page_tail_ = 0;
    }
    void play(const MemoryWriteStep &step)
    {
        write_word(target_, step.word);
    }
    void play(const QueueStep &step)
    {
        store_command(locate(Queue::command, target_), step.words, target_);
        set_command_tail(step.tail, target_);
    }
    void play(const PageRequestStep &step)
    {
        around_->page_request(step.request);
    }
    void play(const CompletionStep &step)
    {
        InvalidationCompletion completion = step.completion;
        completion.tags = tags_of(completion.tags);
        around_->complete(completion);
    }
    void play(const TimeoutStep &step)
    {
        around_->expire(tags_of(step.tags));
    }
    /// The vector's tags of these messages, as this system has numbered them.
    void learn_tags(const std::vector<DeviceMessage> &expected, const std::vector<DeviceMessage> &got)
    {
        for (size_t i = 0; i < std::min(expected.size(), got.size()); i++) {
            if (expected[i].kind == DeviceMessage::Kind::invalidation)
                tag_[expected[i].tag] = got[i].tag;
        }
    }

  private:
    bool is_on(Queue queue) const
    {
        const uint32_t control = queue == Queue::fault ? IOM_RISCV_FQCSR : IOM_RISCV_PQCSR;
        return iom_bits(target_.read_register(control, 4), 16, 16) != 0; // fqon, pqon
    }
    uint32_t tags_of(uint32_t expected) const
    {
        uint32_t tags = 0;
        for (unsigned i = 0; i < tag_.size(); i++) {
            if (expected >> i & 1)
                tags |= 1u << tag_[i].value_or(static_cast<uint8_t>(i));
        }
        return tags;
    }

    Target &target_;
    Surroundings *around_;
    uint32_t fault_tail_ = 0, page_tail_ = 0;
    std::array<std::optional<uint8_t>, 32> tag_ = {}; // by the vector's tag
};

Effects System::collect()
{
    Effects effects;
    std::vector<MemoryWord> changes = around_->take_changes();
    // Words of the records that were appended are no surprise; `read` puts them into the effects.
    const auto records = [&](const QueuePlace &place, uint32_t from, auto read) {
        if (from >= place.entries) // the queue was made smaller
            return;
        for (uint32_t i = from; i != place.tail % place.entries; i = place.next(i)) {
            read(i);
            const uint64_t first = place.address(i), end = first + place.entry_bytes;
            changes.erase(std::remove_if(changes.begin(), changes.end(),
                                         [&](const MemoryWord &word) {
                                             return word.address >= first && word.address < end;
                                         }),
                          changes.end());
        }
    };
    const QueuePlace faults = locate(Queue::fault, target_);
    records(faults, fault_tail_,
            [&](uint32_t i) { effects.faults.push_back(read_fault(faults, i, target_)); });
    const QueuePlace pages = locate(Queue::page_request, target_);
    records(pages, page_tail_,
            [&](uint32_t i) { effects.page_requests.push_back(read_page_request(pages, i, target_)); });
    effects.memory = std::move(changes);
    effects.messages = around_->take_messages();
    effects.drain = around_->take_drain();
    return effects;
}

/// One vector on one system.
class Player
{
  public:
    Player(const Vector &vector, Target &target, Mode mode, VectorResult *result)
        : vector_(vector), system_(target), mode_(mode), result_(result)
    {
        if (mode == Mode::cached) {
            reference_target_ = make_functional_target(vector.config);
            reference_.emplace(*reference_target_);
        }
    }

    std::optional<Failure> play();

  private:
    Differences play_step(const Step &step);
    Differences play_request(const RequestStep &step);
    template <typename Plain> Differences play_plain(const Plain &step);
    Differences compare_request(const RequestStep &step, const DmaResult &got, const Effects &effects) const;
    Differences compare_tracker(const RequestStep &step, const DmaResult &got);
    Differences compare_registers(const Effects &expected);
    Differences compare(const Effects &expected, const Effects &got) const
    {
        return compare_effects(expected, got);
    }

    const Vector &vector_;
    System system_;
    Mode mode_;
    VectorResult *result_;
    std::unique_ptr<Target> reference_target_; // cached mode: the same steps without caches
    std::optional<System> reference_;
    std::array<uint32_t, watched_count> registers_ = {}; // what they must hold
};

Differences Player::compare_registers(const Effects &expected)
{
    Differences differences;
    for (size_t i = 0; i < watched_count; i++) {
        const WatchedRegister &at = watched_register(static_cast<Watched>(i));
        registers_[i] = expected.registers[i].value_or(registers_[i]);
        const auto got = static_cast<uint32_t>(system_.target().read_register(at.offset, 4));
        if (got != registers_[i])
            differences.push_back({"register " + std::string(at.name), hex(registers_[i]), hex(got)});
    }
    return differences;
}

// Where a step may be stale, records one more or less than expected stand for the other outcome, too.
Differences Player::compare_request(const RequestStep &step, const DmaResult &got,
                                    const Effects &effects) const
{
    Differences differences = compare_result(step.request, step.result, got);
    append(&differences, compare(step.effects, effects));
    if (differences.empty() || !step.stale_result || mode_ == Mode::uncached)
        return differences;
    Differences stale = compare_result(step.request, *step.stale_result, got);
    append(&stale, compare(*step.stale_effects, effects));
    return stale.empty() ? stale : differences;
}

// The hazard tracker against a system without caches that has seen the same steps.
Differences Player::compare_tracker(const RequestStep &step, const DmaResult &got)
{
    const std::optional<bool> flagged = system_.target().stale_use();
    Observation now, came;
    now.result = reference_->target().dma(step.request);
    came.result = got;
    return flagged ? verify::compare_tracker(step.request, now, came, *flagged, &result_->stale_uses)
                   : Differences();
}

Differences Player::play_request(const RequestStep &step)
{
    const DmaResult got = system_.target().dma(step.request);
    Differences differences = compare_request(step, got, system_.collect());
    if (reference_)
        append(&differences, compare_tracker(step, got));
    if (!step.stale_result)
        append(&differences, compare_registers(step.effects));
    return differences;
}

template <typename Plain> Differences Player::play_plain(const Plain &step)
{
    system_.play(step);
    const Effects got = system_.collect();
    system_.learn_tags(step.effects.messages, got.messages);
    if (reference_) {
        reference_->play(step);
        reference_->learn_tags(step.effects.messages, reference_->around().take_messages());
    }
    Differences differences = compare(step.effects, got);
    append(&differences, compare_registers(step.effects));
    return differences;
}

Differences Player::play_step(const Step &step)
{
    if (mode_ == Mode::uncached)
        system_.target().flush_caches();
    system_.begin();
    if (const auto *request = std::get_if<RequestStep>(&step))
        return play_request(*request);
    if (const auto *write = std::get_if<RegisterWriteStep>(&step))
        return play_plain(*write);
    if (const auto *command = std::get_if<QueueStep>(&step))
        return play_plain(*command);
    if (const auto *page = std::get_if<PageRequestStep>(&step))
        return play_plain(*page);
    if (const auto *completion = std::get_if<CompletionStep>(&step))
        return play_plain(*completion);
    if (const auto *timeout = std::get_if<TimeoutStep>(&step))
        return play_plain(*timeout);
    if (const auto *memory = std::get_if<MemoryWriteStep>(&step)) {
        system_.play(*memory);
        if (reference_)
            reference_->play(*memory);
        return {};
    }
    const auto &read = std::get<RegisterReadStep>(step);
    const uint64_t got = system_.target().read_register(read.offset, read.bytes) & read.mask;
    if (got == (read.value & read.mask))
        return {};
    return {{"value & " + hex(read.mask), hex(read.value & read.mask), hex(got)}};
}

std::optional<Failure> Player::play()
{
    system_.set_up(vector_);
    if (reference_)
        reference_->set_up(vector_);
    for (size_t i = 0; i < vector_.steps.size(); i++) {
        const Differences differences = play_step(vector_.steps[i]);
        if (differences.empty())
            continue;
        Failure failure;
        failure.vector = vector_.id;
        failure.line = vector_.line;
        failure.step = i;
        failure.operation = operation_text(vector_.steps[i]);
        failure.differences = differences;
        return failure;
    }
    return std::nullopt;
}

} // namespace

std::optional<Failure> play_on(const Vector &vector, Target &target, Mode mode, VectorResult *result)
{
    return Player(vector, target, mode, result).play();
}

} // namespace iommu_sim::verify::riscv
