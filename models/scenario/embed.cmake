# SPDX-License-Identifier: Apache-2.0
#
# Turns the scenario files into a C++ source, so that the program has them in every directory. Run by the
# build (see CMakeLists.txt): cmake -D FOLDER=configs/scenarios -D OUTPUT=FILE -P embed.cmake
file(GLOB files ${FOLDER}/*.yaml)
list(SORT files)
set(text "// SPDX-License-Identifier: Apache-2.0\n//\n// Generated from configs/scenarios by models/scenario/embed.cmake.\n")
string(APPEND text "#include \"models/scenario/library.h\"\n\nnamespace iommu_sim\n{\n\n")
string(APPEND text "const std::vector<ScenarioText> &built_in_scenarios()\n{\n    static const std::vector<ScenarioText> all{\n")
foreach(path IN LISTS files)
  file(READ ${path} content)
  get_filename_component(name ${path} NAME)
  string(APPEND text "        {\"configs/scenarios/${name}\",\n         R\"scenario(${content})scenario\"},\n")
endforeach()
file(READ ${FOLDER}/parts/base.yaml content)
string(APPEND text "    };\n    return all;\n}\n\nconst std::string &scenario_base_system()\n{\n")
string(APPEND text "    static const std::string text = R\"scenario(${content})scenario\";\n    return text;\n}\n\n} // namespace iommu_sim\n")
file(WRITE ${OUTPUT} "${text}")
