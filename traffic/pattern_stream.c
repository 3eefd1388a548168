// SPDX-License-Identifier: Apache-2.0
//
// Independent requests: sequential, strided, uniform and Zipf. See generator.h.
#include <stdlib.h>

#include "traffic/generator_internal.h"
#include "traffic/zipf.h"

struct stream {
    struct iom_generator base;                // first member: the generator is the stream
    uint64_t (*place)(struct stream *stream); // offset of the next request in the window
    struct iom_rng rng;
    struct iom_chance read;
    struct iom_generator_config config;

    uint64_t next_offset, step; // sequential, strided
    // uniform: number of places in the two parts of the window and the start of the second
    struct iom_chance hot;
    uint64_t hot_places, cold_places, cold_offset;
    // zipf
    struct iom_zipf zipf;
    uint64_t block_bytes, last_block_bytes;

    // Rest of a request that crossed a page.
    uint64_t rest_iova;
    uint32_t rest_bytes;
    uint16_t rest_flags;
};

static uint64_t place_in_sequence(struct stream *stream)
{
    uint64_t offset = stream->next_offset;
    uint64_t next = offset + stream->step;
    // A stride may be as large as the window: compare without overflow.
    if (next > stream->config.window_bytes - stream->config.request_bytes)
        next = 0;
    stream->next_offset = next;
    return offset;
}

static uint64_t place_uniform(struct stream *stream)
{
    uint64_t align = stream->config.align_bytes;
    if (iom_chance_draw(&stream->hot, &stream->rng))
        return iom_rng_below(&stream->rng, stream->hot_places) * align;
    return stream->cold_offset + iom_rng_below(&stream->rng, stream->cold_places) * align;
}

static uint64_t places_in(uint64_t bytes, const struct iom_generator_config *config)
{
    return bytes < config->request_bytes ? 0 : (bytes - config->request_bytes) / config->align_bytes + 1;
}

static uint64_t place_zipf(struct stream *stream)
{
    uint32_t block = iom_zipf_sample(&stream->zipf, &stream->rng);
    bool last = block + 1 == stream->zipf.items;
    uint64_t places = places_in(last ? stream->last_block_bytes : stream->block_bytes, &stream->config);
    return block * stream->block_bytes + iom_rng_below(&stream->rng, places) * stream->config.align_bytes;
}

static void hand_out(struct stream *stream, uint64_t iova, uint32_t bytes, uint16_t flags,
                     struct iom_traffic_request *out)
{
    uint32_t piece = iom_piece_bytes(iova, bytes, IOM_PAGE_BYTES);
    out->iova = iova;
    out->token = 0;
    out->bytes = piece;
    out->source = stream->config.source;
    out->pasid = stream->config.pasid;
    out->flags = flags;
    out->klass = IOM_TRAFFIC_DATA;
    out->more = piece < bytes;
    stream->rest_iova = iova + piece;
    stream->rest_bytes = bytes - piece;
    stream->rest_flags = flags;
}

static bool next(struct iom_generator *generator, iom_cycle now, bool start, struct iom_traffic_request *out)
{
    struct stream *stream = (struct stream *)(void *)generator;
    (void)now;
    if (stream->rest_bytes != 0) {
        hand_out(stream, stream->rest_iova, stream->rest_bytes, stream->rest_flags, out);
        out->first = false;
        return true;
    }
    if (!start)
        return false;
    uint64_t iova = stream->config.base_iova + stream->place(stream);
    bool write = !iom_chance_draw(&stream->read, &stream->rng);
    hand_out(stream, iova, stream->config.request_bytes, iom_request_flags(stream->config.flags, write), out);
    out->first = true;
    return true;
}

static bool range(const struct iom_generator *generator, uint32_t index, struct iom_traffic_range *out)
{
    const struct iom_generator_config *config = &((const struct stream *)(const void *)generator)->config;
    if (index != 0)
        return false;
    unsigned permissions = 0;
    if (config->read_ppm != 0)
        permissions |= IOM_PERM_READ | ((config->flags & IOM_REQ_EXEC) != 0 ? IOM_PERM_EXEC : 0u);
    if (config->read_ppm != IOM_PPM)
        permissions |= IOM_PERM_WRITE;
    *out = (struct iom_traffic_range){
        .iova = config->base_iova,
        .bytes = config->window_bytes,
        .source = config->source,
        .pasid = config->pasid,
        .has_pasid = (config->flags & IOM_REQ_PASID) != 0,
        .permissions = (uint8_t)permissions,
        .page_log2 = config->page_log2,
    };
    return true;
}

static void destroy(struct iom_generator *generator)
{
    struct stream *stream = (struct stream *)(void *)generator;
    iom_zipf_free(&stream->zipf);
    free(stream);
}

static const struct iom_generator_ops stream_ops = {
    .next = next,
    .range = range,
    .destroy = destroy,
};

static void set_up_uniform(struct stream *stream)
{
    const struct iom_generator_config *config = &stream->config;
    stream->place = place_uniform;
    stream->hot = iom_chance_of(config->hot_bytes != 0 ? config->hot_ppm : 0);
    stream->hot_places = places_in(config->hot_bytes, config);
    stream->cold_offset = iom_align_up(config->hot_bytes, config->align_bytes);
    if (stream->cold_offset < config->window_bytes)
        stream->cold_places = places_in(config->window_bytes - stream->cold_offset, config);
}

static bool set_up_zipf(struct stream *stream)
{
    stream->place = place_zipf;
    stream->block_bytes = iom_generator_zipf_block(&stream->config);
    uint64_t blocks = iom_div_ceil(stream->config.window_bytes, stream->block_bytes);
    stream->last_block_bytes = stream->config.window_bytes - (blocks - 1) * stream->block_bytes;
    return iom_zipf_init(&stream->zipf, (uint32_t)blocks, stream->config.zipf_exponent_ppm, &stream->rng);
}

struct iom_generator *iom_generator_create_stream(const struct iom_generator_config *config, uint64_t seed,
                                                  const char *path)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->base.ops = &stream_ops;
    stream->config = *config;
    if (config->align_bytes == 0)
        stream->config.align_bytes = config->request_bytes;
    stream->read = iom_chance_of(config->read_ppm);
    iom_rng_seed(&stream->rng, seed, path);
    bool ok = true;
    if (config->kind == IOM_GENERATOR_UNIFORM) {
        set_up_uniform(stream);
    } else if (config->kind == IOM_GENERATOR_ZIPF) {
        ok = set_up_zipf(stream);
    } else {
        stream->place = place_in_sequence;
        stream->step =
            config->kind == IOM_GENERATOR_STRIDED ? config->stride_bytes : stream->config.request_bytes;
    }
    if (!ok) {
        free(stream);
        return NULL;
    }
    return &stream->base;
}
