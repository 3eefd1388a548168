// SPDX-License-Identifier: Apache-2.0
//
// Loading of good configurations and of configurations made of several sources: values, includes,
// --set, the dump and its way back, JSON, the generated document, and damaged input.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/arch/riscv/riscv_tables.h"
#include "core/rng.h"
#include "models/architecture.h"
#include "models/config/config.h"
#include "models/config/system_schema.h"

namespace iommu_sim
{
namespace
{

/// A directory of its own that every test starts in and that is gone afterwards.
class ConfigLoad : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        std::string pattern = (std::filesystem::temp_directory_path() / "iommu-sim-config-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        before_ = std::filesystem::current_path();
        std::filesystem::current_path(directory_);
    }
    void TearDown() override
    {
        std::filesystem::current_path(before_);
        std::filesystem::remove_all(directory_);
    }
    static void put(const std::string &path, const std::string &text)
    {
        const auto parent = std::filesystem::path(path).parent_path();
        if (!parent.empty())
            std::filesystem::create_directories(parent);
        std::ofstream(path, std::ios::binary) << text;
    }

  private:
    std::filesystem::path directory_;
    std::filesystem::path before_;
};

LoadedConfig load_text(const std::string &text, const std::vector<std::string> &settings = {})
{
    LoadedConfig loaded = load_config_text(text, "s.yaml", settings);
    EXPECT_EQ(loaded.messages(), "");
    return loaded;
}

/// Uses every type of key and every kind of nesting.
const std::string rich = R"(name: "quoted \"name\" \\ with: colon # and hash"
description: |
  two lines,
  grüße
clock: {tick_ps: 500}
run: {seed: 0xdeadbeef, requests: 5000, warmup_requests: 100}
iommu: {wiring: chained}
vtd: {mode: scalable-nested, caching_mode: true}
frontend: {arbitration: fixed, pcie_ordering: false}
iotlb: {entries: 128, ways: 128, policy: plru, tag_by: source}
psc:
  latency_cycles: 2
  stage2:
    level3: {entries: 0}
memory: {base: 0x100000000, size: 3G, llc: {entries: 1024, policy: srrip}}
driver: {page_size: 2M}
devices:
  - name: disk
    source_id: 00:04.0
    domain: 7
    pasid: 12
    generator: {kind: nvme, queues: 2, queue_depth: 16, block_bytes: 8K, rate: 0.1}
  - name: net
    source_id: 0x0100
    generator: {kind: nic, ring_entries: 512, read_fraction: 0.333}
report: {progress: off}
)";

TEST_F(ConfigLoad, ValuesArrive)
{
    const SystemConfig config = load_text(rich).config;
    EXPECT_EQ(config.name, "quoted \"name\" \\ with: colon # and hash");
    EXPECT_EQ(config.description, "two lines,\ngrüße\n");
    EXPECT_EQ(config.clock.tick_ps, 500u);
    EXPECT_EQ(config.run.seed, 0xdeadbeefu);
    EXPECT_EQ(config.iommu.wiring, Wiring::chained);
    EXPECT_EQ(config.vtd.mode, VtdMode::scalable_nested);
    EXPECT_EQ(config.frontend.arbitration, Arbitration::fixed);
    EXPECT_FALSE(config.frontend.pcie_ordering);
    EXPECT_EQ(config.iotlb.entries, 128u);
    EXPECT_EQ(config.iotlb.policy, IOM_POLICY_PLRU);
    EXPECT_EQ(config.iotlb.tag_by, IotlbTag::source);
    EXPECT_EQ(config.psc.latency_cycles, 2u);
    EXPECT_EQ(config.psc.stage2.level3.entries, 0u);
    EXPECT_EQ(config.psc.stage1.level3.entries, PscStageSettings().level3.entries);
    EXPECT_EQ(config.memory.base, 0x100000000u);
    EXPECT_EQ(config.memory.size_bytes, 3ull << 30);
    EXPECT_EQ(config.memory.llc.policy, IOM_POLICY_SRRIP);
    EXPECT_EQ(config.driver.page_size, PageSize::size_2m);
    ASSERT_EQ(config.devices.size(), 2u);
    EXPECT_EQ(config.devices[0].source_id, 0x20);
    EXPECT_EQ(config.devices[0].domain, 7u);
    EXPECT_EQ(config.devices[0].pasid, 12u);
    EXPECT_EQ(config.devices[0].generator.kind, GeneratorKind::nvme);
    EXPECT_EQ(config.devices[0].generator.block_bytes, 8192u);
    EXPECT_EQ(config.devices[0].generator.rate, 0.1);
    EXPECT_FALSE(config.devices[1].pasid.has_value());
    EXPECT_EQ(config.devices[1].generator.ring_entries, 512u);
    EXPECT_EQ(config.report.progress, Progress::off);
}

