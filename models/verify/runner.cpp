// SPDX-License-Identifier: Apache-2.0
//
// Vector runner: see runner.h.
#include "models/verify/runner.h"

#include <fnmatch.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "models/verify/functional_target.h"
#include "models/verify/riscv_player.h"

namespace iommu_sim::verify
{

namespace
{

void write_image(Target &target, const MemoryImage &image)
{
    target.write_memory(image.address, image.bytes.data(), image.bytes.size());
}

std::string request_text(const DmaStep &step)
{
    std::string text = step.write ? "dma w" : "dma r";
    if (step.type == AddressType::translation_request)
        text += " (translation request)";
    else if (step.type == AddressType::translated)
        text += " (translated request)";
    text += " device " + hex(step.device);
    if (step.pasid)
        text += " pasid " + hex(*step.pasid);
    text += step.exec ? " exec" : "";
    text += step.priv ? " priv" : "";
    return text + " address " + hex(step.address);
}

/// One vector on one system.
class Player
{
  public:
    Player(const Vector &vector, Target &target, Mode mode, VectorResult *result)
        : vector_(vector), target_(target), mode_(mode), result_(result),
          family_(family_of(vector.config.machine)), context_{vector.config, family_, target}
    {
    }

    /// Nothing if the vector passed.
    std::optional<Failure> play();

  private:
    void set_up();
    Differences play_step(const Step &step);
    Differences play(const DmaStep &step);
    Differences play(const MemoryStep &step);
    Differences play(const RegisterStep &step);
    Differences play(const InvalidationStep &step);
    Differences play(const CommandStep &step);
    Differences unsupported(const Step &step) const;

    std::vector<FaultRecord> new_records(const std::vector<FaultRecord> &before) const;
    std::vector<Observation> earlier_outcomes(const DmaStep &step) const;
    Observation outcome_at(size_t end, const DmaStep &step) const;
    Differences compare_tracker(const DmaStep &step, const Observation &got);
    void watch(const MemoryImage &image, bool only_known);
    void follow_watched(bool refused);
    Differences compare_memory();

