// SPDX-License-Identifier: Apache-2.0
//
// A mixture of generators: many requesters and PASIDs behind one device unit. See generator.h.
//
// Each operation comes from a part drawn by weight; a part that cannot begin one now is passed over
// for the next that can, so shares are those of the weights as long as no part is saturated.
#include <stdio.h>
#include <stdlib.h>

#include "traffic/generator_internal.h"
#include "traffic/generator_steps.h"

// A token is the part in the upper bits and the part's own token in the lower ones.
#define PART_SHIFT 40u

struct mixture {
    struct iom_generator base; // first member: the generator is the mixture
    struct iom_rng rng;
    struct iom_generator **parts;
    uint64_t *weight_up_to; // weight_up_to[i] = sum of weights 0..i
    uint32_t count;
    // Parts that may have something to go on with, each at most once.
    struct iom_step_queue going_on;
    bool *queued;
};

static void queue_part(struct mixture *mixture, uint32_t part)
{
    if (mixture->queued[part])
        return;
    mixture->queued[part] = true;
    iom_step_queue_push(&mixture->going_on, part);
}

static uint32_t draw_part(struct mixture *mixture)
{
    uint64_t draw = iom_rng_below(&mixture->rng, mixture->weight_up_to[mixture->count - 1]);
    uint32_t low = 0, high = mixture->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (draw < mixture->weight_up_to[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void queue_due_parts(struct mixture *mixture, iom_cycle now)
{
    for (uint32_t part = 0; part < mixture->count; part++) {
        if (iom_generator_due(mixture->parts[part]) <= now)
            queue_part(mixture, part);
    }
}

static bool take_from(struct mixture *mixture, uint32_t part, iom_cycle now, bool start,
                      struct iom_traffic_request *out)
{
    if (!iom_generator_next(mixture->parts[part], now, start, out))
        return false;
    out->token |= (uint64_t)part << PART_SHIFT;
    if (out->more)
        queue_part(mixture, part);
    out->more = mixture->going_on.count != 0;
    return true;
}

static bool next(struct iom_generator *generator, iom_cycle now, bool start, struct iom_traffic_request *out)
{
    struct mixture *mixture = (struct mixture *)(void *)generator;
    if (mixture->base.ops->due != NULL)
        queue_due_parts(mixture, now);
    while (mixture->going_on.count != 0) {
        uint32_t part = iom_step_queue_pop(&mixture->going_on);
        mixture->queued[part] = false;
        if (take_from(mixture, part, now, false, out))
            return true;
    }
    if (!start)
        return false;
    uint32_t part = draw_part(mixture);
    for (uint32_t i = 0; i < mixture->count; i++) {
        if (take_from(mixture, part, now, true, out))
            return true;
        part = part + 1 == mixture->count ? 0 : part + 1;
    }
    return false;
}

static enum iom_generator_progress completed(struct iom_generator *generator, iom_cycle now, uint64_t token,
                                             bool failed, struct iom_generator_end *end)
{
    struct mixture *mixture = (struct mixture *)(void *)generator;
    uint32_t part = (uint32_t)(token >> PART_SHIFT);
    if (!iom_generator_listens(mixture->parts[part]))
        return IOM_GENERATOR_GOING_ON;
    queue_part(mixture, part);
    return iom_generator_completed(mixture->parts[part], now, iom_low_bits(token, PART_SHIFT), failed, end);
}

static iom_cycle due(const struct iom_generator *generator)
{
    const struct mixture *mixture = (const struct mixture *)(const void *)generator;
    iom_cycle first = IOM_NEVER;
    for (uint32_t part = 0; part < mixture->count; part++)
        first = iom_min_u64(first, iom_generator_due(mixture->parts[part]));
    return first;
}

static bool range(const struct iom_generator *generator, uint32_t index, struct iom_traffic_range *out)
{
    const struct mixture *mixture = (const struct mixture *)(const void *)generator;
    for (uint32_t part = 0; part < mixture->count; part++) {
        for (uint32_t i = 0; iom_generator_range(mixture->parts[part], i, out); i++) {
            if (index-- == 0)
                return true;
        }
    }
    return false;
}

static void destroy(struct iom_generator *generator)
{
    struct mixture *mixture = (struct mixture *)(void *)generator;
    for (uint32_t part = 0; mixture->parts != NULL && part < mixture->count; part++)
        iom_generator_destroy(mixture->parts[part]);
    free(mixture->parts);
    free(mixture->weight_up_to);
    free(mixture->going_on.index);
    free(mixture->queued);
    free(mixture);
}

// Whether anything waits for answers or for time is a property of the parts.
static const struct iom_generator_ops streams_only = {.next = next, .range = range, .destroy = destroy};
static const struct iom_generator_ops with_answers = {
    .next = next, .completed = completed, .range = range, .destroy = destroy};
static const struct iom_generator_ops with_delays = {
    .next = next, .completed = completed, .due = due, .range = range, .destroy = destroy};

static bool create_parts(struct mixture *mixture, const struct iom_generator_config *config, uint64_t seed,
                         const char *path)
{
    uint64_t weight = 0;
    for (uint32_t part = 0; part < config->part_count; part++) {
        const struct iom_generator_part *source = &config->parts[part];
        char part_path[96];
        snprintf(part_path, sizeof part_path, "%s.part%u", path, (unsigned)part);
        mixture->parts[part] = iom_generator_create(source->config, seed, part_path, NULL);
        if (mixture->parts[part] == NULL)
            return false;
        weight += source->weight;
        mixture->weight_up_to[part] = weight;
        if (iom_generator_listens(mixture->parts[part])) {
            bool delays = source->config->media_latency_cycles != 0;
            if (delays || mixture->base.ops != &with_delays)
                mixture->base.ops = delays ? &with_delays : &with_answers;
        }
    }
    return true;
}

struct iom_generator *iom_generator_create_mixture(const struct iom_generator_config *config, uint64_t seed,
                                                   const char *path)
{
    struct mixture *mixture = calloc(1, sizeof *mixture);
    if (mixture == NULL)
        return NULL;
    mixture->base.ops = &streams_only;
    mixture->count = config->part_count;
    iom_rng_seed(&mixture->rng, seed, path);
    mixture->parts =
        calloc(config->part_count, sizeof(struct iom_generator *)); // NOLINT(bugprone-sizeof-expression)
    mixture->weight_up_to = calloc(config->part_count, sizeof *mixture->weight_up_to);
    mixture->queued = calloc(config->part_count, sizeof *mixture->queued);
    bool queue = iom_step_queue_init(&mixture->going_on, config->part_count);
    if (!queue || mixture->parts == NULL || mixture->weight_up_to == NULL || mixture->queued == NULL ||
        !create_parts(mixture, config, seed, path)) {
        destroy(&mixture->base);
        return NULL;
    }
    return &mixture->base;
}
