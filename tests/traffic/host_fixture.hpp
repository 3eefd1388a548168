// SPDX-License-Identifier: Apache-2.0
//
// A bench for the host unit: the table builder of no architecture with a toy command queue, a toy IOMMU that
// fetches and carries out its commands, the real memory unit, and a mock for DMA.
#ifndef IOM_TESTS_TRAFFIC_HOST_FIXTURE_HPP
#define IOM_TESTS_TRAFFIC_HOST_FIXTURE_HPP

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/memory.h"
#include "tests/traffic/support/fake_software.h"
#include "tests/traffic/support/mock_responder.h"
#include "traffic/host.h"

namespace iommu_sim::test
{

// ---- commands of the toy -----------------------------------------------------------------------------
// 16 bytes. word 0: kind + 1 (7:0), PASID (27:8), source (43:28), domain (63:44); word 1: iova | pages_log2,
// bit 11: leaf only. A wait has kind 0xff, its status in 63:32 and the address in word 1; bit 8: fence.

constexpr uint32_t toy_error = 0x34, toy_head = 0x80, toy_tail = 0x88, toy_source = 0xb0;
constexpr uint32_t toy_fatal = 1u << 4, toy_timeout = 1u << 6;
constexpr uint64_t toy_wait = 0xff, toy_invalid = 0xee;

struct ToySettings {
    bool page_selective = true;
    uint8_t largest_pages_log2 = 9;
    unsigned source_shift = 32;
};

/// Settings and place of the queue belong to the test; the operations have no state of their own.
struct Toy {
    static ToySettings &settings()
    {
        static thread_local ToySettings current;
        return current;
    }
    static uint64_t &base()
    {
        static thread_local uint64_t current;
        return current;
    }
    static uint32_t &bytes()
    {
        static thread_local uint32_t current;
        return current;
    }
};

inline iom_software_result toy_set_queue(iom_software *, uint64_t base, unsigned size_log2)
{
    Toy::base() = base;
    Toy::bytes() = 1u << size_log2;
    return IOM_SOFTWARE_OK;
}

inline void toy_queue_registers(const iom_software *, iom_queue_registers *registers)
{
    *registers = {};
    registers->command_bytes = 16;
    registers->capacity_bytes = Toy::bytes();
    registers->largest_pages_log2 = Toy::settings().largest_pages_log2;
    registers->page_selective = Toy::settings().page_selective;
    registers->error_offset = toy_error;
    registers->error_fatal = toy_fatal;
    registers->error_timeout = toy_timeout;
    registers->head_offset = toy_head;
    registers->head_bytes = 8;
    registers->head_unit = 1;
    registers->timeout_offset = toy_source;
    registers->timeout_shift = static_cast<uint8_t>(Toy::settings().source_shift);
}

inline void toy_doorbell(const iom_software *, uint32_t tail, iom_register_write *write)
{
    *write = {};
    write->offset = toy_tail;
    write->bytes = 8;
    write->value = tail;
}

inline iom_software_result toy_encode_flush(const iom_software *, const iom_flush *flush, uint64_t *words)
{
    if (flush->kind == IOM_FLUSH_INTERRUPTS)
        return IOM_SOFTWARE_REFUSED; // something the toy cannot express
    words[0] = static_cast<uint64_t>(flush->kind) + 1;
    words[0] |= uint64_t{flush->pasid & 0xfffffu} << 8 | uint64_t{flush->source & 0xffffu} << 28 |
                uint64_t{flush->domain & 0xfffffu} << 44;
    words[1] = flush->iova | flush->pages_log2 | (flush->leaf_only ? 1u << 11 : 0);
    return IOM_SOFTWARE_OK;
}

inline iom_software_result toy_encode_sync(const iom_software *, const iom_sync *sync, uint64_t *words)
{
    words[0] = toy_wait | (sync->fence ? 1u << 8 : 0) | (sync->drain_page_requests ? 1u << 9 : 0) |
               uint64_t{sync->status} << 32;
    words[1] = sync->address;
    return IOM_SOFTWARE_OK;
}

inline iom_software_ops toy_software_ops()
{
    iom_software_ops ops = fake_software_ops;
    ops.set_queue = toy_set_queue;
    ops.queue_registers = toy_queue_registers;
    ops.doorbell = toy_doorbell;
    ops.encode_flush = toy_encode_flush;
    ops.encode_sync = toy_encode_sync;
    return ops;
}

// ---- the toy IOMMU -----------------------------------------------------------------------------------

struct SeenCommand {
    iom_cycle at; ///< carried out
    iom_flush_kind kind;
    uint32_t domain, source, pasid;
    uint64_t iova;
    unsigned pages_log2;
    bool leaf_only;
    uint64_t raw;
};

/// Carries out one command after the other, each in `command_cycles`. A device that does not answer holds up
/// the waits behind it; after `timeout_cycles` they are lost and the queue stops until the error is cleared.
class ToyIommu
{
  public:
    explicit ToyIommu(iom_memory_image *memory_image) : image(memory_image)
    {
        static const iom_unit_ops ops = [] {
            iom_unit_ops made{};
            made.kind = "toy";
            made.advance = [](iom_unit *unit, iom_cycle now) {
                return reinterpret_cast<Body *>(unit)->owner->advance(now);
            };
            return made;
        }();
        body.owner = this;
        iom_unit_init(&body.unit, &ops, "toy", ports, 2);
        iom_port_init(&body.unit, 0, "mmio", false);
        iom_port_init(&body.unit, 1, "memory", true);
        iom_pool_init(&pool, IOM_MSG_MEMORY, sizeof(iom_memory_access));
    }
    ~ToyIommu()
    {
        iom_pool_free(&pool);
    }
    ToyIommu(const ToyIommu &) = delete;
    ToyIommu &operator=(const ToyIommu &) = delete;

