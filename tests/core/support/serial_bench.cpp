// SPDX-License-Identifier: Apache-2.0
//
// A serial look-up stage among scripted neighbours. See serial_bench.h.
#include "tests/core/support/serial_bench.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

namespace bench
{

// ---- the toy architecture -----------------------------------------------------------------------------

namespace
{

constexpr uint64_t silent = 1; // attribute of contexts

void refuse(iom_xlate *x, uint16_t code)
{
    x->next = IOM_LOOKUP_DONE;
    x->outcome = IOM_OUTCOME_FAULT;
    x->fault = iom_fault{};
    x->fault.address = x->address;
    x->fault.source = x->source;
    x->fault.code = code;
    x->fault.recorded = x->source != toy_silent && x->context.attributes != silent;
}

void enter(const iom_arch *arch, const iom_view *view, iom_xlate *x)
{
    x->context.attributes = 0;
    if ((x->address & passing_address) == 0) {
        toy_arch_ops.enter(arch, view, x);
        return;
    }
    refuse(x, toy_fault_entry);
    x->outcome = IOM_OUTCOME_BYPASS;
    x->leaf = iom_leaf{};
    x->leaf.output = x->address;
}

bool use(const iom_arch *arch, const iom_view *view, iom_xlate *x, const iom_tag *tag, const void *payload)
{
    if (x->next == IOM_LOOKUP_IOTLB) {
        const auto *leaf = static_cast<const iom_leaf *>(payload);
        const uint8_t needed = (x->flags & IOM_REQ_WRITE) != 0 ? IOM_PERM_WRITE : IOM_PERM_READ;
        if ((leaf->permissions & needed) == 0) {
            refuse(x, toy_fault_permission);
            return true;
        }
    }
    return toy_arch_ops.use(arch, view, x, tag, payload);
}

// Whether a fault is recorded is for the context of the request to say.
void charge(const iom_arch *, iom_xlate *x)
{
    const bool is_silent = x->source == toy_silent || x->context.attributes == silent;
    x->fault.recorded = x->next != IOM_LOOKUP_CONTEXT && !is_silent;
}

const iom_arch_ops *serial_ops()
{
    static const iom_arch_ops ops = [] {
        iom_arch_ops changed = toy_arch_ops;
        changed.enter = enter;
        changed.use = use;
        changed.charge = charge;
        return changed;
    }();
    return &ops;
}

iom_cache_config cache(uint32_t match)
{
    iom_cache_config config = {};
    config.entries = config.ways = 4;
    config.policy = IOM_POLICY_PLRU;
    config.match = match;
    return config;
}

// Ports of the world: the stage's inputs, control; then the responder ends.
enum WorldEnd {
    WORLD_AXI,
    WORLD_REGISTERS,
    WORLD_CONTROL,
    WORLD_WALK,
    WORLD_FAULT,
    WORLD_MONITOR,
    WORLD_ENDS
};
constexpr uint32_t inputs = 2;

iom_dma *dma_of(iom_msg *msg)
{
    return reinterpret_cast<iom_dma *>(msg);
}

} // namespace

iom_stage_config serial_stage()
{
    iom_stage_config config = {};
    config.view.enabled = 1;
    config.view.extra[0] = IOM_LOOKUP_CONTEXT;
    config.front = true;
    config.inputs = inputs;
    config.arbitration = IOM_ARBITRATION_FIXED;
    config.lookups_per_cycle = 1;
    config.latency_cycles = 2;
    config.lookup[IOM_LOOKUP_CONTEXT].cache = cache(IOM_TAG_STREAM);
    config.lookup[IOM_LOOKUP_PASID].cache = cache(IOM_TAG_STREAM | IOM_TAG_SUBSTREAM);
    config.lookup[IOM_LOOKUP_IOTLB].cache = cache(IOM_TAG_ADDRESS | IOM_TAG_DOMAIN);
    for (iom_lookup_config &lookup : config.lookup) {
        lookup.owned = true;
        lookup.latency_cycles = 3;
    }
    config.miss_entries = 4;
    config.hit_under_miss = true;
    config.serial.enabled = true;
    return config;
}

iom_context toy_context(uint32_t source)
{
    iom_context context = {};
    context.table[1] = uint64_t{source} << 20;
    context.domain = source;
    context.kind = 1;
    context.levels[1] = 4;
    return context;
}

iom_context toy_process(uint32_t source, uint32_t pasid)
{
    iom_context context = toy_context(source);
    context.table[0] = uint64_t{pasid} << 32;
    context.asid = context.substream = pasid;
    context.kind = 2;
    context.levels[0] = 3;
    return context;
}

// ---- the bench ----------------------------------------------------------------------------------------

SerialBench::SerialBench(const iom_stage_config &config, uint32_t report_slots)
    : world("world", WORLD_CONTROL + 1, WORLD_ENDS - WORLD_WALK)
{
    iom_pool_init(&dma_pool_, IOM_MSG_DMA, sizeof(iom_dma));
    iom_pool_init(&control_pool_, IOM_MSG_CONTROL, sizeof(iom_control));
    iom_pool_init(&release_pool_, IOM_MSG_AXI_RELEASE, sizeof(iom_axi_release));
    arch.ops = serial_ops();
    iom_stage_config mine = config;
    mine.arch = &arch;
    stage = iom_stage_create(&mine, "stage");
    if (stage == nullptr)
        throw std::bad_alloc();
    bench.add(world.unit());
    bench.add(iom_stage_unit(stage));
    const iom_link_config to_stage = {0, 1, 1, 0}, from_stage = {1, 0, 1, 0};
    bench.connect(world.port(WORLD_AXI), iom_stage_input(stage, 0), to_stage);
    bench.connect(world.port(WORLD_REGISTERS), iom_stage_input(stage, 1), to_stage);
    bench.connect(world.port(WORLD_CONTROL), iom_stage_port(stage, IOM_STAGE_CONTROL), to_stage);
    bench.connect(iom_stage_port(stage, IOM_STAGE_WALK), world.port(WORLD_WALK), from_stage);
    bench.connect(iom_stage_port(stage, IOM_STAGE_FAULT), world.port(WORLD_FAULT), {1, 0, 1, report_slots});
    bench.connect(iom_stage_port(stage, IOM_STAGE_MONITOR), world.port(WORLD_MONITOR), from_stage);
    listen();
    bench.start();
}

SerialBench::~SerialBench()
{
    bench.close();
    iom_stage_destroy(stage);
    iom_pool_free(&dma_pool_);
    iom_pool_free(&control_pool_);
    iom_pool_free(&release_pool_);
}

void SerialBench::release(iom_dma *dma)
{
    auto *message = static_cast<iom_axi_release *>(iom_pool_take(&release_pool_));
    if (message == nullptr)
        throw std::bad_alloc();
    const auto hand_over = [this, dma, message](iom_cycle now) {
        accepted_[dma] = now;
        in_service_ = nullptr;
        iom_port_send(world.port(WORLD_AXI), &message->msg, now);
    };
    const iom_cycle now = answered_.at(dma) + 1;
    if (handshake_waits == 0)
        hand_over(now);
    else
        world.at(now + handshake_waits, hand_over);
}

void SerialBench::listen()
{
    world.on(WORLD_AXI, [this](iom_cycle now, iom_msg *msg) {
        if (msg->kind == IOM_MSG_AXI_LOSS) {
            lost.push_back(now - 1);
            iom_msg_release(msg);
            return;
        }
        iom_dma *dma = dma_of(msg);
        EXPECT_EQ(answered_.count(dma), 0u) << "a second answer";
        answered_[dma] = now - 1;
        release(dma);
    });
    world.on(WORLD_REGISTERS, [this](iom_cycle now, iom_msg *msg) { answered_[dma_of(msg)] = now - 1; });
    world.on(WORLD_CONTROL, [](iom_cycle, iom_msg *msg) { iom_msg_release(msg); });
    world.on(WORLD_WALK, [this](iom_cycle now, iom_msg *msg) {
        if (msg->kind == IOM_MSG_WALK_CONTEXT) {
            const auto *message = reinterpret_cast<const iom_walk_context *>(msg);
            told.push_back({now, message->context, message->write});
            iom_msg_release(msg);
            return;
        }
        auto *walk = reinterpret_cast<iom_walk *>(msg);
        walks.push_back({now - 1, walk->what, walk->x.source, walk->x.address, walk});
        walk->started = now;
        finish_walk(*walk);
        if (walk_cycles[walk->what] != 0)
            end_walk(walks.size() - 1, now - 1 + walk_cycles[walk->what]);
    });
    world.on(WORLD_FAULT, [this](iom_cycle now, iom_msg *msg) {
        reports.emplace_back(now - 1, reinterpret_cast<iom_report *>(msg)->what.fault);
        if (free_report_slots)
            iom_port_return_credit(world.port(WORLD_FAULT), now);
        iom_msg_release(msg);
    });
    world.on(WORLD_MONITOR, [this](iom_cycle now, iom_msg *msg) {
        events.emplace_back(now - 1, reinterpret_cast<iom_report *>(msg)->what.event);
        iom_msg_release(msg);
    });
}

void SerialBench::wake_always(iom_cycle last)
{
    for (iom_cycle cycle = 0; cycle < last; cycle++)
        world.at(cycle, [this](iom_cycle now) { iom_unit_wake(iom_stage_unit(stage), now + 1); });
}

// ---- requests -----------------------------------------------------------------------------------------

iom_dma *SerialBench::submit(uint32_t input, iom_cycle arrival, uint32_t source, uint64_t address,
                             unsigned flags, uint32_t pasid)
{
    auto *dma = static_cast<iom_dma *>(iom_pool_take(&dma_pool_));
    if (dma == nullptr)
        throw std::bad_alloc();
    const iom_msg header = dma->msg;
    *dma = iom_dma{};
    dma->msg = header;
    dma->x.source = source;
    dma->x.address = address;
    dma->x.pasid = pasid;
    dma->x.bytes = 8;
    dma->x.flags = static_cast<uint16_t>(flags);
    world.at(arrival, [this, dma, input](iom_cycle now) {
        if (input == WORLD_AXI) {
            if (in_service_ != nullptr)
                throw std::logic_error("the AXI port hands over one request at a time");
            in_service_ = dma;
        }
        dma->issued = now;
        iom_port_send(world.port(input), &dma->msg, now);
    });
    return dma;
}

iom_dma *SerialBench::send(iom_cycle arrival, uint32_t source, uint64_t address, unsigned flags,
                           uint32_t pasid)
{
    return submit(WORLD_AXI, arrival, source, address, flags, pasid);
}

void SerialBench::resend(iom_dma *dma, iom_cycle arrival, uint32_t source, uint64_t address)
{
    world.at(arrival, [this, dma, source, address](iom_cycle now) {
        if (answered_.erase(dma) == 0 || in_service_ != nullptr)
            throw std::logic_error("the message is still in use");
        const iom_msg header = dma->msg;
        *dma = iom_dma{};
        dma->msg = header;
        dma->x.source = source;
        dma->x.address = address;
        dma->x.bytes = 8;
        in_service_ = dma;
        iom_port_send(world.port(WORLD_AXI), &dma->msg, now);
    });
}

iom_dma *SerialBench::debug(iom_cycle arrival, uint32_t source, uint64_t address)
{
    return submit(WORLD_REGISTERS, arrival, source, address, IOM_REQ_DEBUG, 0);
}

iom_cycle SerialBench::answered(const iom_dma *dma) const
{
    auto at = answered_.find(dma);
    return at == answered_.end() ? IOM_NEVER : at->second;
}

iom_cycle SerialBench::accepted(const iom_dma *dma) const
{
    auto at = accepted_.find(dma);
    return at == accepted_.end() ? IOM_NEVER : at->second;
}

void SerialBench::warm(uint32_t source, const std::vector<uint64_t> &pages, uint32_t pasid)
{
    for (uint64_t page : pages) {
        if (pages_.count(page) == 0)
            map(page);
        const iom_cycle now = bench.now() + 2;
        iom_dma *dma = send(now, source, page, pasid != 0 ? IOM_REQ_PASID : 0, pasid);
        bench.run_until_idle();
        if (dma->x.outcome != IOM_OUTCOME_ADDRESS)
            throw std::logic_error("a page to warm up with was refused");
    }
    walks.clear();
    told.clear();
    events.clear();
    iom_stage_unit(stage)->ops->reset_stats(iom_stage_unit(stage));
}

// ---- tables and walks -----------------------------------------------------------------------------------

void SerialBench::map(uint64_t page, uint64_t offset, uint8_t permissions)
{
    iom_leaf leaf = {};
    leaf.output = page + offset;
    leaf.size_log2 = IOM_PAGE_LOG2;
    leaf.permissions = permissions;
    pages_[page] = leaf;
}

void SerialBench::finish_walk(iom_walk &walk) const
{
    iom_xlate &x = walk.x;
    walk.action = IOM_WALK_DONE;
    arch.ops->key(&arch, nullptr, &x, &walk.fill.tag);
    walk.fill.tag.size_log2 = 64;
    bool found = true;
    if (walk.what == IOM_LOOKUP_CONTEXT) {
        found = bad_contexts.count(x.source) == 0;
        walk.fill.payload.context = toy_context(x.source);
        walk.fill.payload.context.attributes = silent_contexts.count(x.source) != 0 ? silent : 0;
    } else if (walk.what == IOM_LOOKUP_PASID) {
        found = bad_processes.count({x.source, x.pasid}) == 0;
        walk.fill.payload.context = toy_process(x.source, x.pasid);
        walk.fill.payload.context.attributes = x.context.attributes;
    } else {
        auto page = pages_.find(iom_align_down(x.address, IOM_PAGE_LOG2));
        found = page != pages_.end();
        if (found) {
            walk.fill.tag.address = page->first;
            walk.fill.tag.size_log2 = page->second.size_log2;
            walk.fill.payload.leaf = page->second;
        }
    }
    walk.fill.valid = found;
    if (found)
        use(&arch, nullptr, &x, &walk.fill.tag, &walk.fill.payload);
    else
        refuse(&x, toy_fault_walk);
}

void SerialBench::end_walk(size_t index, iom_cycle arrival)
{
    iom_walk *walk = walks.at(index).message;
    walks[index].message = nullptr;
    world.send_at(arrival, WORLD_WALK, &walk->msg);
}

std::vector<iom_cycle> SerialBench::begun(uint32_t what) const
{
    std::vector<iom_cycle> cycles;
    for (const Walk &walk : walks) {
        if (walk.what == what)
            cycles.push_back(walk.begun);
    }
    return cycles;
}

// ---- control and reports --------------------------------------------------------------------------------

iom_control *SerialBench::control(iom_cycle arrival)
{
    auto *message = static_cast<iom_control *>(iom_pool_take(&control_pool_));
    if (message == nullptr)
        throw std::bad_alloc();
    const iom_msg header = message->msg;
    *message = iom_control{};
    message->msg = header;
    world.send_at(arrival, WORLD_CONTROL, &message->msg);
    return message;
}

iom_invalidation_part *SerialBench::invalidate(iom_cycle arrival, uint32_t targets)
{
    iom_control *message = control(arrival);
    message->op = IOM_CONTROL_INVALIDATE;
    message->invalidation.parts = 1;
    message->invalidation.part[0].targets = targets;
    return &message->invalidation.part[0];
}

void SerialBench::invalidate_page(iom_cycle arrival, uint64_t page)
{
    iom_cache_match &match = invalidate(arrival, IOM_INVALIDATE_IOTLB)->match;
    match.fields = IOM_TAG_ADDRESS;
    match.first = page;
    match.last = page + IOM_PAGE_BYTES - 1;
}

void SerialBench::invalidate_context(iom_cycle arrival, uint32_t source)
{
    iom_cache_match &match = invalidate(arrival, IOM_INVALIDATE_CONTEXT | IOM_INVALIDATE_PASID)->match;
    match.fields = IOM_TAG_STREAM;
    match.tag.stream = source;
}

void SerialBench::invalidate_process(iom_cycle arrival, uint32_t source, uint32_t pasid)
{
    iom_cache_match &match = invalidate(arrival, IOM_INVALIDATE_PASID)->match;
    match.fields = IOM_TAG_STREAM | IOM_TAG_SUBSTREAM;
    match.tag.stream = source;
    match.tag.substream = pasid;
}

void SerialBench::change_view(iom_cycle arrival, const iom_view &view)
{
    iom_control *message = control(arrival);
    message->op = IOM_CONTROL_VIEW;
    message->view = view;
}

void SerialBench::free_report_slot(iom_cycle cycle)
{
    world.at(cycle - 1, [this](iom_cycle now) { iom_port_return_credit(world.port(WORLD_FAULT), now); });
}

} // namespace bench
