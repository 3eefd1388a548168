// SPDX-License-Identifier: Apache-2.0
//
// An example platform: the IOMMU modules among modules that know nothing of this project.
//
//   Processor (SC_THREAD, b_transport) ──> registers ──> command queue ──────────> Dram
//                                              └──> fan-out <──┘ └──> all caches
//   Reader    (SC_THREAD, b_transport) ──> device TLB ─┐
//   Streamer  (nb_transport)           ────────────────┴─> front end ──> walker ──> Dram
//                                                             └───────────────────> Dram
//   (Dram: simple_target_socket)
//
// The processor turns translation on; then the reader copies a buffer through its device TLB and the IOMMU,
// and the streamer writes one, page by page, as a network card would. When the reader is done the processor
// gives it another page in the place of the first: it changes the table, has the old translation
// invalidated through the command queue, in the IOMMU and in the device, and waits for the status word. The
// program checks what arrived in memory and that the reader sees the new page. It uses nothing of the
// command line: an ordinary SystemC program around the modules of docs/systemc.md.
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <vector>

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include "core/arch/vtd/vtd.h"
#include "core/arch/vtd/vtd_tables.h"
#include "models/systemc/modules.h"

namespace
{

using sc_core::sc_time;
using tlm::tlm_generic_payload;

constexpr uint64_t tick_ps = 500; // 2 GHz
constexpr uint32_t reader_id = 0x0100, streamer_id = 0x0200;
constexpr uint32_t reader_domain = 1, streamer_domain = 2;
constexpr uint64_t iova = 0x80000000, buffer = 0x200000;
constexpr unsigned pages = 16;
constexpr uint64_t command_memory = 0x1f0000, status_word = 0x1f8000; // below the buffers
constexpr uint64_t spare_page = 0x300000;

const sc_time dram_latency(60, sc_core::SC_NS);

/// Somebody's memory: loosely timed, 4 MiB.
class Dram : public sc_core::sc_module
{
  public:
    explicit Dram(const sc_core::sc_module_name &name)
        : sc_core::sc_module(name), dma("dma"), table("table"), queue("queue"), bytes(4 << 20)
    {
        dma.register_b_transport(this, &Dram::access);
        table.register_b_transport(this, &Dram::access);
        queue.register_b_transport(this, &Dram::access);
        dma.register_transport_dbg(this, &Dram::debug);
        table.register_transport_dbg(this, &Dram::debug);
        queue.register_transport_dbg(this, &Dram::debug);
    }

    tlm_utils::simple_target_socket<Dram, 64> dma, table, queue;
    std::vector<unsigned char> bytes;

