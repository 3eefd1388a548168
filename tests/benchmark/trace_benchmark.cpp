// SPDX-License-Identifier: Apache-2.0
//
// Memory and speed of long traces: writes a trace of N records (one device, a mapped window, reads and
// writes of 256 bytes), reads it back, replays it, and prints time and peak memory after each step.
//
//   trace-benchmark RECORDS [FILE]      FILE is kept; default: a temporary file
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

#include "models/session.h"
#include "traffic/trace.h"

using namespace iommu_sim;

namespace
{

constexpr uint64_t window_pages = 512;
constexpr uint32_t device_id = 0x20;

double peak_mib()
{
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
}

class Step
{
  public:
    explicit Step(const char *name) : name_(name), begin_(std::chrono::steady_clock::now())
    {
    }
    void done(uint64_t records) const
    {
        std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin_;
        std::printf("%-8s %10llu records  %8.2f s  %10.0f records/s  peak memory %6.1f MiB\n", name_,
                    static_cast<unsigned long long>(records), took.count(),
                    static_cast<double>(records) / took.count(), peak_mib());
    }

  private:
    const char *name_;
    std::chrono::steady_clock::time_point begin_;
};

[[noreturn]] void give_up(const iom_trace_error &error)
{
    throw std::runtime_error(error.text);
}

void put(iom_trace_writer *writer, const iom_trace_record &record)
{
    iom_trace_error error = {};
    if (!iom_trace_write(writer, &record, &error))
        give_up(error);
}

void write_trace(const std::string &path, uint64_t records)
{
    iom_trace_error error = {};
    iom_trace_header header;
    iom_trace_header_init(&header);
    header.clock = IOM_TRACE_CLOCK_SYNTHETIC;
    header.queue_depth = 32;
    iom_trace_header_add(&header, IOM_TRACE_DEVICES, device_id, "0000:00:04.0");
    iom_trace_writer *writer = iom_trace_writer_open(path.c_str(), IOM_TRACE_BINARY, &header, &error);
    iom_trace_header_free(&header);
    if (writer == nullptr)
        give_up(error);
    iom_trace_record record;
    iom_trace_record_init(&record, IOM_TRACE_ATTACH);
    record.device = device_id;
    record.domain = 1;
    put(writer, record);
    iom_trace_record_init(&record, IOM_TRACE_MAP);
    record.device = device_id;
    record.domain = 1;
    record.iova = 0x10000000;
    record.address = 0x40000000;
    record.bytes = window_pages * IOM_PAGE_BYTES;
    record.flags = IOM_TRACE_READ | IOM_TRACE_WRITE | IOM_TRACE_SYNTHETIC;
    put(writer, record);
    iom_rng rng;
    iom_rng_seed(&rng, 1, "trace-benchmark");
    iom_trace_record_init(&record, IOM_TRACE_DMA);
    record.device = device_id;
    record.bytes = 256;
    for (uint64_t i = 2; i < records; i++) {
        record.time = i * 100;
        record.iova = 0x10000000 + iom_rng_below(&rng, window_pages * 16) * 256;
        record.flags = iom_rng_next(&rng) & 1 ? IOM_TRACE_READ : IOM_TRACE_WRITE;
        put(writer, record);
    }
    if (!iom_trace_writer_close(writer, &error))
        give_up(error);
}

void read_trace(const std::string &path, uint64_t records)
{
    iom_trace_error error = {};
    iom_trace_reader *reader = iom_trace_reader_open(path.c_str(), &error);
    if (reader == nullptr)
        give_up(error);
    iom_trace_record record;
    uint64_t count = 0;
    int got = 0;
    while ((got = iom_trace_read(reader, &record, &error)) == 1)
        count++;
    iom_trace_reader_close(reader);
    if (got < 0)
        give_up(error);
    if (count != records)
        throw std::runtime_error("records were lost");
}

void replay_trace(const std::string &path)
{
    SystemConfig config;
    config.trace.file = path;
    config.iotlb.entries = config.iotlb.ways = 128;
    System system(config);
    CoreKernel kernel(system.netlist());
    SessionResult result = run_session(system, kernel);
    if (result.end != EndReason::traffic_ended)
        throw std::runtime_error("the replay ended early: " + result.explanation);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        std::fputs("usage: trace-benchmark RECORDS [FILE]\n", stderr);
        return 2;
    }
    uint64_t records = std::strtoull(argv[1], nullptr, 10);
    std::string path = argc > 2 ? argv[2] : "trace-benchmark-" + std::to_string(getpid()) + ".iomt";
    try {
        Step write("write");
        write_trace(path, records);
        write.done(records);
        Step read("read");
        read_trace(path, records);
        read.done(records);
        Step replay("replay");
        replay_trace(path);
        replay.done(records);
    } catch (const std::exception &problem) {
        std::fprintf(stderr, "trace-benchmark: %s\n", problem.what());
        return 2;
    }
    if (argc == 2)
        std::remove(path.c_str());
    return 0;
}