TEST_F(ConfigLoad, NothingGivenMeansDefaults)
{
    EXPECT_EQ(dump_config(load_text("{}").config), dump_config(SystemConfig()));
    EXPECT_EQ(dump_config(load_default_config().config), dump_config(SystemConfig()));
}

TEST_F(ConfigLoad, DefaultsAreValid)
{
    EXPECT_EQ(load_text(dump_config(SystemConfig())).config.iotlb.entries, SystemConfig().iotlb.entries);
}

TEST_F(ConfigLoad, ByteOrderMarkCrlfAndAnchors)
{
    const SystemConfig config = load_text("\xef\xbb\xbf---\r\n"
                                          "iotlb: {entries: &n 16}\r\n"
                                          "context_cache: &c\r\n  entries: *n\r\n  ways: 2\r\n"
                                          "pasid_cache: *c\r\n"
                                          "...\r\n")
                                    .config;
    EXPECT_EQ(config.context_cache.entries, 16u);
    EXPECT_EQ(config.pasid_cache.entries, 16u);
    EXPECT_EQ(config.pasid_cache.ways, 2u);
}

TEST_F(ConfigLoad, AliasesPointAtTheirUse)
{
    EXPECT_EQ(load_config_text("name: &n many\niotlb:\n  entries: *n\n", "s.yaml").messages(),
              "s.yaml:3:12: iotlb.entries: expected an integer, found 'many'\n");
}

TEST_F(ConfigLoad, DumpRoundTrip)
{
    for (const std::string &text : {std::string("{}"), rich}) {
        const std::string first = dump_config(load_text(text).config);
        const SystemConfig again = load_text(first).config;
        EXPECT_EQ(dump_config(again), first);
        EXPECT_EQ(config_json(again), config_json(load_text(text).config));
    }
}

TEST_F(ConfigLoad, DumpRoundTripOfEveryKind)
{
    for (const char *kind : {"sequential", "strided", "uniform", "zipf", "nic", "nvme"}) {
        const std::string text =
            std::string("run: {requests: 1}\ndevices: [{name: a, source_id: 0x1, generator: "
                        "{kind: ") +
            kind + "}}]\n";
        const std::string dump = dump_config(load_text(text).config);
        EXPECT_NE(dump.find(std::string("kind: ") + kind), std::string::npos);
        EXPECT_EQ(dump_config(load_text(dump).config), dump);
    }
}

TEST_F(ConfigLoad, DumpLines)
{
    const std::string dump = dump_config(load_text(rich).config);
    for (const char *line : {
             "\n  entries: 128  # entries; 0..1048576; Size; 0 = there is no such cache.\n",
             "\n  tick_ps: 500  # ps; 1..1000000; Length of one cycle.",
             "\n  - name: \"disk\"  # Name in reports;",
             "\n    source_id: 00:04.0  # 00:00.0..ff:1f.7;",
             "\n    pasid: none  # 0..1048575;",
             "\n      block_bytes: 8K  # bytes; 512..16M;",
             "\n  base: 0x100000000  # 0x0..0x1000000000000; Lowest address of RAM.\n",
         }) {
        EXPECT_NE(dump.find(line), std::string::npos) << line << dump;
    }
    // Keys of other kinds do not appear.
    EXPECT_EQ(dump.find("zipf_exponent"), std::string::npos);
}

