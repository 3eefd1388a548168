// SPDX-License-Identifier: Apache-2.0
//
// One submission of the replayed driver: commands and a wait into the queue, doorbell, spin until the status
// word shows the value. The timing is that of host.h; there is one processor, so nobody else is in the
// queue and its lock costs nothing.
#include "traffic/replay_internal.h"

#define MEMORY_PORT 0u

/// Values of the status word, as in Linux (QI_IN_USE, QI_DONE).
enum replay_status { REPLAY_STATUS_IN_USE = 1, REPLAY_STATUS_DONE = 2 };

void replay_charge(struct iom_replay *replay, enum iom_host_part part, iom_cycle until)
{
    struct replay_driver *driver = &replay->driver;
    if (until <= driver->mark)
        return;
    driver->part[part] += until - driver->mark;
    driver->mark = until;
}

bool replay_send_mmio(struct iom_replay *replay, bool write, uint32_t offset, uint8_t bytes, uint64_t value,
                      bool answered, iom_cycle now)
{
    struct iom_port *port = &replay->ports[replay->unit.port_count - 1];
    if (!iom_port_can_send(port, now))
        return false;
    struct iom_mmio *mmio = iom_pool_take(&replay->driver.mmio_pool);
    if (mmio == NULL) {
        replay_give_up(replay, "out of memory");
        return false;
    }
    mmio->write = write;
    mmio->offset = offset;
    mmio->bytes = bytes;
    mmio->value = value;
    mmio->cookie = answered;
    iom_port_send(port, &mmio->msg, now);
    replay->driver.mmio_in_flight++;
    *(write ? &replay->stats.register_writes : &replay->stats.register_reads) += 1;
    return true;
}

// ---- commands ----------------------------------------------------------------------------------------

static struct iom_flush_request request_of(const struct iom_replay *replay)
{
    const struct replay_driver *driver = &replay->driver;
    const struct iom_replay_driver *config = &replay->config.driver;
    return (struct iom_flush_request){.attachments = driver->attachments,
                                      .attachment_count = driver->attachment_count,
                                      .domain = driver->domain,
                                      .first_stage = config->first_stage,
                                      .default_pasid = config->default_pasid,
                                      .page_selective = driver->registers.page_selective,
                                      .largest_pages_log2 = driver->registers.largest_pages_log2,
                                      .page_commands = driver->registers.page_commands,
                                      .devices = config->policy.devices,
                                      .everything = driver->everything || config->policy.whole_domain,
                                      .leaf_only = !driver->everything && !config->policy.no_leaf_only,
                                      .iova = driver->iova,
                                      .bytes = driver->bytes};
}

static bool next_command(struct iom_replay *replay, struct iom_flush *flush)
{
    struct replay_driver *driver = &replay->driver;
    if (driver->prefix_done < driver->prefix_count) {
        *flush = driver->prefix[driver->prefix_done++];
        return true;
    }
    const struct iom_flush_request request = request_of(replay);
    return iom_flush_next(&request, &driver->cursor, flush);
}

static void put(struct iom_replay *replay, uint64_t address, uint64_t value, uint8_t bytes)
{
    struct iom_store_sink sink = iom_store_queue_sink(&replay->stores);
    const struct iom_store store = {address, value, bytes};
    if (!sink.put(sink.context, &store))
        replay_give_up(replay, "out of memory");
}

static void put_command(struct iom_replay *replay, const uint64_t *words)
{
    struct replay_driver *driver = &replay->driver;
    uint32_t bytes = driver->registers.command_bytes;
    for (uint32_t i = 0; i < bytes / 8; i++)
        put(replay, driver->base + (uint64_t)driver->head * bytes + UINT64_C(8) * i, words[i], 8);
    driver->head = (driver->head + 1) % driver->slots;
}

static void put_wait(struct iom_replay *replay)
{
    struct replay_driver *driver = &replay->driver;
    const struct iom_sync sync = {
        .write_status = true, .address = driver->status, .status = REPLAY_STATUS_DONE};
    uint64_t words[IOM_COMMAND_WORDS] = {0};
    put(replay, driver->status, REPLAY_STATUS_IN_USE, 4);
    if (driver->ops->encode_sync(driver->software, &sync, words) != IOM_SOFTWARE_OK)
        replay_give_up(replay, "the architecture has no wait command");
    put_command(replay, words);
}