    iom_unit *unit()
    {
        return &body.unit;
    }
    iom_port *mmio()
    {
        return &ports[0];
    }
    iom_port *memory()
    {
        return &ports[1];
    }

    iom_cycle command_cycles = 10, timeout_cycles = 500;
    uint32_t silent_source = 0;   ///< this device does not answer
    unsigned silent_times = 1000; ///< so many times
    std::vector<SeenCommand> commands;
    std::vector<iom_cycle> doorbells, waits; ///< tail writes; waits carried out
    unsigned error_reads = 0;
    uint64_t last_wait = 0;
    uint32_t error = 0;

  private:
    struct Body {
        iom_unit unit;
        ToyIommu *owner;
    };

    iom_cycle advance(iom_cycle now)
    {
        while (iom_port_peek(&ports[0], now) != nullptr)
            access(iom_port_pop(&ports[0]), now);
        while (iom_port_peek(&ports[1], now) != nullptr)
            iom_msg_release(iom_port_pop(&ports[1]));
        if (deadline <= now)
            time_out();
        while (error == 0 && head != tail && busy <= now)
            command(now);
        return std::min(error == 0 && head != tail ? busy : IOM_NEVER, deadline);
    }

    void access(iom_msg *msg, iom_cycle now)
    {
        auto *mmio = reinterpret_cast<iom_mmio *>(msg);
        if (mmio->write && mmio->offset == toy_tail) {
            tail = static_cast<uint32_t>(mmio->value);
            doorbells.push_back(now);
            busy = std::max(busy, now + command_cycles);
        } else if (mmio->write && mmio->offset == toy_error) {
            error &= ~static_cast<uint32_t>(mmio->value);
            busy = now + command_cycles;
        } else if (!mmio->write) {
            error_reads += mmio->offset == toy_error;
            mmio->value = mmio->offset == toy_error    ? error
                          : mmio->offset == toy_head   ? head
                          : mmio->offset == toy_source ? uint64_t{stuck} << Toy::settings().source_shift
                                                       : 0;
        }
        iom_port_return_credit(&ports[0], now);
        iom_port_send(&ports[0], msg, now);
    }

    void command(iom_cycle now)
    {
        uint64_t words[2] = {0, 0};
        ASSERT_TRUE(iom_memory_image_read(image, Toy::base() + head, words, sizeof words));
        const uint64_t kind = words[0] & 0xff;
        if (kind == toy_invalid) {
            error |= toy_fatal;
            return;
        }
        head = (head + 16) % Toy::bytes();
        busy = now + command_cycles;
        if (kind == toy_wait) {
            last_wait = words[0];
            if (deadline == IOM_NEVER)
                complete(words, now);
            return;
        }
        SeenCommand seen{};
        seen.at = now;
        seen.kind = static_cast<iom_flush_kind>(kind - 1);
        seen.pasid = static_cast<uint32_t>(words[0] >> 8 & 0xfffff);
        seen.source = static_cast<uint32_t>(words[0] >> 28 & 0xffff);
        seen.domain = static_cast<uint32_t>(words[0] >> 44);
        seen.iova = words[1] & ~UINT64_C(0xfff);
        seen.pages_log2 = static_cast<unsigned>(words[1] & 0x3f);
        seen.leaf_only = (words[1] >> 11 & 1) != 0;
        seen.raw = words[0];
        commands.push_back(seen);
        const bool device = seen.kind >= IOM_FLUSH_DEVICE_ALL && seen.kind <= IOM_FLUSH_DEVICE_SPACE_PAGES;
        if (device && seen.source == silent_source && silent_times != 0) {
            silent_times--;
            stuck = seen.source;
            deadline = std::min(deadline, now + timeout_cycles);
        }
    }

