// SPDX-License-Identifier: Apache-2.0
//
// A look-up stage among scripted neighbours. See stage_bench.h.
#include "tests/core/support/stage_bench.h"

#include <new>
#include <stdexcept>

namespace bench
{

// ---- the toy architecture -----------------------------------------------------------------------------

namespace
{

void refuse(iom_xlate *x, uint16_t code)
{
    x->next = IOM_LOOKUP_DONE;
    x->outcome = IOM_OUTCOME_FAULT;
    x->fault = iom_fault{};
    x->fault.address = x->address;
    x->fault.source = x->source;
    x->fault.code = code;
    x->fault.recorded = x->source != toy_silent;
}

void finish_at_once(iom_xlate *x, iom_outcome outcome)
{
    x->next = IOM_LOOKUP_DONE;
    x->outcome = static_cast<uint8_t>(outcome);
    x->leaf = iom_leaf{};
    x->leaf.output = x->address;
}

void enter(const iom_arch *, const iom_view *view, iom_xlate *x)
{
    x->outcome = IOM_OUTCOME_NONE;
    if (view->enabled == 0)
        finish_at_once(x, IOM_OUTCOME_BYPASS);
    else if ((x->address & refused_address) != 0)
        refuse(x, toy_fault_entry);
    else if ((x->address & denied_address) != 0)
        finish_at_once(x, IOM_OUTCOME_DENIED);
    else if ((x->address & interrupt_address) != 0)
        finish_at_once(x, IOM_OUTCOME_INTERRUPT);
    else if ((x->flags & IOM_REQ_PAGE) != 0 && view->extra[0] != IOM_LOOKUP_CONTEXT)
        finish_at_once(x, IOM_OUTCOME_PAGE);
    else
        x->next = static_cast<uint8_t>(view->extra[0]);
}

void key(const iom_arch *, const iom_view *, const iom_xlate *x, iom_tag *tag)
{
    *tag = iom_tag{};
    switch (x->next) {
    case IOM_LOOKUP_CONTEXT:
        tag->stream = x->source;
        break;
    case IOM_LOOKUP_PASID:
        tag->stream = x->source;
        tag->substream = x->pasid;
        break;
    default:
        tag->address = x->address;
        tag->domain = x->context.domain;
        break;
    }
}

bool use(const iom_arch *, const iom_view *, iom_xlate *x, const iom_tag *tag, const void *payload)
{
    if (x->next != IOM_LOOKUP_IOTLB) {
        x->context = *static_cast<const iom_context *>(payload);
        if ((x->flags & IOM_REQ_PAGE) != 0) {
            finish_at_once(x, IOM_OUTCOME_PAGE);
            return true;
        }
        const bool pasid = x->next == IOM_LOOKUP_CONTEXT && (x->flags & IOM_REQ_PASID) != 0;
        x->next = pasid ? IOM_LOOKUP_PASID : IOM_LOOKUP_IOTLB;
        return true;
    }
    const auto *leaf = static_cast<const iom_leaf *>(payload);
    const uint8_t needed = (x->flags & IOM_REQ_WRITE) != 0 ? IOM_PERM_WRITE : IOM_PERM_READ;
    if ((leaf->permissions & needed) == 0)
        return false;
    x->leaf = *leaf;
    x->leaf.output = leaf->output + (x->address - tag->address);
    x->next = IOM_LOOKUP_DONE;
    x->outcome = IOM_OUTCOME_ADDRESS;
    return true;
}

void no_walk(const iom_arch *, const iom_view *, iom_walk *)
{
    throw std::logic_error("the toy architecture does not walk");
}

iom_cache_config full(uint32_t entries, uint32_t match, uint32_t payload_bytes)
{
    iom_cache_config config = {};
    config.entries = config.ways = entries;
    config.policy = IOM_POLICY_LRU;
    config.prefer_invalid = true;
    config.match = match;
    config.payload_bytes = payload_bytes;
    return config;
}

} // namespace

// What is not named here the toy does not have.
const iom_arch_ops toy_arch_ops = [] {
    iom_arch_ops ops = {};
    ops.name = "toy";
    ops.enter = enter;
    ops.key = key;
    ops.use = use;
    ops.walk_start = no_walk;
    ops.walk_step = no_walk;
    return ops;
}();

iom_stage_config iotlb_stage(uint32_t inputs)
{
    iom_stage_config config = {};
    config.view.enabled = 1;
    config.view.extra[0] = IOM_LOOKUP_IOTLB;
    config.front = true;
    config.pcie_ordering = true;
    config.inputs = inputs;
    config.arbitration = IOM_ARBITRATION_ROUND_ROBIN;
    config.lookups_per_cycle = 1;
    config.latency_cycles = 2;
    config.lookup[IOM_LOOKUP_CONTEXT].cache = full(4, IOM_TAG_STREAM, sizeof(iom_context));
    config.lookup[IOM_LOOKUP_CONTEXT].latency_cycles = 7;
    config.lookup[IOM_LOOKUP_PASID].cache = full(4, IOM_TAG_STREAM | IOM_TAG_SUBSTREAM, sizeof(iom_context));
    config.lookup[IOM_LOOKUP_PASID].latency_cycles = 11;
    config.lookup[IOM_LOOKUP_IOTLB].owned = true;
    config.lookup[IOM_LOOKUP_IOTLB].cache = full(16, IOM_TAG_ADDRESS | IOM_TAG_DOMAIN, sizeof(iom_leaf));
    config.lookup[IOM_LOOKUP_IOTLB].latency_cycles = 3;
    config.miss_entries = 8;
    config.merges_per_entry = 8;
    config.hit_under_miss = true;
    config.squash_walks = true;
    return config;
}

// ---- the bench ----------------------------------------------------------------------------------------

namespace
{

// Ports of the world: devices, control; then the responder ends.
enum WorldEnd { WORLD_WALK = 1, WORLD_MEMORY, WORLD_FAULT, WORLD_MONITOR, WORLD_ENDS };

} // namespace

StageBench::StageBench(const iom_stage_config &config, const StageLinks &links)
    : world("world", config.inputs + 1, WORLD_ENDS - 1), inputs_(config.inputs)
{
    iom_pool_init(&dma_pool_, IOM_MSG_DMA, sizeof(iom_dma));
    iom_pool_init(&control_pool_, IOM_MSG_CONTROL, sizeof(iom_control));
    arch.ops = &toy_arch_ops;
    iom_stage_config mine = config;
    mine.arch = &arch;
    stage = iom_stage_create(&mine, "stage");
    if (stage == nullptr)
        throw std::bad_alloc();
    bench.add(world.unit());
    bench.add(iom_stage_unit(stage));
    connect(config, links);
    listen(config.inputs);
    bench.start();
}

StageBench::~StageBench()
{
    bench.close();
    iom_stage_destroy(stage);
    iom_pool_free(&dma_pool_);
    iom_pool_free(&control_pool_);
}

void StageBench::connect(const iom_stage_config &config, const StageLinks &links)
{
    const auto link = [](uint32_t depth) { return iom_link_config{1, 1, 1, depth}; };
    for (uint32_t i = 0; i < config.inputs; i++)
        bench.connect(world.port(i), iom_stage_input(stage, i), link(links.device_depth));
    bench.connect(world.port(inputs_), iom_stage_port(stage, IOM_STAGE_CONTROL), link(0));
    bench.connect(iom_stage_port(stage, IOM_STAGE_WALK), world.port(inputs_ + WORLD_WALK),
                  link(links.walk_depth));
    bench.connect(iom_stage_port(stage, IOM_STAGE_MEMORY), world.port(inputs_ + WORLD_MEMORY),
                  link(links.memory_depth));
    bench.connect(iom_stage_port(stage, IOM_STAGE_FAULT), world.port(inputs_ + WORLD_FAULT),
                  link(links.report_depth));
    bench.connect(iom_stage_port(stage, IOM_STAGE_MONITOR), world.port(inputs_ + WORLD_MONITOR), link(0));
}

void StageBench::listen(uint32_t inputs)
{
    for (uint32_t i = 0; i < inputs; i++)
        world.on(i,
                 [this](iom_cycle now, iom_msg *msg) { answered_[reinterpret_cast<iom_dma *>(msg)] = now; });
    world.on(inputs, [this](iom_cycle now, iom_msg *msg) {
        const auto *control = reinterpret_cast<const iom_control *>(msg);
        acknowledged.push_back(now);
        acks.push_back({now, control->removed, control->stopped, control->cookie});
        iom_msg_release(msg);
    });
    world.on(port_of_walks(), [this](iom_cycle now, iom_msg *msg) {
        auto *walk = reinterpret_cast<iom_walk *>(msg);
        walks.push_back({now, walk->what, walk->x.address, walk});
        walk->started = now;
        iom_port_return_credit(world.port(port_of_walks()), now);
        if (answer_walks)
            answer_walk(walks.size() - 1, now + walk_cycles + 1);
    });
    const uint32_t memory = inputs_ + WORLD_MEMORY;
    world.on(memory, [this, memory](iom_cycle now, iom_msg *msg) {
        auto *dma = reinterpret_cast<iom_dma *>(msg);
        at_memory_[dma] = dma->visible = now;
        if (return_memory_credits)
            iom_port_return_credit(world.port(memory), now);
        world.send_at(now + memory_cycles, memory, msg);
    });
    world.on(inputs_ + WORLD_FAULT, [this](iom_cycle now, iom_msg *msg) {
        if (return_report_credits)
            iom_port_return_credit(world.port(inputs_ + WORLD_FAULT), now);
        if (msg->kind == IOM_MSG_CONTROL) {
            drains_behind.emplace_back(now, reinterpret_cast<iom_control *>(msg));
            return;
        }
        const auto *report = reinterpret_cast<const iom_report *>(msg);
        if (report->kind == IOM_REPORT_PAGE_REQUEST)
            page_requests.emplace_back(now, report->what.page_request);
        else
            faults.emplace_back(now, report->what.fault);
        iom_msg_release(msg);
    });
    world.on(inputs_ + WORLD_MONITOR, [this](iom_cycle now, iom_msg *msg) {
        events.emplace_back(now - 1, reinterpret_cast<iom_report *>(msg)->what.event);
        iom_msg_release(msg);
    });
}

uint32_t StageBench::port_of_walks() const
{
    return inputs_ + WORLD_WALK;
}

iom_dma *StageBench::request(uint32_t source, uint64_t address, unsigned flags)
{
    auto *dma = static_cast<iom_dma *>(iom_pool_take(&dma_pool_));
    if (dma == nullptr)
        throw std::bad_alloc();
    const iom_msg header = dma->msg;
    *dma = iom_dma{};
    dma->msg = header;
    dma->x.source = source;
    dma->x.address = address;
    dma->x.bytes = 64;
    dma->x.flags = static_cast<uint16_t>(flags);
    return dma;
}

iom_dma *StageBench::send(uint32_t input, iom_cycle arrival, uint32_t source, uint64_t address,
                          unsigned flags)
{
    iom_dma *dma = request(source, address, flags);
    world.at(arrival - 1, [this, dma, input](iom_cycle now) {
        if (!iom_port_can_send(world.port(input), now))
            throw std::logic_error("no credit to send a request with");
        dma->issued = now;
        iom_port_send(world.port(input), &dma->msg, now);
    });
    return dma;
}

iom_cycle StageBench::answered(const iom_dma *dma) const
{
    auto at = answered_.find(dma);
    return at == answered_.end() ? IOM_NEVER : at->second;
}

iom_cycle StageBench::at_memory(const iom_dma *dma) const
{
    auto at = at_memory_.find(dma);
    return at == at_memory_.end() ? IOM_NEVER : at->second;
}

void StageBench::map_all()
{
    for (uint64_t page : {page_a, page_b, page_c, page_d})
        map(page, moved);
}

void StageBench::warm(std::initializer_list<uint64_t> pages, uint32_t source)
{
    for (uint64_t page : pages) {
        send(0, bench.now() + 2, source, page);
        bench.run_until_idle();
    }
    walks.clear();
    iom_unit *unit = iom_stage_unit(stage);
    unit->ops->reset_stats(unit);
}

// ---- walks --------------------------------------------------------------------------------------------

void StageBench::map(uint64_t page, uint64_t offset, uint8_t permissions, uint8_t size_log2)
{
    iom_leaf leaf = {};
    leaf.output = page + offset;
    leaf.size_log2 = size_log2;
    leaf.permissions = permissions;
    pages_[page] = leaf;
}

void StageBench::finish_walk(iom_walk &walk) const
{
    walk.action = IOM_WALK_DONE;
    walk.fill.valid = false;
    walk.monitored = walk.what == IOM_LOOKUP_IOTLB ? IOM_EVENT_STAGE1_WALK | IOM_EVENT_STAGE2_WALK : 0;
    key(nullptr, nullptr, &walk.x, &walk.fill.tag);
    if (walk.what == IOM_LOOKUP_IOTLB) {
        auto page = pages_.upper_bound(walk.x.address);
        if (page != pages_.begin())
            --page;
        else
            page = pages_.end();
        if (page == pages_.end() || iom_align_down(walk.x.address, page->second.size_log2) != page->first) {
            refuse(&walk.x, toy_fault_walk);
            return;
        }
        walk.fill.tag.address = page->first;
        walk.fill.tag.size_log2 = page->second.size_log2;
        walk.fill.payload.leaf = page->second;
    } else {
        walk.fill.tag.size_log2 = 64;
        walk.fill.payload.context = iom_context{};
        walk.fill.payload.context.domain = walk.x.source;
    }
    walk.fill.valid = true;
    if (use(nullptr, nullptr, &walk.x, &walk.fill.tag, &walk.fill.payload))
        return;
    const iom_leaf &leaf = walk.fill.payload.leaf;
    if ((walk.x.flags & IOM_REQ_TRANSLATE) != 0 && leaf.permissions != 0) { // told what it may do
        walk.x.leaf = leaf;
        walk.x.leaf.output = leaf.output + (walk.x.address - walk.fill.tag.address);
        walk.x.next = IOM_LOOKUP_DONE;
        walk.x.outcome = IOM_OUTCOME_ADDRESS;
        return;
    }
    walk.fill.valid = false;
    refuse(&walk.x, toy_fault_walk);
}

void StageBench::answer_walk(size_t index, iom_cycle arrival)
{
    iom_walk *walk = walks.at(index).message;
    walks[index].message = nullptr;
    finish_walk(*walk);
    world.send_at(arrival - 1, port_of_walks(), &walk->msg);
}

uint32_t StageBench::count_walks(uint32_t what) const
{
    uint32_t count = 0;
    for (const Walk &walk : walks)
        count += walk.what == what;
    return count;
}

void StageBench::return_memory_credit(iom_cycle arrival)
{
    world.at(arrival - 1,
             [this](iom_cycle now) { iom_port_return_credit(world.port(inputs_ + WORLD_MEMORY), now); });
}

void StageBench::return_report_credit(iom_cycle arrival)
{
    world.at(arrival - 1,
             [this](iom_cycle now) { iom_port_return_credit(world.port(inputs_ + WORLD_FAULT), now); });
}

void StageBench::return_drain(size_t index, iom_cycle arrival)
{
    world.send_at(arrival - 1, inputs_ + WORLD_FAULT, &drains_behind.at(index).second->msg);
}

// ---- control ------------------------------------------------------------------------------------------

iom_control *StageBench::control(iom_cycle arrival)
{
    auto *message = static_cast<iom_control *>(iom_pool_take(&control_pool_));
    if (message == nullptr)
        throw std::bad_alloc();
    const iom_msg header = message->msg;
    *message = iom_control{};
    message->msg = header;
    world.send_at(arrival - 1, inputs_, &message->msg);
    return message;
}

void StageBench::change_view(iom_cycle arrival, const iom_view &view)
{
    iom_control *message = control(arrival);
    message->op = IOM_CONTROL_VIEW;
    message->view = view;
}

void StageBench::invalidate(iom_cycle arrival, uint64_t page)
{
    iom_control *message = control(arrival);
    message->op = IOM_CONTROL_INVALIDATE;
    message->invalidation.parts = 1;
    message->invalidation.part[0].targets = page == all_pages ? IOM_INVALIDATE_ALL : IOM_INVALIDATE_IOTLB;
    if (page != all_pages) {
        message->invalidation.part[0].match.fields = IOM_TAG_ADDRESS;
        message->invalidation.part[0].match.first = page;
        message->invalidation.part[0].match.last = page + IOM_PAGE_BYTES - 1;
    }
}

void StageBench::invalidate_range(iom_cycle arrival, uint32_t targets, uint64_t first, uint64_t last,
                                  uint64_t cookie)
{
    iom_control *message = control(arrival);
    message->op = IOM_CONTROL_INVALIDATE;
    message->cookie = cookie;
    message->invalidation.parts = 1;
    message->invalidation.part[0].targets = targets;
    message->invalidation.part[0].match.fields = IOM_TAG_ADDRESS;
    message->invalidation.part[0].match.first = first;
    message->invalidation.part[0].match.last = last;
}

void StageBench::drain(iom_cycle arrival, bool reads, bool writes, uint64_t cookie, bool page_requests_too)
{
    iom_control *message = control(arrival);
    message->op = IOM_CONTROL_DRAIN;
    message->cookie = cookie;
    message->drain_reads = reads;
    message->drain_writes = writes;
    message->drain_page_requests = page_requests_too;
}

iom_cycle StageBench::acknowledged_in(uint64_t cookie) const
{
    for (const Acknowledgement &ack : acks) {
        if (ack.cookie == cookie)
            return ack.arrival - 1;
    }
    return IOM_NEVER;
}

} // namespace bench