  private:
    void access(tlm_generic_payload &payload, sc_time &delay)
    {
        bool ok = debug(payload) == payload.get_data_length();
        payload.set_response_status(ok ? tlm::TLM_OK_RESPONSE : tlm::TLM_ADDRESS_ERROR_RESPONSE);
        delay += dram_latency;
    }
    unsigned debug(tlm_generic_payload &payload)
    {
        uint64_t address = payload.get_address(), length = payload.get_data_length();
        if (address > bytes.size() || length > bytes.size() - address)
            return 0;
        if (payload.is_read())
            std::memcpy(payload.get_data_ptr(), &bytes[address], length);
        else if (payload.is_write())
            std::memcpy(&bytes[address], payload.get_data_ptr(), length);
        return static_cast<unsigned>(length);
    }
};

/// One blocking access.
template <typename Socket>
bool transfer(Socket &socket, tlm::tlm_command command, uint64_t address, void *data, unsigned length)
{
    tlm_generic_payload payload;
    payload.set_command(command);
    payload.set_address(address);
    payload.set_data_ptr(static_cast<unsigned char *>(data));
    payload.set_data_length(length);
    payload.set_streaming_width(length);
    sc_time delay = sc_core::SC_ZERO_TIME;
    socket->b_transport(payload, delay);
    sc_core::wait(delay);
    return payload.is_response_ok();
}

/// What the operating system keeps: VT-d tables and the command queue in Dram. Both devices have a domain
/// of their own.
class Driver
{
  public:
    explicit Driver(Dram &dram) : dram_(dram)
    {
        iom_vtd_features features{};
        features.guest_address_bits = 48;
        features.domain_bits = 8;
        features.second_stage_levels = 1u << 4;
        features.fault_records = 1;
        features.coherent = features.queued_invalidation = features.page_selective = true;
        features.device_tlb = true;
        features.max_address_mask = 9;
        require(iom_vtd_capabilities(&features, &config_.cap, &config_.ecap));
        config_.haw_bits = 39;
        require(iom_vtd_config_finish(&config_));
        arch = {&iom_vtd_ops, &config_, 0};
        iom_vtd_software_settings settings = iom_vtd_software_defaults(IOM_VTD_MODE_LEGACY);
        settings.device_tlb = true;
        iom_software_config config{&arch, &settings};
        iom_software_host host{this, take_table, store, nullptr};
        const char *error = "out of memory";
        tables_ = iom_vtd_software_ops.create(&config, &host, &error);
        require(tables_ != nullptr ? nullptr : error);
        require(iom_vtd_software_ops.set_queue(tables_, command_memory, IOM_PAGE_LOG2) == IOM_SOFTWARE_OK
                    ? nullptr
                    : "the command queue cannot be set up");
        attach(reader_id, reader_domain, buffer);
        attach(streamer_id, streamer_domain, buffer + pages * uint64_t{IOM_PAGE_BYTES});
    }
    ~Driver()
    {
        iom_vtd_software_ops.destroy(tables_);
    }
    std::vector<iom_register_write> startup() const
    {
        std::vector<iom_register_write> list(16);
        list.resize(iom_vtd_software_ops.startup(tables_, list.data(), list.size()));
        return list;
    }
    /// Puts `memory` in the place of the reader's page at `address`; from then on the old translation is
    /// stale.
    void replace_page(uint64_t address, uint64_t memory)
    {
        const iom_software_ops &ops = iom_vtd_software_ops;
        bool ok =
            ops.unmap(tables_, reader_domain, address, IOM_PAGE_LOG2, false, nullptr) == IOM_SOFTWARE_OK;
        ok = ok && ops.map(tables_, reader_domain, address, memory, IOM_PAGE_LOG2,
                           IOM_PERM_READ | IOM_PERM_WRITE, nullptr) == IOM_SOFTWARE_OK;
        require(ok ? nullptr : "the page cannot be replaced");
    }
    /// Appends the commands that invalidate it, in the IOMMU first and then in the device, and a wait that
    /// writes `status`. Returns the register write that makes the IOMMU look.
    iom_register_write invalidate_page(uint64_t address, uint32_t status)
    {
        iom_flush flush{};
        flush.kind = IOM_FLUSH_IOTLB_PAGES;
        flush.domain = reader_domain;
        flush.source = reader_id;
        flush.iova = address;
        append(flush);
        flush.kind = IOM_FLUSH_DEVICE_PAGES;
        append(flush);
        iom_sync sync{};
        sync.write_status = true;
        sync.address = status_word;
        sync.status = status;
        uint64_t words[IOM_COMMAND_WORDS] = {};
        put(iom_vtd_software_ops.encode_sync(tables_, &sync, words), words);
        iom_register_write doorbell{};
        iom_vtd_software_ops.doorbell(tables_, tail_, &doorbell);
        return doorbell;
    }
    iom_arch arch{};

  private:
    void append(const iom_flush &flush)
    {
        uint64_t words[IOM_COMMAND_WORDS] = {};
        put(iom_vtd_software_ops.encode_flush(tables_, &flush, words), words);
    }
    void put(iom_software_result encoded, const uint64_t *words)
    {
        require(encoded == IOM_SOFTWARE_OK ? nullptr : "a command cannot be expressed");
        iom_queue_registers queue{};
        iom_vtd_software_ops.queue_registers(tables_, &queue);
        std::memcpy(&dram_.bytes[command_memory + tail_], words, queue.command_bytes);
        tail_ = (tail_ + queue.command_bytes) % queue.capacity_bytes;
    }
    static void require(const char *error)
    {
        if (error != nullptr)
            throw std::runtime_error(error);
    }
    void attach(uint32_t source, uint32_t domain, uint64_t memory)
    {
        const iom_software_ops &ops = iom_vtd_software_ops;
        bool ok =
            ops.attach(tables_, source, IOM_NO_PASID, domain, IOM_SOFTWARE_TRANSLATE) == IOM_SOFTWARE_OK;
        for (uint64_t at = 0; at < pages * uint64_t{IOM_PAGE_BYTES}; at += IOM_PAGE_BYTES)
            ok = ok && ops.map(tables_, domain, iova + at, memory + at, IOM_PAGE_LOG2,
                               IOM_PERM_READ | IOM_PERM_WRITE, nullptr) == IOM_SOFTWARE_OK;
        require(ok ? nullptr : "the tables cannot be built");
    }
    static bool take_table(void *context, unsigned size_log2, uint64_t *address)
    {
        auto &self = *static_cast<Driver *>(context);
        uint64_t bytes = uint64_t{1} << size_log2;
        *address = self.free_ = iom_div_ceil(self.free_, bytes) * bytes;
        self.free_ += bytes;
        return self.free_ <= command_memory;
    }
    static bool store(void *context, const iom_store *store)
    {
        auto &self = *static_cast<Driver *>(context);
        std::memcpy(&self.dram_.bytes[store->address], &store->value, store->bytes);
        return true;
    }