    void complete(const uint64_t words[2], iom_cycle now)
    {
        auto *access = static_cast<iom_memory_access *>(iom_pool_take(&pool));
        access->op = IOM_MEMORY_WRITE;
        access->address = words[1];
        access->bytes = 4;
        access->data[0] = words[0] >> 32;
        access->error = 0;
        iom_port_send(&ports[1], &access->msg, now);
        waits.push_back(now);
    }

    void time_out()
    {
        deadline = IOM_NEVER;
        error |= toy_timeout;
    }

    Body body{};
    iom_port ports[2] = {};
    iom_pool pool{};
    iom_memory_image *image;
    uint32_t head = 0, tail = 0, stuck = 0;
    iom_cycle busy = 0, deadline = IOM_NEVER;
};

// ---- the bench ---------------------------------------------------------------------------------------

struct SeenReport {
    iom_host_report_kind kind;
    uint32_t thread, op, round, tag;
    iom_cycle begun, ended;
    iom_host_result result;
    uint64_t iova;
    uint32_t submissions, commands;
    iom_cycle part[IOM_HOST_PARTS];
    uint8_t outcome;
};

class HostBench : public ::testing::Test
{
  protected:
    static constexpr iom_cycle memory_latency = 20, hop = 1, mmio_hop = 5;

    HostBench() : dma("iommu", 4, 30)
    {
        Toy::settings() = {};
        image = iom_memory_image_create();
        EXPECT_TRUE(iom_memory_image_add_range(image, 0, (UINT64_C(1) << 30) - 1));
        software.settings = &address_of_tables;
        config.coherent = true;
        config.costs.relax_cycles = 1;
    }
    ~HostBench() override
    {
        bench.reset();
        iom_host_destroy(host);
        iom_mapper_destroy(mapper);
        iom_memory_destroy(memory);
        iom_memory_image_destroy(image);
    }

    static iom_host_op op(iom_host_op_kind kind)
    {
        iom_host_op made{};
        iom_host_op_init(&made, kind);
        return made;
    }
    iom_host_op *add(size_t thread, iom_host_op_kind kind)
    {
        while (programs.size() <= thread)
            programs.emplace_back();
        programs[thread].push_back(op(kind));
        return &programs[thread].back();
    }
    void delay(size_t thread, uint64_t cycles)
    {
        add(thread, IOM_HOST_DELAY)->cycles = cycles;
    }
    iom_host_op *flush(size_t thread, iom_flush_kind kind, uint32_t domain = 1, uint32_t source = 0)
    {
        iom_host_op *made = add(thread, IOM_HOST_FLUSH);
        made->flush.kind = kind;
        made->flush.domain = domain;
        made->flush.source = source;
        return made;
    }
    void device(uint32_t source, bool ats = false)
    {
        iom_host_device made{};
        made.source = source;
        made.ats = ats;
        devices.push_back(made);
    }
    void domain(uint32_t id, bool first_stage = false, iom_flush_mode mode = IOM_FLUSH_STRICT,
                uint32_t entries = 0, uint64_t timeout_cycles = 0)
    {
        iom_host_domain made{};
        made.id = id;
        made.first_stage = first_stage;
        made.policy.mode = mode;
        made.policy.entries = entries;
        made.policy.timeout_cycles = timeout_cycles;
        made.addresses = &addresses;
        domains.push_back(made);
    }

    bool create(std::string *error = nullptr)
    {
        iom_mapper_config mapping{};
        mapping.software = &ops;
        mapping.settings = &software;
        mapping.ram_last = (UINT64_C(1) << 30) - 1;
        mapping.page_log2 = 21;
        const iom_store_sink sink = iom_mapper_image_sink(image);
        if (mapper == nullptr)
            mapper = iom_mapper_create(&mapping, &sink, "host", nullptr);
        list.clear();
        for (size_t i = 0; i < programs.size(); i++) {
            iom_host_program program{};
            program.ops = programs[i].data();
            program.count = static_cast<uint32_t>(programs[i].size());
            program.cpu = i < cpu_of.size() ? cpu_of[i] : static_cast<uint32_t>(i);
            program.start = i < start_of.size() ? start_of[i] : 0;
            list.push_back(program);
        }
        config.devices = devices.data();
        config.device_count = static_cast<uint32_t>(devices.size());
        config.domains = domains.data();
        config.domain_count = static_cast<uint32_t>(domains.size());
        config.programs = list.data();
        config.program_count = static_cast<uint32_t>(list.size());
        config.on_report = report;
        config.hook_context = this;
        char text[200] = "";
        host = iom_host_create(&config, mapper, "host", text, sizeof text);
        if (error != nullptr)
            *error = text;
        return host != nullptr;
    }