bool replay_submit_begin(struct iom_replay *replay, iom_cycle now)
{
    struct replay_driver *driver = &replay->driver;
    const struct iom_replay_driver *config = &replay->config.driver;
    uint32_t most = config->batch != 0 ? config->batch : 16, count = 0;
    uint64_t each = iom_unit_ticks(&replay->unit, config->descriptor_cycles);
    struct iom_flush flush;
    while (count < most && next_command(replay, &flush)) {
        uint64_t words[IOM_COMMAND_WORDS] = {0};
        // What cannot be expressed does not exist in this mode (PASID cache in legacy mode, ...).
        if (driver->ops->encode_flush(driver->software, &flush, words) != IOM_SOFTWARE_OK)
            continue;
        count++;
        iom_store_queue_open(&replay->stores, REPLAY_COMMAND_STORE, now + count * each);
        put_command(replay, words);
    }
    if (count == 0)
        return false;
    iom_store_queue_open(&replay->stores, REPLAY_COMMAND_STORE, now + (count + 1) * each);
    put_wait(replay);
    driver->until = now + (count + 1) * each;
    driver->changed = driver->visible = IOM_NEVER;
    driver->watched = false;
    driver->submissions++;
    driver->commands += count;
    replay->stats.submissions++;
    replay->stats.commands += count;
    driver->phase = REPLAY_CALL_WRITTEN;
    return true;
}

// ---- doorbell and status -----------------------------------------------------------------------------

// A processor's stores are visible before a later uncached write.
static bool ring(struct iom_replay *replay, iom_cycle now)
{
    struct replay_driver *driver = &replay->driver;
    if (driver->until > now || iom_store_queue_pending(&replay->stores) != 0)
        return false;
    struct iom_register_write write;
    driver->ops->doorbell(driver->software, driver->head * driver->registers.command_bytes, &write);
    if (!replay_send_mmio(replay, true, write.offset, write.bytes, write.value, false, now))
        return false;
    driver->look = now + iom_unit_ticks(&replay->unit, replay->config.driver.doorbell_cycles);
    replay_charge(replay, IOM_HOST_PART_SUBMIT, driver->look);
    driver->phase = REPLAY_CALL_RUNG;
    return true;
}

static void watch(struct iom_replay *replay, iom_cycle now)
{
    struct iom_port *port = &replay->ports[MEMORY_PORT];
    if (replay->driver.watched || !iom_port_can_send(port, now))
        return;
    struct iom_memory_access *access = iom_pool_take(&replay->driver.watch_pool);
    if (access == NULL) {
        replay_give_up(replay, "out of memory");
        return;
    }
    access->op = IOM_MEMORY_WATCH;
    access->address = replay->driver.status;
    access->bytes = 4;
    access->expected = REPLAY_STATUS_IN_USE;
    access->data[0] = 0;
    access->data[1] = IOM_NEVER;
    access->error = 0;
    access->node = 0;
    iom_port_send(port, &access->msg, now);
    replay->driver.watched = true;
}

void replay_submit_take_watch(struct iom_replay *replay, struct iom_msg *msg)
{
    const struct iom_memory_access *access = (const struct iom_memory_access *)(void *)msg;
    struct replay_driver *driver = &replay->driver;
    if (access->error)
        replay_give_up(replay, "a status word lies at an address that does not answer");
    driver->changed = access->data[1];
    driver->visible = msg->arrival;
    iom_msg_release(msg);
}

// First look, every relax_cycles from the doorbell on, that sees the status.
static iom_cycle first_look(const struct iom_replay *replay)
{
    const struct replay_driver *driver = &replay->driver;
    iom_cycle interval = iom_unit_ticks(&replay->unit, iom_max_u64(replay->config.driver.relax_cycles, 1));
    if (driver->visible <= driver->look)
        return driver->look;
    return driver->look + iom_div_ceil(driver->visible - driver->look, interval) * interval;
}

bool replay_submit_step(struct iom_replay *replay, iom_cycle now)
{
    struct replay_driver *driver = &replay->driver;
    if (driver->phase == REPLAY_CALL_WRITTEN)
        return ring(replay, now);
    watch(replay, now);
    if (driver->visible == IOM_NEVER)
        return false;
    driver->until = first_look(replay);
    if (driver->until > now)
        return false;
    replay_charge(replay, IOM_HOST_PART_EXECUTE, driver->changed);
    replay_charge(replay, IOM_HOST_PART_STATUS, driver->visible);
    replay_charge(replay, IOM_HOST_PART_POLL, now);
    driver->phase = REPLAY_CALL_FLUSH;
    return true;
}
