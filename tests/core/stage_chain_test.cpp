// SPDX-License-Identifier: Apache-2.0
//
// Two stages, a context cache in front and an IOTLB behind it, and a race between them: a request has looked
// its context up, the context is changed and invalidated, and so are the translations made from it, before
// the request arrives at the IOTLB. Without the guard of core/stage.h it would walk the old tables and leave
// their translation in the IOTLB after everything has been invalidated.
#include <gtest/gtest.h>

#include <vector>

#include "tests/core/support/stage_bench.h"

namespace
{

using namespace bench;

constexpr iom_cycle wire = 30; ///< from the first stage to the second

/// Contexts carry the generation of the tables they point to; the translation of a page is the page plus
/// `moved` for each generation. Walks are answered after 20 cycles from what holds when they arrive
/// (contexts) and from the context they carry (pages).
class Chain
{
  public:
    explicit Chain(bool squash) : world("world", 3, 3)
    {
        iom_pool_init(&dmas_, IOM_MSG_DMA, sizeof(iom_dma));
        iom_pool_init(&controls_, IOM_MSG_CONTROL, sizeof(iom_control));
        arch_.ops = &toy_arch_ops;
        front = iom_stage_create(config(true, squash).c(&arch_), "front");
        back = iom_stage_create(config(false, squash).c(&arch_), "back");
        bench.add(world.unit());
        bench.add(iom_stage_unit(front));
        bench.add(iom_stage_unit(back));
        const iom_link_config near = {1, 1, 1, 0}, far = {wire, wire, 1, 0};
        bench.connect(world.port(0), iom_stage_input(front, 0), near);
        bench.connect(world.port(1), iom_stage_port(front, IOM_STAGE_CONTROL), near);
        bench.connect(world.port(2), iom_stage_port(back, IOM_STAGE_CONTROL), near);
        bench.connect(iom_stage_port(front, IOM_STAGE_NEXT), iom_stage_input(back, 0), far);
        bench.connect(iom_stage_port(front, IOM_STAGE_WALK), world.port(3), near);
        bench.connect(iom_stage_port(back, IOM_STAGE_WALK), world.port(4), near);
        bench.connect(iom_stage_port(front, IOM_STAGE_MEMORY), world.port(5), near);
        for (uint32_t i : {3u, 4u})
            world.on(i, [this, i](iom_cycle now, iom_msg *msg) { walk(now, i, msg); });
        world.on(5, [this](iom_cycle now, iom_msg *msg) { world.send_at(now + 5, 5, msg); });
        for (uint32_t i : {1u, 2u})
            world.on(i, [this](iom_cycle now, iom_msg *msg) {
                iom_msg_release(msg);
                if (--unacknowledged == 0 && stream)
                    invalidate(now + 2, IOM_INVALIDATE_CONTEXT);
            });
        world.on(0, [this](iom_cycle now, iom_msg *msg) {
            stream = false;
            answers.push_back({now, reinterpret_cast<iom_dma *>(msg)});
        });
        bench.start();
    }
    ~Chain()
    {
        bench.close();
        iom_stage_destroy(front);
        iom_stage_destroy(back);
        iom_pool_free(&dmas_);
        iom_pool_free(&controls_);
    }
    Chain(const Chain &) = delete;
    Chain &operator=(const Chain &) = delete;

    iom_dma *send(iom_cycle arrival, uint64_t address)
    {
        auto *dma = static_cast<iom_dma *>(iom_pool_take(&dmas_));
        const iom_msg header = dma->msg;
        *dma = iom_dma{};
        dma->msg = header;
        dma->x.source = dev;
        dma->x.address = address;
        dma->x.bytes = 64;
        world.send_at(arrival - 1, 0, &dma->msg);
        return dma;
    }
    void invalidate(iom_cycle arrival, uint32_t targets)
    {
        for (uint32_t port : {1u, 2u}) {
            auto *message = static_cast<iom_control *>(iom_pool_take(&controls_));
            const iom_msg header = message->msg;
            *message = iom_control{};
            message->msg = header;
            message->op = IOM_CONTROL_INVALIDATE;
            message->invalidation.parts = 1;
            message->invalidation.part[0].targets = targets;
            world.send_at(arrival - 1, port, &message->msg);
            unacknowledged++;
        }
        invalidations++;
    }

    Bench bench;
    ScriptUnit world;
    iom_stage *front, *back;
    uint64_t generation = 1;
    bool stream = false; ///< another invalidation of contexts follows each, until a request is answered
    uint32_t unacknowledged = 0, invalidations = 0;
    std::vector<std::pair<iom_cycle, iom_dma *>> answers;