    /// Creates whatever is missing and runs to the end.
    iom_run_end run(iom_cycle limit = IOM_NEVER - 1)
    {
        if (host == nullptr && !create()) {
            ADD_FAILURE() << "the host could not be made";
            return IOM_RUN_STOPPED;
        }
        if (bench == nullptr) {
            iom_memory_config settings{};
            settings.inputs = 2;
            settings.latency_cycles = memory_latency;
            memory = iom_memory_create(&settings, image, "memory");
            toy = toy != nullptr ? std::move(toy) : std::make_unique<ToyIommu>(image);
            connect(iom_host_port(host, IOM_HOST_PORT_MEMORY), iom_memory_input(memory, 0), memory_depth, hop,
                    hop);
            connect(iom_host_port(host, IOM_HOST_PORT_MMIO), toy->mmio(), 0, mmio_hop, mmio_hop);
            connect(toy->memory(), iom_memory_input(memory, 1), 0, hop, hop);
            for (size_t i = 0; i < devices.size(); i++)
                connect(iom_host_port(host, IOM_HOST_PORT_DMA + static_cast<uint32_t>(i)),
                        dma.port(static_cast<unsigned>(i)));
            bench = std::make_unique<Bench>(std::vector<iom_unit *>{
                iom_host_unit(host), iom_memory_unit(memory), toy->unit(), dma.unit()});
        }
        return bench->run(limit);
    }
    /// The toy, to be set up before the run.
    ToyIommu &hardware()
    {
        if (toy == nullptr)
            toy = std::make_unique<ToyIommu>(image);
        return *toy;
    }
    std::vector<iom_flush_kind> kinds()
    {
        std::vector<iom_flush_kind> list_of_kinds;
        for (const SeenCommand &command : hardware().commands)
            list_of_kinds.push_back(command.kind);
        return list_of_kinds;
    }
    const SeenReport &report_of(uint32_t tag) const
    {
        for (const SeenReport &seen : reports) {
            if (seen.tag == tag)
                return seen;
        }
        ADD_FAILURE() << "no report with tag " << tag;
        static const SeenReport none{};
        return none;
    }
    uint64_t word(uint64_t address) const
    {
        uint64_t value = 0;
        EXPECT_TRUE(iom_memory_image_read(image, address, &value, sizeof value));
        return value;
    }

    FakeTables tables;
    FakeTables *address_of_tables = &tables;
    iom_software_config software{};
    iom_software_ops ops = toy_software_ops();
    iom_iova_config addresses{};
    iom_memory_image *image = nullptr;
    iom_mapper *mapper = nullptr;
    iom_memory *memory = nullptr;
    iom_host *host = nullptr;
    iom_host_config config{};
    std::vector<iom_host_device> devices;
    std::vector<iom_host_domain> domains;
    std::deque<std::vector<iom_host_op>> programs;
    std::vector<iom_host_program> list;
    std::vector<uint32_t> cpu_of;
    std::vector<iom_cycle> start_of;
    std::vector<SeenReport> reports;
    std::unique_ptr<ToyIommu> toy;
    MockResponder dma;
    std::unique_ptr<Bench> bench;
    uint32_t memory_depth = 0;

  private:
    static void report(void *context, const iom_host_report *given)
    {
        SeenReport seen{};
        seen.kind = given->kind;
        seen.thread = given->thread;
        seen.op = given->op;
        seen.round = given->round;
        seen.tag = given->what != nullptr ? given->what->tag : 0;
        seen.begun = given->begun;
        seen.ended = given->ended;
        seen.result = given->result;
        seen.iova = given->iova;
        seen.submissions = given->submissions;
        seen.commands = given->commands;
        std::copy(std::begin(given->part), std::end(given->part), std::begin(seen.part));
        seen.outcome = given->dma != nullptr ? given->dma->x.outcome : 0;
        static_cast<HostBench *>(context)->reports.push_back(seen);
    }
};

} // namespace iommu_sim::test

#endif