    const Vector &vector_;
    Target &target_;
    Mode mode_;
    VectorResult *result_;
    const Family &family_;
    CompareContext context_;
    WatchedWords watched_;
    std::unique_ptr<Target> reference_; // cached mode: the same steps without caches
    bool stale_ = false;                // cached mode: some request was served by an entry that is stale
    size_t at_ = 0;                     // index of the step being played
};

void Player::set_up()
{
    if (mode_ == Mode::cached)
        reference_ = make_functional_target(vector_.config);
    for (const MemoryImage &image : vector_.memory) {
        write_image(target_, image);
        watch(image, false);
        if (reference_)
            write_image(*reference_, image);
    }
    for (const RegisterWrite &write : vector_.registers) {
        target_.write_register(write.offset, write.bytes, write.value);
        if (reference_)
            reference_->write_register(write.offset, write.bytes, write.value);
    }
    target_.settle();
}

// The hazard tracker against a system without caches that has seen the same steps: the tracker must flag
// exactly the requests whose outcome the tables do not give any more.
Differences Player::compare_tracker(const DmaStep &step, const Observation &got)
{
    const std::optional<bool> flagged = target_.stale_use();
    if (!flagged || !reference_)
        return {};
    Observation now;
    now.result = reference_->dma(step);
    const std::vector<FaultRecord> pending = family_.pending_faults(vector_.config, *reference_);
    now.records = pending;
    if (!vector_.config.keep_faults)
        family_.clear_faults(vector_.config, *reference_);
    const bool stale = !same_outcome(step, now, got);
    stale_ = stale_ || stale;
    Differences differences = verify::compare_tracker(step, now, got, *flagged, &result_->stale_uses);
    if (!differences.empty() && stale)
        differences[0].expected += ": the tables give " + describe(context_, now);
    if (!differences.empty() && *flagged)
        differences[0].got += ", although the request got " + describe(context_, got);
    return differences;
}

// Remembers 8-byte words that software writes. Queue descriptors are written, too, but become
// watched only where the vector's own memory steps already touched them.
void Player::watch(const MemoryImage &image, bool only_known)
{
    if (!vector_.fin)
        return;
    const uint64_t end = image.address + image.bytes.size();
    for (uint64_t address = iom_align_down(image.address, 3); address < end; address += 8) {
        if (only_known && watched_.count(address) == 0)
            continue;
        const uint64_t value = target_.read_word(address);
        watched_[address] = {value, value, 0};
    }
}

// Notes what hardware has set in the watched words since the last call.
void Player::follow_watched(bool refused)
{
    for (auto &[address, word] : watched_) {
        const uint64_t value = target_.read_word(address);
        if (refused)
            word.refused |= value & ~word.last;
        word.last = value;
    }
}

std::vector<FaultRecord> Player::new_records(const std::vector<FaultRecord> &before) const
{
    std::vector<FaultRecord> records;
    for (const FaultRecord &record : family_.pending_faults(vector_.config, target_)) {
        const bool old = std::any_of(before.begin(), before.end(),
                                     [&](const FaultRecord &other) { return other.index == record.index; });
        if (!old)
            records.push_back(record);
    }
    return records;
}

Differences Player::play(const DmaStep &step)
{
    const std::vector<FaultRecord> before = family_.pending_faults(vector_.config, target_);
    if (mode_ == Mode::uncached)
        target_.flush_caches();
    Observation got;
    got.result = target_.dma(step);
    got.records = new_records(before);
    follow_watched(got.refused());
    Differences differences;
    if (mode_ == Mode::uncached) {
        differences = compare_uncached(context_, step, got, &result_->use);
    } else {
        const auto earlier = [&] { return earlier_outcomes(step); };
        differences = compare_cached(context_, step, got, earlier, &result_->use);
        const Differences tracker = compare_tracker(step, got);
        differences.insert(differences.end(), tracker.begin(), tracker.end());
    }
    const Differences registers = compare_registers(context_, step.expect, target_);
    differences.insert(differences.end(), registers.begin(), registers.end());
    if (!vector_.config.keep_faults)
        family_.clear_faults(vector_.config, target_);
    return differences;
}

Differences Player::play(const MemoryStep &step)
{
    write_image(target_, step.image);
    watch(step.image, false);
    if (reference_)
        write_image(*reference_, step.image);
    return {};
}

Differences Player::play(const RegisterStep &step)
{
    target_.write_register(step.write.offset, step.write.bytes, step.write.value);
    target_.settle();
    if (reference_)
        reference_->write_register(step.write.offset, step.write.bytes, step.write.value);
    return compare_registers(context_, step.expect, target_);
}

Differences Player::play(const InvalidationStep &step)
{
    const QueueResult got = family_.invalidate(step, target_);
    watch({step.queue, std::vector<uint8_t>(step.queue_bytes)}, true);
    if (!target_.executes_queue()) {
        target_.flush_caches();
        result_->queue_ignored = true;
        return {};
    }
    Differences differences = compare_queue(step, got, target_);
    const Differences registers = compare_registers(context_, step.expect, target_);
    differences.insert(differences.end(), registers.begin(), registers.end());
    return differences;
}

Differences Player::play(const CommandStep &step)
{
    const std::map<std::string, uint64_t> got = family_.command(step, target_);
    if (!target_.executes_queue()) {
        target_.flush_caches();
        result_->queue_ignored = true;
        return {};
    }
    Differences differences = compare_commands(step, got);
    const Differences registers = compare_registers(context_, step.expect, target_);
    differences.insert(differences.end(), registers.begin(), registers.end());
    return differences;
}

Differences Player::unsupported(const Step &step) const
{
    throw std::runtime_error("vector " + vector_.id + ", step " + std::to_string(at_) + ": operation '" +
                             step_name(step) + "' does not exist on machine '" + vector_.config.machine +
                             "'");
}

Differences Player::play_step(const Step &step)
{
    if (const auto *dma = std::get_if<DmaStep>(&step))
        return play(*dma);
    if (const auto *memory = std::get_if<MemoryStep>(&step))
        return play(*memory);
    if (const auto *write = std::get_if<RegisterStep>(&step))
        return play(*write);
    if (const auto *invalidation = std::get_if<InvalidationStep>(&step))
        return play(*invalidation);
    if (const auto *command = std::get_if<CommandStep>(&step))
        return play(*command);
    return unsupported(step);
}

// What this request would have given after the steps before `end`.
Observation Player::outcome_at(size_t end, const DmaStep &step) const
{
    const std::unique_ptr<Target> reference = make_functional_target(vector_.config);
    for (const MemoryImage &image : vector_.memory)
        write_image(*reference, image);
    for (const RegisterWrite &write : vector_.registers)
        reference->write_register(write.offset, write.bytes, write.value);
    for (size_t i = 0; i < end; i++) {
        if (const auto *memory = std::get_if<MemoryStep>(&vector_.steps[i]))
            write_image(*reference, memory->image);
        else if (const auto *write = std::get_if<RegisterStep>(&vector_.steps[i]))
            reference->write_register(write->write.offset, write->write.bytes, write->write.value);
    }
    Observation got;
    got.result = reference->dma(step);
    got.records = family_.pending_faults(vector_.config, *reference);
    return got;
}

std::vector<Observation> Player::earlier_outcomes(const DmaStep &step) const
{
    std::vector<Observation> outcomes;
    for (size_t i = 0; i < at_; i++) {
        if (std::holds_alternative<MemoryStep>(vector_.steps[i]))
            outcomes.push_back(outcome_at(i, step)); // the state that this step ended
    }
    return outcomes;
}

Differences Player::compare_memory()
{
    if (!vector_.fin)
        return {};
    const bool emptied = mode_ == Mode::uncached && vector_.fin_fresh;
    UncachedWord uncached;
    if (reference_)
        uncached = [this](uint64_t address) { return reference_->read_word(address); };
    // A walk that begins at a stale entry sets flags in tables that are no longer reached.
    if (stale_)
        uncached = [](uint64_t) { return UINT64_MAX; };
    return compare_final(context_, emptied ? *vector_.fin_fresh : *vector_.fin, watched_, uncached,
                         &result_->use);
}

std::optional<Failure> Player::play()
{
    set_up();
    Failure failure;
    failure.vector = vector_.id;
    failure.line = vector_.line;
    for (at_ = 0; at_ < vector_.steps.size(); at_++) {
        const Step &step = vector_.steps[at_];
        failure.differences = play_step(step);
        if (!failure.differences.empty()) {
            const auto *dma = std::get_if<DmaStep>(&step);
            failure.step = at_;
            failure.operation = dma ? request_text(*dma) : step_name(step);
            return failure;
        }
    }
    follow_watched(false);
    failure.differences = compare_memory();
    failure.operation = "final memory";
    if (!failure.differences.empty())
        return failure;
    return std::nullopt;
}

} // namespace

namespace
{

// `play` plays one vector on one system and says where it deviated.
template <typename Play>
void play_variants(const VectorConfig &config, const std::vector<TargetVariant> &variants, Mode mode,
                   VectorResult *result, Play play)
{
    for (const TargetVariant &variant : variants) {
        const std::unique_ptr<Target> target = variant.make(config);
        if (mode == Mode::cached && !target->has_caches())
            throw std::runtime_error("cached mode needs a system with caches, which '" + variant.name +
                                     "' is not");
        std::optional<Failure> failure = play(*target);
        if (failure) {
            failure->variant = variant.name;
            result->failures.push_back(std::move(*failure));
            result->status = Status::failed;
        }
    }
}

} // namespace

VectorResult play_vector(const Vector &vector, const std::vector<TargetVariant> &variants, Mode mode)
{
    VectorResult result;
    result.dispute = find_dispute(vector, disputes());
    if (result.dispute != nullptr) {
        result.status = Status::skipped;
        return result;
    }
    play_variants(vector.config, variants, mode, &result,
                  [&](Target &target) { return Player(vector, target, mode, &result).play(); });
    return result;
}

VectorResult play_vector(const riscv::Vector &vector, const std::vector<TargetVariant> &variants, Mode mode)
{
    VectorResult result;
    play_variants(vector.config, variants, mode, &result,
                  [&](Target &target) { return riscv::play_on(vector, target, mode, &result); });
    return result;
}

VectorResult play_vector(const AnyVector &vector, const std::vector<TargetVariant> &variants, Mode mode)
{
    return std::visit([&](const auto &v) { return play_vector(v, variants, mode); }, vector);
}

bool matches_filter(const std::string &id, const std::string &filter)
{
    return filter.empty() || fnmatch(filter.c_str(), id.c_str(), 0) == 0;
}

FileResult play_file(const std::string &path, const std::string &filter,
                     const std::vector<TargetVariant> &variants, Mode mode, const VectorObserver &observer)
{
    FileResult result;
    result.path = path;
    VectorFile file(path);
    size_t read = 0;
    while (const std::optional<AnyVector> vector = file.next()) {
        const VectorName name = name_of(*vector);
        read++;
        if (!matches_filter(name.id, filter))
            continue;
        VectorResult played;
        try {
            played = play_vector(*vector, variants, mode);
        } catch (const std::runtime_error &error) {
            throw std::runtime_error(path + ":" + std::to_string(name.line) + ": " + error.what());
        }
        result.passed += played.status == Status::passed;
        result.failed += played.status == Status::failed;
        result.skipped += played.status == Status::skipped;
        result.queue_ignored = result.queue_ignored || played.queue_ignored;
        result.use.add(played.use);
        result.stale_uses += played.stale_uses;
        if (played.dispute != nullptr)
            result.skips.push_back(name.id + ": " + played.dispute->name);
        result.failures.insert(result.failures.end(), played.failures.begin(), played.failures.end());
        if (observer)
            observer(name, played, result);
    }
    if (read == 0)
        throw VectorError(path + ": contains no vectors");
    result.notes = file.notes();
    return result;
}

} // namespace iommu_sim::verify