  private:
    struct Config {
        iom_stage_config value;
        const iom_stage_config *c(const iom_arch *arch)
        {
            value.arch = arch;
            return &value;
        }
    };
    static Config config(bool is_front, bool squash)
    {
        iom_stage_config c = iotlb_stage(1);
        c.view.extra[0] = IOM_LOOKUP_CONTEXT;
        c.front = is_front;
        c.squash_walks = squash;
        c.lookup[IOM_LOOKUP_CONTEXT].owned = is_front;
        c.lookup[IOM_LOOKUP_IOTLB].owned = !is_front;
        return {c};
    }
    void walk(iom_cycle now, uint32_t port, iom_msg *msg)
    {
        auto *w = reinterpret_cast<iom_walk *>(msg);
        w->started = now;
        w->fill.valid = true;
        toy_arch_ops.key(nullptr, nullptr, &w->x, &w->fill.tag);
        if (w->what == IOM_LOOKUP_CONTEXT) {
            w->fill.tag.size_log2 = 64;
            w->fill.payload.context = iom_context{};
            w->fill.payload.context.domain = dev;
            w->fill.payload.context.table[0] = generation;
        } else {
            w->fill.tag.size_log2 = 12;
            w->fill.tag.address = iom_align_down(w->x.address, 12);
            w->fill.payload.leaf = iom_leaf{};
            w->fill.payload.leaf.output = w->fill.tag.address + moved * w->x.context.table[0];
            w->fill.payload.leaf.permissions = IOM_PERM_READ;
            w->fill.payload.leaf.size_log2 = 12;
        }
        toy_arch_ops.use(nullptr, nullptr, &w->x, &w->fill.tag, &w->fill.payload);
        world.send_at(now + 20, port, msg);
    }

    iom_arch arch_ = {};
    iom_pool dmas_ = {}, controls_ = {};
};

struct Outcome {
    uint64_t racing, later; ///< generation that served the request
    uint64_t restarts;
};

/// The request arrives in 300; software changes the context when the request has looked it up.
Outcome race(bool squash, iom_cycle context_invalidation, iom_cycle iotlb_invalidation)
{
    Chain chain(squash);
    chain.send(100, page_a); // warms the context cache
    chain.bench.run_until_idle();
    EXPECT_LT(chain.bench.now(), 290u);
    iom_dma *racing = chain.send(300, page_b);
    chain.world.at(302, [&chain](iom_cycle) { chain.generation = 2; });
    chain.invalidate(context_invalidation, IOM_INVALIDATE_CONTEXT);
    chain.invalidate(iotlb_invalidation, IOM_INVALIDATE_IOTLB);
    chain.bench.run_until_idle();
    iom_dma *later = chain.send(1000, page_b);
    chain.bench.run_until_idle();
    return {(racing->x.leaf.output - page_b) / moved, (later->x.leaf.output - page_b) / moved,
            iom_stage_stats_of(chain.front)->restarts};
}

TEST(StageChain, a_stale_context_on_the_wire_does_not_reach_the_iotlb)
{
    // Looked up in 300, at the IOTLB from 300 + 2 + 7 + 30 on: everything is invalidated in between.
    const Outcome r = race(true, 305, 315);
    EXPECT_EQ(r.racing, 2u);
    EXPECT_EQ(r.later, 2u);
    EXPECT_EQ(r.restarts, 1u);
}

TEST(StageChain, hardware_without_the_guard_keeps_a_stale_translation)
{
    const Outcome r = race(false, 305, 315);
    EXPECT_EQ(r.racing, 1u);
    EXPECT_EQ(r.later, 1u) << "the race this test is about does not happen";
}

// The same at every distance: whatever the request has used, nothing stale is left behind.
TEST(StageChain, nothing_stale_is_left_whenever_the_invalidations_come)
{
    for (iom_cycle context = 303; context < 420; context += 3) {
        for (iom_cycle gap : {1u, 4u, 20u, 60u}) {
            const Outcome r = race(true, context, context + gap);
            EXPECT_EQ(r.later, 2u) << "context " << context << " iotlb " << context + gap;
        }
    }
}

// Contexts are invalidated faster than a request travels from one stage to the other, as fast as they are
// acknowledged.
TEST(StageChain, a_stream_of_context_invalidations_starves_nobody)
{
    Chain chain(true);
    chain.stream = true;
    chain.invalidate(100, IOM_INVALIDATE_CONTEXT);
    iom_dma *dma = chain.send(105, page_a);
    chain.bench.run_to(3000);
    ASSERT_EQ(chain.answers.size(), 1u) << "still travelling";
    EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(iom_stage_stats_of(chain.front)->restarts, IOM_STAGE_PATIENCE + 1);
    EXPECT_GT(chain.invalidations, 20u);
}

} // namespace
