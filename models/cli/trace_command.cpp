// SPDX-License-Identifier: Apache-2.0
//
// The commands `iommu-sim trace ...`: logs into traces, and what a trace holds. The work is done in
// traffic/ (import.h, trace.h, trace_check.h); this file is options, tables and exit statuses.
#include "models/cli/trace_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "models/cli/support.h"
#include "models/report/atomic_file.h"
#include "models/report/result_json.h"
#include "models/report/table.h"
#include "traffic/import.h"
#include "traffic/trace.h"
#include "traffic/trace_check.h"
#include "traffic/trace_lines.h"

namespace iommu_sim
{

namespace
{

using Json = nlohmann::ordered_json;

struct ReaderCloser {
    void operator()(iom_trace_reader *reader) const
    {
        iom_trace_reader_close(reader);
    }
};
using Reader = std::unique_ptr<iom_trace_reader, ReaderCloser>;

struct ImportFree {
    void operator()(iom_import *import) const
    {
        iom_import_free(import);
    }
};
using Import = std::unique_ptr<iom_import, ImportFree>;

bool ends_with(const std::string &text, const std::string &end)
{
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// A line on standard error for work that takes more than a second, if somebody is there to see it.
class RecordProgress
{
  public:
    explicit RecordProgress(const char *what) : what_(what), terminal_(isatty(STDERR_FILENO) != 0)
    {
    }
    ~RecordProgress()
    {
        if (shown_)
            std::cerr << "\r\x1b[K" << std::flush;
    }
    RecordProgress(const RecordProgress &) = delete;
    RecordProgress &operator=(const RecordProgress &) = delete;

    void update(uint64_t records)
    {
        if (!terminal_ || records % 262144 != 0 || Clock::now() - started_ < std::chrono::seconds(1))
            return;
        std::cerr << "\r" << what_ << ": " << format_count(records) << " records" << std::flush;
        shown_ = true;
    }

  private:
    using Clock = std::chrono::steady_clock;
    const char *what_;
    bool terminal_;
    bool shown_ = false;
    Clock::time_point started_ = Clock::now();
};

TextTable count_table(const char *heading)
{
    return TextTable({{heading}, {"", TextTable::Align::right}});
}

// ---------------------------------------------------------------------------------------------------
// import

struct ImportArguments {
    std::vector<std::string> files;
    std::string out;
    std::string report;
    std::string device;
    uint32_t mps = 256;
    uint32_t dma_bytes = 64;
    bool lenient = false;
};

const char *use_name(iom_import_use use)
{
    switch (use) {
    case IOM_IMPORT_USED:
        return "used";
    case IOM_IMPORT_IGNORED:
        return "not needed";
    case IOM_IMPORT_INTERRUPT:
        return "interrupt, skipped";
    default:
        return "unknown, skipped";
    }
}

std::string import_text(const iom_import *import, const ImportArguments &arguments)
{
    const iom_trace_header *header = iom_import_header(import);
    std::ostringstream out;
    out << "imported into " << arguments.out << " (" << iom_trace_arch_name(header->arch) << ")\n\n";
    TextTable counts = count_table("count");
    for (unsigned i = 0; i < IOM_IMPORT_COUNT_OF_COUNTS; i++) {
        const auto count = static_cast<iom_import_count>(i);
        if (iom_import_get(import, count) != 0)
            counts.add_row({iom_import_count_text(count), format_count(iom_import_get(import, count))});
    }
    out << counts.text() << "\n";
    TextTable lines({{"log"}, {"event"}, {"lines", TextTable::Align::right}, {"use"}});
    uint32_t kinds = 0;
    const iom_import_line_kind *kind = iom_import_line_kinds(import, &kinds);
    for (uint32_t i = 0; i < kinds; i++)
        lines.add_row({kind[i].host ? "host" : "guest", kind[i].name, format_count(kind[i].count),
                       use_name(kind[i].use)});
    out << lines.text() << "\n";
    for (uint32_t i = 0; i < header->list[IOM_TRACE_DEVICES].count; i++)
        out << "device  " << header->list[IOM_TRACE_DEVICES].entry[i].text << "\n";
    for (uint32_t i = 0; i < header->list[IOM_TRACE_NOTES].count; i++)
        out << "rule    " << header->list[IOM_TRACE_NOTES].entry[i].text << "\n";
    return out.str();
}

Json import_json(const iom_import *import, const ImportArguments &arguments)
{
    const iom_trace_header *header = iom_import_header(import);
    Json json;
    json["schema"] = "iommu-sim-import-report-1";
    json["tool_version"] = tool_version();
    json["output"] = arguments.out;
    json["arch"] = iom_trace_arch_name(header->arch);
    json["options"] = {{"mps_bytes", arguments.mps},
                       {"dma_bytes", arguments.dma_bytes},
                       {"device", arguments.device},
                       {"lenient", arguments.lenient}};
    for (uint32_t i = 0; i < header->list[IOM_TRACE_SOURCES].count; i++) {
        const iom_trace_entry &source = header->list[IOM_TRACE_SOURCES].entry[i];
        json["sources"].push_back({{"name", source.text}, {"crc32c", source.number}});
    }
    json["devices"] = Json::array();
    for (uint32_t i = 0; i < header->list[IOM_TRACE_DEVICES].count; i++)
        json["devices"].push_back(header->list[IOM_TRACE_DEVICES].entry[i].text);
    for (unsigned i = 0; i < IOM_IMPORT_COUNT_OF_COUNTS; i++) {
        const auto count = static_cast<iom_import_count>(i);
        json["counts"][iom_import_count_name(count)] = {{"value", iom_import_get(import, count)},
                                                        {"description", iom_import_count_text(count)}};
    }
    json["lines"] = Json::array();
    uint32_t kinds = 0;
    const iom_import_line_kind *kind = iom_import_line_kinds(import, &kinds);
    for (uint32_t i = 0; i < kinds; i++)
        json["lines"].push_back({{"log", kind[i].host ? "host" : "guest"},
                                 {"event", kind[i].name},
                                 {"lines", kind[i].count},
                                 {"use", use_name(kind[i].use)}});
    for (uint32_t i = 0; i < header->list[IOM_TRACE_NOTES].count; i++)
        json["rules"].push_back(header->list[IOM_TRACE_NOTES].entry[i].text);
    return json;
}

bool parse_device(const std::string &text, uint32_t &device)
{
    iom_cursor cursor = {text.c_str()};
    return iom_take_bdf(&cursor, &device) && *cursor.at == '\0';
}

int import_logs(const ImportArguments &arguments)
{
    iom_trace_error error;
    iom_import_options options;
    iom_import_options_init(&options);
    const std::string producer = std::string("iommu-sim ") + tool_version();
    options.producer = producer.c_str();
    options.mps_bytes = arguments.mps;
    options.dma_bytes = arguments.dma_bytes;
    options.lenient = arguments.lenient;
    if (!arguments.device.empty() && !parse_device(arguments.device, options.device))
        return bad_input("--device " + arguments.device + ": expected a PCI address such as 0000:00:04.0");
    std::vector<iom_import_source> sources;
    for (const std::string &file : arguments.files)
        sources.push_back({file.c_str(), nullptr, 0});
    const Import import(
        iom_import_logs(sources.data(), static_cast<unsigned>(sources.size()), &options, &error));
    if (!import)
        return bad_input(error.text);
    const iom_trace_form form = ends_with(arguments.out, ".txt") ? IOM_TRACE_TEXT : IOM_TRACE_BINARY;
    if (!iom_import_write(import.get(), arguments.out.c_str(), form, &error))
        return bad_input(error.text);
    if (!arguments.report.empty()) {
        const std::string problem =
            write_file(arguments.report, import_json(import.get(), arguments).dump(2) + "\n");
        if (!problem.empty())
            return bad_input(problem);
    }
    // With the trace on standard output the report must not get between its bytes.
    if (arguments.out == "-" || arguments.out == "/dev/stdout") {
        std::cerr << import_text(import.get(), arguments);
        return exit_clean;
    }
    return print(import_text(import.get(), arguments));
}

// ---------------------------------------------------------------------------------------------------
// info, check

std::string header_text(const std::string &path, iom_trace_reader *reader)
{
    const iom_trace_header *header = iom_trace_reader_header(reader);
    TextTable table({{"trace"}, {path}});
    table.add_row({"form", iom_trace_reader_is_text(reader) ? "text" : "binary"});
    table.add_row({"format version", std::to_string(header->version)});
    if (header->producer != nullptr)
        table.add_row({"written by", header->producer});
    table.add_row({"recorded on", iom_trace_arch_name(header->arch)});
    table.add_row({"clock", std::string(iom_trace_clock_name(header->clock)) + ", " +
                                format_count(header->tick_ps) + " ps a tick"});
    table.add_row(
        {"queue depth", header->queue_depth == 0 ? "not known" : format_count(header->queue_depth)});
    static const char *const names[IOM_TRACE_LISTS] = {"device", "mark", "source", "importer: ", "note"};
    for (unsigned list = 0; list < IOM_TRACE_LISTS; list++) {
        for (uint32_t i = 0; i < header->list[list].count; i++) {
            const iom_trace_entry &entry = header->list[list].entry[i];
            if (list == IOM_TRACE_COUNTERS)
                table.add_row({names[list] + std::string(entry.text), format_count(entry.number)});
            else
                table.add_row({names[list], entry.text});
        }
    }
    return table.text();
}

std::string summary_text(const iom_trace_header *header, const iom_trace_summary &summary)
{
    TextTable table = count_table("records");
    static const char *const classes[] = {"other", "ring", "data", "completion"};
    for (unsigned kind = IOM_TRACE_ATTACH; kind <= IOM_TRACE_MARK; kind++)
        table.add_row({iom_trace_kind_name(kind), format_count(summary.kinds[kind])});
    table.add_row({"all", format_count(summary.records)});
    table.add_rule();
    for (unsigned i = 0; i <= IOM_TRACE_DMA_COMPLETION; i++)
        table.add_row({std::string("dma, ") + classes[i], format_count(summary.dma_classes[i])});
    table.add_row({"dma that faulted", format_count(summary.faulted)});
    table.add_row({"bytes read by devices", format_count(summary.read_bytes)});
    table.add_row({"bytes written by devices", format_count(summary.written_bytes)});
    table.add_row({"pages mapped", format_count(summary.pages_mapped)});
    table.add_row({"pages unmapped", format_count(summary.pages_unmapped)});
    table.add_row({"synthetic records", format_count(summary.synthetic)});
    table.add_row({"deferred unmaps", format_count(summary.deferred)});
    table.add_row({"most operations open", format_count(summary.deepest)});
    const double tick_us = static_cast<double>(header->tick_ps) / 1e6;
    table.add_row({"time span, us",
                   format_fixed(static_cast<double>(summary.last_time - summary.first_time) * tick_us, 3)});
    return table.text();
}

int info(const std::string &path)
{
    iom_trace_error error;
    const Reader reader(iom_trace_reader_open(path.c_str(), &error));
    if (!reader)
        return bad_input(error.text);
    iom_trace_summary summary = {};
    iom_trace_record record;
    int got;
    {
        RecordProgress progress("trace info");
        while ((got = iom_trace_read(reader.get(), &record, &error)) == 1) {
            iom_trace_summarise(&summary, &record);
            progress.update(summary.records);
        }
    }
    if (got < 0)
        return bad_input(error.text);
    return print(header_text(path, reader.get()) + "\n" +
                 summary_text(iom_trace_reader_header(reader.get()), summary));
}

int check(const std::string &path)
{
    iom_trace_error error;
    const Reader reader(iom_trace_reader_open(path.c_str(), &error));
    if (!reader)
        return bad_input(error.text);
    iom_trace_check result;
    if (iom_trace_check_all(reader.get(), &result, &error) != 0)
        return bad_input(error.text);
    std::ostringstream out;
    for (unsigned i = 0; i < IOM_TRACE_FINDING_COUNT; i++) {
        const auto finding = static_cast<iom_trace_finding>(i);
        if (result.findings[i] != 0)
            out << path << ": record " << result.first_record[i] << ": " << iom_trace_finding_text(finding)
                << " (" << format_count(result.findings[i]) << " in all)\n";
    }
    const uint64_t total = iom_trace_check_total(&result);
    out << path << ": " << format_count(result.summary.records) << " records, "
        << format_count(result.pages_left) << " pages mapped at the end, " << format_count(total)
        << (total == 1 ? " finding\n" : " findings\n");
    return print(out.str(), total == 0 ? exit_clean : exit_findings);
}

// ---------------------------------------------------------------------------------------------------
// convert

struct ConvertArguments {
    std::string in;
    std::string out;
    uint64_t limit = 0;
};

iom_trace_form output_form(const ConvertArguments &arguments, bool text_input)
{
    if (ends_with(arguments.out, ".txt"))
        return IOM_TRACE_TEXT;
    if (ends_with(arguments.out, ".iomt"))
        return IOM_TRACE_BINARY;
    return text_input ? IOM_TRACE_BINARY : IOM_TRACE_TEXT;
}

int convert(const ConvertArguments &arguments)
{
    iom_trace_error error;
    const Reader reader(iom_trace_reader_open(arguments.in.c_str(), &error));
    if (!reader)
        return bad_input(error.text);
    const iom_trace_form form = output_form(arguments, iom_trace_reader_is_text(reader.get()));
    iom_trace_writer *writer =
        iom_trace_writer_open(arguments.out.c_str(), form, iom_trace_reader_header(reader.get()), &error);
    if (writer == nullptr)
        return bad_input(error.text);
    iom_trace_record record;
    int got = 1;
    bool good = true;
    {
        RecordProgress progress("trace convert");
        uint64_t records = 0;
        while (good && (arguments.limit == 0 || records < arguments.limit) &&
               (got = iom_trace_read(reader.get(), &record, &error)) == 1) {
            good = iom_trace_write(writer, &record, &error);
            progress.update(++records);
        }
    }
    if (!good || got < 0) {
        iom_trace_writer_abort(writer);
        return bad_input(error.text);
    }
    return iom_trace_writer_close(writer, &error) ? exit_clean : bad_input(error.text);
}

// ---------------------------------------------------------------------------------------------------

void add_import(CLI::App &group, int &status)
{
    CLI::App *command = group.add_subcommand("import", "Turn logs of a real system into a trace");
    const auto arguments = std::make_shared<ImportArguments>();
    command
        ->add_option("FILE", arguments->files,
                     "Guest ftrace text and, optionally, the QEMU log of the same run (plain or zstd)")
        ->required()
        ->expected(1, 2);
    command->add_option("--out,-o", arguments->out, "Trace to write (.txt: text form; - is standard output)")
        ->required();
    command->add_option("--device", arguments->device, "Keep only this device, for example 0000:00:04.0");
    command->add_option("--mps", arguments->mps, "Largest DMA in bytes: 128, 256, 512, 1024, 2048 or 4096")
        ->capture_default_str();
    command->add_option("--dma-bytes", arguments->dma_bytes, "Length of a DMA no log tells the length of")
        ->capture_default_str();
    command->add_flag("--lenient", arguments->lenient, "Count malformed lines instead of refusing the file");
    command->add_option("--report", arguments->report, "Write the report as JSON, too");
    command->footer(
        "Example:\n  iommu-sim trace import nvme.guest.ftrace.txt nvme.host.qemu.log --out nvme.iomt\n\n"
        "Exit status: 0 imported, 2 logs that cannot be used. Rules: docs/trace-format.md.");
    command->callback([arguments, &status] { status = import_logs(*arguments); });
}

void add_info(CLI::App &group, int &status)
{
    CLI::App *command = group.add_subcommand("info", "Show what a trace holds");
    const auto path = std::make_shared<std::string>();
    command->add_option("FILE", *path, "Trace, binary or text (- is standard input)")->required();
    command->footer(
        "Example:\n  iommu-sim trace info nvme.iomt\n\nExit status: 0 good, 2 damaged or no trace.");
    command->callback([path, &status] { status = info(*path); });
}

void add_check(CLI::App &group, int &status)
{
    CLI::App *command = group.add_subcommand("check", "Check that a trace is undamaged and makes sense");
    const auto path = std::make_shared<std::string>();
    command->add_option("FILE", *path, "Trace, binary or text (- is standard input)")->required();
    command->footer("Example:\n  iommu-sim trace check nvme.iomt\n\n"
                    "Exit status: 0 good, 1 findings, 2 damaged or no trace.");
    command->callback([path, &status] { status = check(*path); });
}

void add_convert(CLI::App &group, int &status)
{
    CLI::App *command = group.add_subcommand("convert", "Convert a trace between its binary and text forms");
    const auto arguments = std::make_shared<ConvertArguments>();
    command->add_option("IN", arguments->in, "Trace, binary or text (- is standard input)")->required();
    command
        ->add_option(
            "OUT", arguments->out,
            "Trace to write: .txt text, .iomt binary, else the other form of IN (- is standard output)")
        ->required();
    command->add_option("--limit", arguments->limit, "Stop after this many records (0: all)");
    command->footer(
        "Example:\n  iommu-sim trace convert nvme.iomt nvme.txt\n\nExit status: 0 converted, 2 failed.");
    command->callback([arguments, &status] { status = convert(*arguments); });
}

} // namespace

void add_trace_command(CLI::App &app, int &status)
{
    CLI::App *group = app.add_subcommand("trace", "Import, show, check and convert traces");
    group->require_subcommand(1);
    group->footer("Example:\n  iommu-sim trace info configs/traces/nvme-randread-4k-qd32.iomt");
    add_import(*group, status);
    add_info(*group, status);
    add_check(*group, status);
    add_convert(*group, status);
}

} // namespace iommu_sim
