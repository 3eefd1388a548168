# SPDX-License-Identifier: Apache-2.0
#
# `iommu-sim check`.
import unittest

from support import ROOT, SMALL, ProgramTest


class Check(ProgramTest):
    def test_good(self):
        config = self.write("small.yaml", SMALL)
        self.assertRegex(self.good("check", config), rf"^{config}: good: \d+ units, 1 device\n$")
        self.assertIn("good", self.good("check", "-", stdin=SMALL))
        self.assertIn("needs devices or a trace", self.good("check", self.write("idle.yaml", "{}\n")))

    def test_chained_wiring_has_more_units(self):
        config = self.write("small.yaml", SMALL)
        count = [int(self.good("check", config, "--set", f"iommu.wiring={wiring}").split(": good: ")[1].split()[0])
                 for wiring in ("fused", "chained")]
        self.assertLess(count[0], count[1])

    def test_mistakes(self):
        path = self.write("bad.yaml", "walker: {walkers: 0}\niotlb: {entries: 100, ways: 3}\n")
        error = self.bad("check", path)
        self.assertIn(f"{path}:1:19: walker.walkers:", error)
        self.assertIn(f"{path}:2:", error)

    def test_ports_that_only_the_timing_command_builds(self):
        path = self.write("serial.yaml", SMALL + "frontend:\n  serial: true\n")
        line = SMALL.count("\n") + 2
        for command in ("check", "run"):
            self.assertEqual(
                self.bad(command, path),
                f"{path}:{line}:11: frontend.serial: needs an AXI port, which only `iommu-sim timing` puts in "
                "front of an IOMMU; set it to false\n")

    def test_machine_behind_an_axi_port_is_for_records(self):
        profile = ROOT / "configs/profiles/riscv-zdl.yaml"
        self.assertEqual(self.good("check", profile),
                         f"{profile}: good for `iommu-sim timing`, not for `run`: it has an AXI port\n")
        self.assertIn("frontend.serial", self.bad("check", profile, "--set", "axi.beat_bytes=0"))
        self.assertIn("axi.beat_bytes", self.bad("run", profile))

    def test_connections_without_latency_that_form_a_loop(self):
        config = self.write("small.yaml", SMALL)
        hop = "hops.walks={request_cycles: 0, response_cycles: 0}"
        for command in ("check", "run"):
            self.assertRegex(self.bad(command, config, "--set", hop), rf"^iommu-sim: {config}: hops: .*loop; .*\n$")
        self.good("check", config, "--set", hop.replace("response_cycles: 0", "response_cycles: 1"))

    def test_combinations_that_only_building_shows(self):
        config = self.write("small.yaml", SMALL)
        self.assertIn("memory.size", self.bad("check", config, "--set", "memory.size=1M"))
        error = self.bad("check", config, "--set", "trace.file=none.iomt", cwd=self.folder)
        self.assertIn("none.iomt", error)
        self.assertNotIn("good", error)


if __name__ == "__main__":
    unittest.main()