TEST_F(ConfigLoad, Json)
{
    const nlohmann::ordered_json json = config_json(load_text(rich).config);
    EXPECT_EQ(json["iotlb"]["entries"].dump(), "128");
    EXPECT_EQ(json["iotlb"]["policy"], "plru");
    EXPECT_EQ(json["memory"]["base"], "0x100000000");
    EXPECT_EQ(json["devices"][0]["source_id"], "00:04.0");
    EXPECT_TRUE(json["devices"][1]["pasid"].is_null());
    EXPECT_EQ(json["devices"][1]["generator"]["read_fraction"].dump(), "0.333");
    EXPECT_EQ(json["vtd"]["caching_mode"].dump(), "true");
    EXPECT_EQ(json.begin().key(), "name");
}

TEST_F(ConfigLoad, IncludesMergeAndOverride)
{
    put("main.yaml", "include: [parts/a.yaml, parts/b.yaml]\nwalker: {walkers: 3}\n"
                     "devices: [{name: own, source_id: 0x1}]\n");
    put("parts/a.yaml",
        "include: ../deep/c.yaml\niotlb: {entries: 16, ways: 2}\nwalker: {walkers: 1, queue_depth: 9}\n"
        "devices: [{name: x, source_id: 0x2}, {name: y, source_id: 0x3}]\n");
    put("parts/b.yaml", "iotlb: {entries: 32}\nwalker: {walkers: 2}\n");
    put("deep/c.yaml", "iotlb: {entries: 8, policy: fifo}\nrun: {requests: 77}\n");
    const LoadedConfig loaded = load_config("main.yaml");
    ASSERT_EQ(loaded.messages(), "");
    EXPECT_EQ(loaded.config.iotlb.entries, 32u);            // b over a over c
    EXPECT_EQ(loaded.config.iotlb.ways, 2u);                // from a
    EXPECT_EQ(loaded.config.iotlb.policy, IOM_POLICY_FIFO); // from c, through a
    EXPECT_EQ(loaded.config.walker.walkers, 3u);            // own keys win
    EXPECT_EQ(loaded.config.walker.queue_depth, 9u);
    EXPECT_EQ(loaded.config.run.requests, 77u);
    ASSERT_EQ(loaded.config.devices.size(), 1u); // lists are replaced
    EXPECT_EQ(loaded.config.devices[0].name, "own");
}

// The keys of a RISC-V system arrive, and the driver it describes can be made for the hardware it describes.
TEST_F(ConfigLoad, RiscvSystems)
{
    const LoadedConfig loaded =
        load_text("iommu: {arch: riscv}\n"
                  "riscv: {mode: nested, first_stage_levels: 5, second_stage_levels: 3, "
                  "process_bits: 17, hardware_flags: true, directory_levels: 2}\n");
    const SystemConfig &config = loaded.config;
    EXPECT_EQ(config.iommu.arch, Architecture::riscv);
    EXPECT_EQ(config.riscv.mode, RiscvMode::nested);
    const std::unique_ptr<ArchitectureInstance> made = make_architecture(config);
    EXPECT_STREQ(made->arch().ops->name, "riscv");
    EXPECT_STREQ(made->software().name, "riscv");
    EXPECT_EQ(made->attachment(), IOM_SOFTWARE_TRANSLATE);
    EXPECT_TRUE(made->software_traits().pasid_tables);
    EXPECT_FALSE(made->software_traits().first_stage); // translations are those of domains
    const auto *settings = static_cast<const iom_riscv_software_settings *>(made->software_settings());
    EXPECT_EQ(settings->mode, IOM_RISCV_SOFTWARE_NESTED);
    EXPECT_EQ(settings->first_stage_levels, 5);
    EXPECT_EQ(settings->second_stage_levels, 3);
    EXPECT_EQ(settings->process_bits, 17);
    EXPECT_EQ(settings->directory_levels, 2);
    EXPECT_TRUE(settings->hardware_flags);
    EXPECT_FALSE(settings->device_tlb);

    // A capabilities register that cannot do what the driver wants: only those that run a driver mind.
    const LoadedConfig poor = load_text("iommu: {arch: riscv}\nriscv: {capabilities: 0x2e00000210}\n");
    const std::unique_ptr<ArchitectureInstance> hardware = make_architecture(poor.config);
    EXPECT_STREQ(hardware->arch().ops->name, "riscv");
    EXPECT_THROW(hardware->software_settings(), std::runtime_error);
}