    Dram &dram_;
    iom_vtd_config config_{};
    iom_software *tables_ = nullptr;
    uint64_t free_ = 0x1000;
    uint32_t tail_ = 0;
};

/// Carries out the driver's start-up sequence, lets the devices go, and later replaces a page of the reader.
class Processor : public sc_core::sc_module
{
  public:
    Processor(const sc_core::sc_module_name &name, Dram &dram, Driver &driver)
        : sc_core::sc_module(name), socket("socket"), dram_(dram), driver_(driver)
    {
        SC_HAS_PROCESS(Processor);
        SC_THREAD(run);
    }
    tlm_utils::simple_initiator_socket<Processor, 64> socket;
    sc_core::sc_event translating; ///< notified here
    sc_core::sc_event copied;      ///< notified by the reader
    sc_core::sc_event replaced;    ///< notified here
    unsigned errors = 0;

  private:
    void run()
    {
        for (iom_register_write &step : driver_.startup()) {
            write(step);
            uint64_t status = 0;
            while (step.poll_bytes != 0 && (status & step.poll_mask) != step.poll_value)
                errors +=
                    !transfer(socket, tlm::TLM_READ_COMMAND, step.poll_offset, &status, step.poll_bytes);
        }
        std::printf("%-12s translation is on\n", sc_core::sc_time_stamp().to_string().c_str());
        translating.notify(sc_time(1, sc_core::SC_NS));
        sc_core::wait(copied);
        replace_page();
    }
    void replace_page()
    {
        constexpr uint32_t done = 0x600d;
        driver_.replace_page(iova, spare_page);
        const sc_time::value_type begin = sc_core::sc_time_stamp().value();
        write(driver_.invalidate_page(iova, done));
        for (uint32_t status = 0; status != done; sc_core::wait(sc_time(10, sc_core::SC_NS)))
            std::memcpy(&status, &dram_.bytes[status_word], sizeof status);
        const sc_time::value_type end = sc_core::sc_time_stamp().value();
        std::printf("%-12s page replaced, invalidation took %s\n",
                    sc_time::from_value(end).to_string().c_str(),
                    sc_time::from_value(end - begin).to_string().c_str());
        replaced.notify(sc_time(1, sc_core::SC_NS));
    }
    void write(iom_register_write step)
    {
        errors += !transfer(socket, tlm::TLM_WRITE_COMMAND, step.offset, &step.value, step.bytes);
    }
    Dram &dram_;
    Driver &driver_;
};

/// Copies the first half of the buffer to the second half, 64 bytes at a time; looks at its first page again
/// when that has been replaced.
class Reader : public sc_core::sc_module
{
  public:
    Reader(const sc_core::sc_module_name &name, Processor &processor)
        : sc_core::sc_module(name), socket("socket"), processor_(processor)
    {
        SC_HAS_PROCESS(Reader);
        SC_THREAD(run);
    }
    tlm_utils::simple_initiator_socket<Reader, 64> socket;
    unsigned errors = 0;
    bool sees_new_page = false;

  private:
    void run()
    {
        sc_core::wait(processor_.translating);
        unsigned char line[64];
        const uint64_t half = pages / 2 * uint64_t{IOM_PAGE_BYTES};
        for (uint64_t offset = 0; offset < half; offset += sizeof line) {
            errors += !transfer(socket, tlm::TLM_READ_COMMAND, iova + offset, line, sizeof line);
            errors += !transfer(socket, tlm::TLM_WRITE_COMMAND, iova + half + offset, line, sizeof line);
        }
        // An address that nobody mapped: the IOMMU must refuse it.
        errors += transfer(socket, tlm::TLM_READ_COMMAND, iova - IOM_PAGE_BYTES, line, sizeof line);
        std::printf("%-12s reader is done\n", sc_core::sc_time_stamp().to_string().c_str());
        processor_.copied.notify();
        sc_core::wait(processor_.replaced);
        errors += !transfer(socket, tlm::TLM_READ_COMMAND, iova, line, sizeof line);
        sees_new_page = line[0] == 'n';
    }
    Processor &processor_;
};

/// Writes 256-byte frames as fast as the base protocol lets it; says who it is in the payload.
class Streamer : public sc_core::sc_module, public tlm::tlm_mm_interface
{
  public:
    Streamer(const sc_core::sc_module_name &name, const sc_core::sc_event &start, unsigned frames)
        : sc_core::sc_module(name), socket("socket"), start_(start), frames_(frames)
    {
        socket.register_nb_transport_bw(this, &Streamer::backward);
        SC_HAS_PROCESS(Streamer);
        SC_THREAD(run);
    }
    void free(tlm_generic_payload *payload) override
    {
        delete payload; // and, with it, the extension
    }
    tlm_utils::simple_initiator_socket<Streamer, 64> socket;
    unsigned done = 0, errors = 0;

