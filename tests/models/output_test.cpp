// SPDX-License-Identifier: Apache-2.0
//
// Result files (whole or not at all, every failure named), JSON text, and text tables.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>

#include "models/report/atomic_file.h"
#include "models/report/json_document.h"
#include "models/report/table.h"

namespace iommu_sim
{
namespace
{

class OutputFile : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        std::string pattern = (std::filesystem::temp_directory_path() / "iommu-sim-output-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
    }
    void TearDown() override
    {
        std::filesystem::remove_all(directory_);
    }
    std::string path(const std::string &name) const
    {
        return (directory_ / name).string();
    }
    static std::string content(const std::string &path)
    {
        std::ifstream file(path, std::ios::binary);
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
    size_t file_count() const
    {
        const std::filesystem::directory_iterator all(directory_);
        return static_cast<size_t>(std::distance(begin(all), end(all)));
    }

  private:
    std::filesystem::path directory_;
};

TEST_F(OutputFile, AppearsOnlyAtCommit)
{
    const std::string target = path("result.json");
    AtomicFile file;
    ASSERT_TRUE(file.open(target)) << file.error();
    ASSERT_TRUE(file.write("one "));
    ASSERT_TRUE(file.write("two"));
    EXPECT_FALSE(std::filesystem::exists(target));
    ASSERT_TRUE(file.commit()) << file.error();
    EXPECT_EQ(content(target), "one two");
    EXPECT_EQ(file_count(), 1u);
}

TEST_F(OutputFile, LargeContent)
{
    std::string text;
    for (int i = 0; i < 100000; i++)
        text += std::to_string(i) + "\n";
    EXPECT_EQ(write_file(path("large"), text), "");
    EXPECT_EQ(content(path("large")), text);
}

TEST_F(OutputFile, WithoutCommitTheOldFileStays)
{
    ASSERT_EQ(write_file(path("a"), "old"), "");
    {
        AtomicFile file;
        ASSERT_TRUE(file.open(path("a")));
        ASSERT_TRUE(file.write(std::string(1 << 20, 'x'))); // more than any buffer
        EXPECT_EQ(file_count(), 2u);
    }
    EXPECT_EQ(content(path("a")), "old");
    EXPECT_EQ(file_count(), 1u);
}

TEST_F(OutputFile, KeepsPermissionsAndLinks)
{
    ASSERT_EQ(write_file(path("real"), "old"), "");
    ASSERT_EQ(::chmod(path("real").c_str(), 0640), 0);
    std::filesystem::create_symlink("real", path("link"));
    EXPECT_EQ(write_file(path("link"), "new"), "");
    EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
    EXPECT_EQ(content(path("real")), "new");
    struct stat status {
    };
    ASSERT_EQ(::stat(path("real").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640u);
}

TEST_F(OutputFile, FailuresNamePathAndReason)
{
    EXPECT_EQ(write_file(path("none/x"), "a"),
              path("none/x") + ": cannot create a temporary file beside it: No such file or directory");
    EXPECT_EQ(write_file(path(""), "a"), path("") + ": cannot write: Is a directory");
    EXPECT_EQ(write_file("", "a").rfind(": cannot ", 0), 0u);
    EXPECT_EQ(write_file("/dev/full", "a"), "/dev/full: cannot write: No space left on device");
    EXPECT_EQ(write_file("/dev/fd/987", "a"), "/dev/fd/987: cannot open: Bad file descriptor");
    EXPECT_EQ(write_file(path(std::string(300, 'n')), "a"),
              path(std::string(300, 'n')) + ": cannot create a temporary file beside it: File name too long");
    EXPECT_EQ(file_count(), 0u);
}

TEST_F(OutputFile, TheFirstErrorStays)
{
    AtomicFile file;
    ASSERT_TRUE(file.open("/dev/full"));
    EXPECT_FALSE(file.write(std::string(1 << 20, 'x')));
    const std::string first = file.error();
    EXPECT_EQ(first, "/dev/full: cannot write: No space left on device");
    EXPECT_FALSE(file.write("more"));
    EXPECT_FALSE(file.commit());
    EXPECT_EQ(file.error(), first);
    // The object may be used again.
    EXPECT_TRUE(file.open(path("ok")) && file.write("x") && file.commit()) << file.error();
    EXPECT_EQ(file.error(), "");
}

TEST_F(OutputFile, ARenameThatFailsLeavesNothing)
{
    AtomicFile file;
    ASSERT_TRUE(file.open(path("x")));
    ASSERT_TRUE(file.write("a"));
    std::filesystem::create_directory(path("x")); // in the way now
    EXPECT_FALSE(file.commit());
    EXPECT_EQ(file.error(), path("x") + ": cannot rename the temporary file: Is a directory");
    EXPECT_EQ(file_count(), 1u);
}

TEST_F(OutputFile, PipesAreWrittenDirectly)
{
    const std::string pipe = path("pipe");
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    std::string received;
    std::thread reader([&] { received = content(pipe); });
    EXPECT_EQ(write_file(pipe, "through the pipe"), "");
    reader.join();
    EXPECT_EQ(received, "through the pipe");
    EXPECT_TRUE(std::filesystem::is_fifo(pipe));
}

TEST_F(OutputFile, AClosedPipeIsAnError)
{
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ::close(ends[0]);
    auto *before = std::signal(SIGPIPE, SIG_IGN);
    const std::string target = "/dev/fd/" + std::to_string(ends[1]);
    EXPECT_EQ(write_file(target, "a"), target + ": cannot write: Broken pipe");
    std::signal(SIGPIPE, before);
    ::close(ends[1]);
}

// As with `iommu-sim ... --out /dev/stdout > file` after other output: nothing may be overwritten.
TEST_F(OutputFile, ADescriptorKeepsItsPosition)
{
    const int file = ::open(path("redirected").c_str(), O_RDWR | O_CREAT, 0600);
    ASSERT_GE(file, 0);
    ASSERT_EQ(::write(file, "before ", 7), 7);
    EXPECT_EQ(write_file("/dev/fd/" + std::to_string(file), "middle "), "");
    ASSERT_EQ(::write(file, "after", 5), 5);
    ::close(file);
    EXPECT_EQ(content(path("redirected")), "before middle after");
}

TEST_F(OutputFile, JsonFiles)
{
    nlohmann::ordered_json json;
    json["z"] = 1;
    json["a"] = 0.1;
    EXPECT_EQ(write_json_file(path("r.json"), json), "");
    EXPECT_EQ(content(path("r.json")), "{\n  \"z\": 1,\n  \"a\": 0.1\n}\n");
    json["list"] = {1, 2, {{"m/n", std::nan("")}}};
    EXPECT_EQ(write_json_file(path("bad.json"), json),
              path("bad.json") + ": not written: the number at '/list/2/m~1n' is infinite or undefined");
    EXPECT_FALSE(std::filesystem::exists(path("bad.json")));
}

TEST(OutputJson, NumbersReadBack)
{
    for (const double value : {0.1, 1.0 / 3, 1e-300, 5e-324, 1.7976931348623157e308, -0.0, 123456789.125}) {
        const std::string text = json_text(value);
        const double again = nlohmann::json::parse(text).get<double>();
        EXPECT_EQ(again, value) << text;
        EXPECT_EQ(std::signbit(again), std::signbit(value));
    }
    EXPECT_EQ(json_text(UINT64_MAX), "18446744073709551615\n");
    EXPECT_EQ(json_text("caf\xe9"), "\"caf\xef\xbf\xbd\"\n"); // U+FFFD for a byte that is no UTF-8
}

TEST(OutputJson, FindsNonFinite)
{
    EXPECT_EQ(find_non_finite(1.0), std::nullopt);
    EXPECT_EQ(find_non_finite(std::numeric_limits<double>::infinity()), "");
    EXPECT_EQ(find_non_finite({{"a", {{"", -std::numeric_limits<double>::infinity()}}}}), "/a/");
    EXPECT_EQ(find_non_finite({{"a", 1}, {"b", {1, 2.5, nullptr, "x"}}}), std::nullopt);
}

TEST(OutputTable, Numbers)
{
    EXPECT_EQ(format_count(0), "0");
    EXPECT_EQ(format_count(999), "999");
    EXPECT_EQ(format_count(1000), "1,000");
    EXPECT_EQ(format_count(UINT64_MAX), "18,446,744,073,709,551,615");
    EXPECT_EQ(format_fixed(1234.5, 2), "1,234.50");
    EXPECT_EQ(format_fixed(-1234567.0, 0), "-1,234,567");
    EXPECT_EQ(format_fixed(-0.01, 1), "0.0"); // no minus zero
    EXPECT_EQ(format_fixed(0.05, 3), "0.050");
    EXPECT_EQ(format_fixed(999.96, 1), "1,000.0"); // rounding carries into the separators
    EXPECT_EQ(format_fixed(std::nan(""), 1), "-");
    EXPECT_EQ(format_fixed(1e300, 0).size(), 301u + 100u);
    EXPECT_EQ(format_percent(1, 8), "12.5 %");
    EXPECT_EQ(format_percent(0, 5), "0.0 %");
    EXPECT_EQ(format_percent(3, 0), "-");
}

// A locale with other separators must change nothing. (The C locale is always there; others may not
// be installed, in which case this repeats the test above.)
TEST(OutputTable, NoLocale)
{
    const std::string before = std::setlocale(LC_ALL, nullptr);
    const char *set = std::setlocale(LC_ALL, "de_DE.UTF-8");
    EXPECT_EQ(format_fixed(1234.5, 2), "1,234.50") << (set != nullptr ? set : "locale not installed");
    EXPECT_EQ(json_text(0.5), "0.5\n");
    std::setlocale(LC_ALL, before.c_str());
}

TEST(OutputTable, Layout)
{
    TextTable table({{"counter"}, {"value", TextTable::Align::right}, {"unit"}});
    table.add_row({"hits", "1,024", "requests"});
    table.add_row({"größte", "7"});
    table.add_rule();
    table.add_row({"sum"});
    EXPECT_EQ(table.text(2), "  counter  value  unit\n"
                             "  ------------------------\n"
                             "  hits     1,024  requests\n"
                             "  größte       7\n"
                             "  ------------------------\n"
                             "  sum\n");
    EXPECT_THROW(table.add_row({"a", "b", "c", "d"}), std::logic_error);
}

TEST(OutputTable, NoHeadings)
{
    TextTable table({{""}, {""}});
    table.add_row({"a", "b"});
    table.add_row({"long", ""});
    EXPECT_EQ(table.text(), "a     b\nlong\n");
}

} // namespace
} // namespace iommu_sim