TEST_F(ConfigLoad, IncludedTwiceIsNoCycle)
{
    put("main.yaml", "include: [a.yaml, b.yaml]\n");
    put("a.yaml", "include: c.yaml\n");
    put("b.yaml", "include: c.yaml\n");
    put("c.yaml", "iotlb: {entries: 8}\n");
    EXPECT_EQ(load_config("main.yaml").messages(), "");
}

TEST_F(ConfigLoad, MistakesNameTheFileTheyAreIn)
{
    put("main.yaml", "include: parts/a.yaml\niotlb:\n  ways: 3\n");
    put("parts/a.yaml", "iotlb:\n  entries: 64\nwalker: {walkres: 3}\nrun: {seed: x}\n");
    EXPECT_EQ(load_config("main.yaml").messages(),
              "main.yaml:3:9: iotlb.ways: entries (64) are not a multiple of ways (3)\n"
              "parts/a.yaml:3:10: walker.walkres: unknown key (did you mean walkers?)\n"
              "parts/a.yaml:4:13: run.seed: expected an integer, found 'x'\n");
}

// A conflict is reported where the last change was made: that is what made it one.
TEST_F(ConfigLoad, ConflictsPointAtTheMostOverridingSource)
{
    put("main.yaml", "include: [a.yaml, b.yaml]\n");
    put("a.yaml", "include: c.yaml\niotlb: {ways: 3}\n");
    put("b.yaml", "run: {requests: 5}\n");
    put("c.yaml", "iotlb: {entries: 64}\n");
    const std::string message = "entries (64) are not a multiple of ways (3)\n";
    EXPECT_EQ(load_config("main.yaml").messages(), "a.yaml:2:15: iotlb.ways: " + message);
    put("b.yaml", "iotlb: {entries: 64}\n");
    EXPECT_EQ(load_config("main.yaml").messages(), "b.yaml:1:18: iotlb.entries: " + message);
    put("main.yaml", "include: [a.yaml, b.yaml]\niotlb: {ways: 3}\n");
    EXPECT_EQ(load_config("main.yaml").messages(), "main.yaml:2:15: iotlb.ways: " + message);
    EXPECT_EQ(load_config("main.yaml", {"iotlb.ways=3", "iotlb.entries=64"}).messages(),
              "--set iotlb.entries=64: " + message);
}

TEST_F(ConfigLoad, UnreadableFiles)
{
    EXPECT_EQ(load_config("missing.yaml").messages(),
              "missing.yaml: cannot open: No such file or directory\n");
    EXPECT_EQ(load_config("").messages(), ": cannot open: No such file or directory\n");
    std::filesystem::create_directory("folder");
    EXPECT_EQ(load_config("folder").messages(), "folder: is a directory, not a configuration file\n");
    put("big.yaml", std::string((16u << 20) + 1, '#'));
    EXPECT_EQ(load_config("big.yaml").messages(),
              "big.yaml: larger than 16 MiB, which no configuration is\n");
    if (::geteuid() != 0) { // root may read everything
        put("secret.yaml", "{}");
        ASSERT_EQ(::chmod("secret.yaml", 0), 0);
        EXPECT_EQ(load_config("secret.yaml").messages(), "secret.yaml: cannot open: Permission denied\n");
    }
}