  private:
    void run()
    {
        sc_core::wait(start_);
        for (unsigned frame = 0; frame < frames_; frame++) {
            auto *payload = new tlm_generic_payload(this);
            payload->acquire();
            auto *extension = new iommu_sim::IommuExtension;
            extension->source_id = streamer_id;
            payload->set_extension(extension);
            payload->set_command(tlm::TLM_WRITE_COMMAND);
            payload->set_address(iova + frame * uint64_t{256});
            std::memset(frame_, 's', sizeof frame_);
            payload->set_data_ptr(frame_);
            payload->set_data_length(sizeof frame_);
            payload->set_streaming_width(sizeof frame_);
            tlm::tlm_phase phase = tlm::BEGIN_REQ;
            sc_time delay = sc_core::SC_ZERO_TIME;
            if (socket->nb_transport_fw(*payload, phase, delay) == tlm::TLM_ACCEPTED)
                sc_core::wait(accepted_);
            else
                sc_core::wait(delay);
        }
    }
    tlm::tlm_sync_enum backward(tlm_generic_payload &payload, tlm::tlm_phase &phase, sc_time &delay)
    {
        if (phase == tlm::END_REQ)
            accepted_.notify(delay);
        if (phase != tlm::BEGIN_RESP)
            return tlm::TLM_ACCEPTED;
        errors += !payload.is_response_ok();
        if (++done == frames_)
            std::printf("%-12s streamer is done\n", (sc_core::sc_time_stamp() + delay).to_string().c_str());
        payload.release();
        return tlm::TLM_COMPLETED;
    }
    const sc_core::sc_event &start_;
    unsigned frames_;
    unsigned char frame_[256];
    sc_core::sc_event accepted_;
};

iom_cache_config fully_associative(uint32_t entries)
{
    iom_cache_config cache{};
    cache.entries = cache.ways = entries;
    cache.policy = IOM_POLICY_LRU;
    cache.prefer_invalid = true;
    return cache;
}

iom_lookup_config owned_lookup(const iom_cache_config &cache, uint64_t latency_cycles)
{
    iom_lookup_config lookup{};
    lookup.owned = true;
    lookup.cache = cache;
    lookup.latency_cycles = latency_cycles;
    return lookup;
}

iom_stage_config frontend_config(const iom_arch &arch)
{
    iom_stage_config config{};
    config.arch = &arch;
    config.pcie_ordering = true;
    config.inputs = 2;
    config.lookups_per_cycle = 1;
    config.latency_cycles = 4;
    config.lookup[IOM_LOOKUP_CONTEXT] = owned_lookup(fully_associative(8), 1);
    config.lookup[IOM_LOOKUP_PASID] = owned_lookup(fully_associative(8), 1);
    config.lookup[IOM_LOOKUP_IOTLB] = owned_lookup(fully_associative(64), 2);
    config.miss_entries = 8;
    config.merges_per_entry = 16;
    config.hit_under_miss = true;
    config.squash_walks = true;
    return config;
}

iom_device_tlb_config device_tlb_config()
{
    iom_device_tlb_config config{};
    config.stream = reader_id;
    config.cache = fully_associative(32);
    config.latency_cycles = 2;
    config.lookups_per_cycle = 1;
    config.outstanding = 8;
    config.merges_per_request = 8;
    config.queue_depth = 32;
    config.use_size = config.squash = true;
    return config;
}

// Faults of one front end, events of command queue and fan-out.
iom_register_unit_config register_config(const iom_arch &arch)
{
    iom_register_unit_config config{};
    config.arch = &arch;
    config.fault_inputs = 1;
    config.event_inputs = 2;
    return config;
}

iom_command_queue_config command_queue_config(const iom_arch &arch)
{
    iom_command_queue_config config{};
    config.arch = &arch;
    config.prefetch_commands = 4;
    config.decode_cycles = 4;
    config.max_in_flight = 8;
    return config;
}

// Registers and command queue on one side; front end, walker and the reader's device TLB on the other.
iom_fanout_config fanout_config()
{
    iom_fanout_config config{};
    config.sources = 2;
    config.participants = 2;
    config.devices = 1;
    config.streams = &reader_id;
    return config;
}

iom_walker_config walker_config(const iom_arch &arch)
{
    iom_walker_config config{};
    config.arch = &arch;
    config.inputs = 1;
    config.walkers = 4;
    config.step_cycles = 1;
    config.fused_psc = true;
    for (unsigned level = 2; level <= 4; level++)
        config.psc.cache[1][level] = fully_associative(8);
    config.squash_walks = true;
    return config;
}

// Both halves of the reader's buffer equal, the streamer's buffer full of frames.
bool memory_is_right(const Dram &dram, unsigned frames)
{
    const unsigned char *first = &dram.bytes[buffer];
    const uint64_t half = pages / 2 * uint64_t{IOM_PAGE_BYTES};
    bool right = std::memcmp(first, first + half, half) == 0;
    for (uint64_t i = 0; i < frames * uint64_t{256}; i++)
        right = right && first[2 * half + i] == 's';
    return right;
}

int run()
{
    constexpr unsigned frames = pages * IOM_PAGE_BYTES / 256;
    Dram dram("dram");
    for (size_t i = 0; i < pages / 2 * size_t{IOM_PAGE_BYTES}; i++)
        dram.bytes[buffer + i] = static_cast<unsigned char>(i * 31 + i / 251);
    dram.bytes[spare_page] = 'n';
    Driver driver(dram);

    iommu_sim::FrontendModule frontend("frontend", frontend_config(driver.arch), IOM_TAG_BY_DOMAIN, tick_ps);
    iommu_sim::WalkerModule walker("walker", walker_config(driver.arch), tick_ps);
    iommu_sim::RegisterModule registers("registers", register_config(driver.arch), tick_ps);
    iommu_sim::CommandQueueModule queue("queue", command_queue_config(driver.arch), tick_ps);
    iommu_sim::FanoutModule fanout("fanout", fanout_config(), tick_ps);
    iommu_sim::DeviceTlbModule device_tlb("device_tlb", device_tlb_config(), tick_ps);
    frontend.walk().bind(walker.in(0));
    frontend.fault().bind(registers.fault(0));
    registers.fanout().bind(fanout.source(0));
    registers.queue().bind(queue.setup());
    queue.fanout().bind(fanout.source(1));
    queue.events().bind(registers.event(0));
    fanout.events().bind(registers.event(1));
    fanout.participant(0).bind(frontend.control());
    fanout.participant(1).bind(walker.control());
    fanout.device(0).bind(device_tlb.invalidate());
    device_tlb.host().bind(frontend.in(0));
    queue.memory().bind(dram.queue);
    frontend.memory().bind(dram.dma);
    walker.memory().bind(dram.table);

    Processor processor("processor", dram, driver);
    Reader reader("reader", processor);
    Streamer streamer("streamer", processor.translating, frames);
    processor.socket.bind(registers.mmio());
    reader.socket.bind(device_tlb.device()); // whose configuration says who the reader is
    streamer.socket.bind(frontend.in(1));

    sc_core::sc_start();
    const iom_stage_stats &stats = *iom_stage_stats_of(&frontend.stage());
    const iom_device_tlb_stats &device = *iom_device_tlb_stats_of(&device_tlb.device_tlb());
    std::printf(
        "%llu requests, %llu walked, %llu refused; device TLB: %llu hits, %llu misses, %llu invalidated\n",
        static_cast<unsigned long long>(stats.requests), static_cast<unsigned long long>(stats.walked),
        static_cast<unsigned long long>(device.refused), static_cast<unsigned long long>(device.hits),
        static_cast<unsigned long long>(device.misses), static_cast<unsigned long long>(device.invalidated));
    bool good = processor.errors == 0 && reader.errors == 0 && streamer.errors == 0 &&
                streamer.done == frames && device.refused == 1 && device.invalidated == 1 &&
                reader.sees_new_page && memory_is_right(dram, frames);
    std::puts(good ? "all data arrived" : "something went wrong");
    return good ? 0 : 1;
}

} // namespace

// libsystemc contains main(), which calls this.
int sc_main(int, char *[])
{
    try {
        return run();
    } catch (const std::exception &error) {
        std::fprintf(stderr, "example-platform: %s\n", error.what());
        return 2;
    }
}