TEST_F(ConfigLoad, BadIncludes)
{
    put("main.yaml", "include: [gone.yaml, 5: 6, '', folder, empty.yaml]\nrun: {sed: 1}\niotlb: {ways: 3}\n");
    std::filesystem::create_directory("folder");
    put("empty.yaml", "");
    // The last key conflicts with a default, but a file that was not read might have set that.
    EXPECT_EQ(load_config("main.yaml").messages(),
              "main.yaml:1:11: include: gone.yaml: cannot open: No such file or directory\n"
              "main.yaml:1:22: include: expected the path of a file, or a list of them\n"
              "main.yaml:1:28: include: expected the path of a file, or a list of them\n"
              "main.yaml:1:32: include: folder: is a directory, not a configuration file\n"
              "main.yaml:2:7: run.sed: unknown key (did you mean seed?)\n"
              "empty.yaml:1:1: the file is empty; write {} if all defaults are meant\n");
}

TEST_F(ConfigLoad, IncludeCycles)
{
    put("main.yaml", "include: parts/a.yaml\n");
    put("parts/a.yaml", "include: ../parts/b.yaml\n");
    put("parts/b.yaml", "name: b\ninclude: [a.yaml]\n");
    put("self.yaml", "include: ./self.yaml\n");
    EXPECT_EQ(load_config("main.yaml").messages(),
              "parts/b.yaml:2:11: include: include cycle: parts/a.yaml -> parts/b.yaml -> parts/a.yaml\n");
    EXPECT_EQ(load_config("self.yaml").messages(),
              "self.yaml:1:10: include: include cycle: self.yaml -> self.yaml\n");
}

TEST_F(ConfigLoad, IncludeFanOutIsBounded)
{
    for (int i = 0; i < 20; i++) {
        const std::string next = "f" + std::to_string(i + 1) + ".yaml";
        std::string text = "include: [";
        text.append(next).append(", ").append(next).append("]\n");
        put("f" + std::to_string(i) + ".yaml", text);
    }
    put("f20.yaml", "{}");
    const LoadedConfig loaded = load_config("f0.yaml");
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.diagnostics[0].message, "more than 1000 files are included");
}

TEST_F(ConfigLoad, IncludeOnlyAtTheTop)
{
    EXPECT_EQ(load_config_text("iotlb: {include: a.yaml}\n", "s.yaml").messages(),
              "s.yaml:1:9: iotlb.include: unknown key\n");
}

TEST_F(ConfigLoad, SettingsOverride)
{
    const SystemConfig config =
        load_text(rich,
                  {"iotlb.entries=256", "iotlb.ways=8", "devices[1].generator.rate=2.5", "run.seed=0x10",
                   "name=plain: text", "description=", "iotlb.entries=512",
                   "context_cache={entries: 8, ways: 8}", "devices[0].pasid=none", "report.histogram=false"})
            .config;
    EXPECT_EQ(config.iotlb.entries, 512u); // the last one wins
    EXPECT_EQ(config.iotlb.ways, 8u);
    EXPECT_EQ(config.iotlb.policy, IOM_POLICY_PLRU); // from the file
    EXPECT_EQ(config.devices[1].generator.rate, 2.5);
    EXPECT_EQ(config.devices[1].generator.kind, GeneratorKind::nic);
    EXPECT_EQ(config.run.seed, 16u);
    EXPECT_EQ(config.name, "plain: text");
    EXPECT_EQ(config.description, "");
    EXPECT_EQ(config.context_cache.entries, 8u);
    EXPECT_FALSE(config.devices[0].pasid.has_value());
    EXPECT_FALSE(config.report.histogram);
}

TEST_F(ConfigLoad, SettingsReplaceLists)
{
    const SystemConfig config =
        load_text(rich, {"devices=[{name: z, source_id: 0x9}]", "devices[0].domain=3"}).config;
    ASSERT_EQ(config.devices.size(), 1u);
    EXPECT_EQ(config.devices[0].name, "z");
    EXPECT_EQ(config.devices[0].domain, 3u);
}

TEST_F(ConfigLoad, SettingMistakes)
{
    struct Case {
        const char *setting;
        const char *message;
    };
    const Case cases[] = {
        {"iotlb.entreis=3", "unknown key (did you mean iotlb.entries?)"},
        {"iotbl.entries=3", "unknown key (did you mean iotlb?)"},
        {"iotlb={entreis: 3}", "iotlb.entreis: unknown key (did you mean iotlb.entries?)"},
        {"devices[0].generator.rat=3", "unknown key (did you mean devices[0].generator.rate?)"},
        {"include=x.yaml", "unknown key"},
        {"iotlb.entries", "expected KEY=VALUE, such as iotlb.entries=256"},
        {"=5", "expected KEY=VALUE, such as iotlb.entries=256"},
        {"iotlb..entries=5", "expected KEY=VALUE, such as iotlb.entries=256"},
        {"devices[x].domain=5", "expected KEY=VALUE, such as iotlb.entries=256"},
        {"devices[0=5", "expected KEY=VALUE, such as iotlb.entries=256"},
        {"devices[0]x.domain=5", "expected KEY=VALUE, such as iotlb.entries=256"},
        {"devices[2].domain=5", "there is no devices[2]; the list has 2 entries"},
        {"devices.domain=5", "devices is a list; name an entry, as in devices[0]"},
        {"iotlb[0].entries=5", "iotlb is not a list"},
        {"iotlb.entries.x=5", "iotlb.entries is a single value, it has no keys below it"},
        {"iotlb.entries=x", "expected an integer, found 'x'"},
        {"iotlb.entries=", "expected an integer, found nothing"},
        {"iotlb.entries=010",
         "'010' has a leading zero, which YAML 1.1 reads as octal; write it without the zero, "
         "or as 0x..."},
        {"iotlb.entries=-1", "'-1' is negative; 0..1048576 is allowed"},
        {"iotlb.entries=null", "no value; remove the key to use the default"},
        {"iotlb.entries={a: 1}", "expected one value (integer), found keys"},
        {"iotlb=5", "expected keys below it, found one value"},
        {"iotlb.ways=3", "entries (128) are not a multiple of ways (3)"},
        {"iotlb={entries: ", "YAML syntax: end of map flow not found"},
        {"name=\xff", "the value is not UTF-8 text"},
        {"devices[0].generator.ring_entries=8", "not a key of kind nvme, only of nic"},
    };
    for (const Case &c : cases) {
        const LoadedConfig loaded = load_config_text(rich, "s.yaml", {c.setting});
        ASSERT_FALSE(loaded.ok()) << c.setting;
        EXPECT_EQ(loaded.diagnostics[0].text(), std::string("--set ") + c.setting + ": " + c.message);
    }
}

TEST_F(ConfigLoad, SettingsAreCheckedWithoutAFile)
{
    EXPECT_EQ(load_config("missing.yaml", {"iotlb.entreis=3", "devices[0].domain=1"}).messages(),
              "missing.yaml: cannot open: No such file or directory\n"
              "--set iotlb.entreis=3: unknown key (did you mean iotlb.entries?)\n");
    EXPECT_EQ(load_default_config({"devices[0].domain=1"}).messages(),
              "--set devices[0].domain=1: there is no devices[0]; the list has 0 entries\n");
}

TEST_F(ConfigLoad, CommittedDocumentIsCurrent)
{
    std::ifstream file(std::string(IOM_SOURCE_DIR) + "/docs/configuration.md");
    std::stringstream committed;
    committed << file.rdbuf();
    EXPECT_EQ(committed.str(), configuration_document())
        << "refresh it: iommu-sim docs configuration > docs/configuration.md";
}

/// Every key, found by walking the schema, is in the document and has a description and a default
/// within its range.
void expect_documented(const SectionSchema &schema, const void *defaults, const std::string &document)
{
    for (const KeySchema &key : schema.keys()) {
        SCOPED_TRACE(key.name);
        EXPECT_FALSE(key.description.empty());
        EXPECT_EQ(key.description.back(), '.');
        if (key.is_list) {
            expect_documented(*key.section, key.list.make_element().get(), document);
        } else if (key.section) {
            expect_documented(*key.section, key.const_member(defaults), document);
        } else {
            EXPECT_NE(document.find("| `" + key.name + "` | "), std::string::npos);
            ValueNode value;
            value.kind = ValueNode::Kind::scalar;
            value.text = key.codec->format(key.const_member(defaults));
            value.quoted = key.codec->type() == "text";
            EXPECT_EQ(key.codec->parse(value, key.member(const_cast<void *>(defaults))), "");
        }
    }
}

TEST_F(ConfigLoad, EveryKeyIsDocumentedAndItsDefaultAllowed)
{
    SystemConfig defaults;
    expect_documented(*make_system_schema(), &defaults, configuration_document());
}

// Damaged text must give messages or a configuration, never a crash or an exception; what loads
// must also dump to something that loads.
TEST_F(ConfigLoad, DamagedText)
{
    iom_rng rng;
    iom_rng_seed(&rng, 1, "tests.config.damage");
    const std::string pieces[] = {"\t", "\n",    ": ", "- ",  "{",    "}", "[",
                                  "]",  "&a ",   "*a", "<<",  "!!",   "|", "\"",
                                  "#",  "---\n", "-1", "010", "\xff", "~", "9999999999999999999",
                                  "%",  "@",     "? "};
    size_t loaded_well = 0;
    for (int round = 0; round < 3000; round++) {
        std::string text = rich;
        const uint64_t changes = 1 + iom_rng_below(&rng, 3);
        for (uint64_t i = 0; i < changes; i++) {
            const size_t at = iom_rng_below(&rng, text.size());
            switch (iom_rng_below(&rng, 4)) {
            case 0:
                text[at] = static_cast<char>(iom_rng_below(&rng, 256));
                break;
            case 1:
                text.erase(at, 1 + iom_rng_below(&rng, 20));
                break;
            case 2:
                text.insert(at, pieces[iom_rng_below(&rng, std::size(pieces))]);
                break;
            default:
                text.insert(at, text.substr(iom_rng_below(&rng, text.size()), iom_rng_below(&rng, 40)));
                break;
            }
        }
        const LoadedConfig loaded = load_config_text(text, "s.yaml");
        for (const Diagnostic &diagnostic : loaded.diagnostics)
            ASSERT_FALSE(diagnostic.message.empty());
        if (loaded.ok()) {
            loaded_well++;
            const std::string dump = dump_config(loaded.config);
            const LoadedConfig again = load_config_text(dump, "again.yaml");
            ASSERT_EQ(again.messages(), "") << text;
            ASSERT_EQ(dump_config(again.config), dump) << text;
        }
    }
    // Both outcomes occur, so the loop has looked at both.
    EXPECT_GT(loaded_well, 50u);
    EXPECT_LT(loaded_well, 2950u);
}

TEST_F(ConfigLoad, DamagedSettings)
{
    iom_rng rng;
    iom_rng_seed(&rng, 2, "tests.config.damage");
    const std::string good = "devices[0].generator={rate: 2.5, queues: 4}";
    for (int round = 0; round < 2000; round++) {
        std::string setting = good;
        for (uint64_t i = 0; i < 1 + iom_rng_below(&rng, 3); i++)
            setting[iom_rng_below(&rng, setting.size())] = static_cast<char>(1 + iom_rng_below(&rng, 255));
        const LoadedConfig loaded = load_config_text(rich, "s.yaml", {setting});
        for (const Diagnostic &diagnostic : loaded.diagnostics)
            ASSERT_EQ(diagnostic.where, "--set " + setting) << diagnostic.text();
    }
}

} // namespace
} // namespace iommu_sim
