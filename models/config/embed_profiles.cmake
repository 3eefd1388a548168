# SPDX-License-Identifier: Apache-2.0
#
# Turns the profiles into a C++ source, so that the program has them in every directory. Run by the build (see
# CMakeLists.txt): cmake -D FOLDER=configs/profiles -D OUTPUT=FILE -P embed_profiles.cmake
file(GLOB files ${FOLDER}/*.yaml)
list(SORT files)
set(text "// SPDX-License-Identifier: Apache-2.0\n//\n// Generated from configs/profiles by models/config/embed_profiles.cmake.\n")
string(APPEND text "#include \"models/config/profiles.h\"\n\n#include <map>\n#include <stdexcept>\n\nnamespace iommu_sim\n{\n\n")
string(APPEND text "const std::string &built_in_profile(const std::string &path)\n{\n    static const std::map<std::string, std::string> all{\n")
foreach(path IN LISTS files)
  file(READ ${path} content)
  get_filename_component(name ${path} NAME)
  string(APPEND text "        {\"configs/profiles/${name}\",\n         R\"profile(${content})profile\"},\n")
endforeach()
string(APPEND text "    };\n    const auto found = all.find(path);\n    if (found == all.end())\n")
string(APPEND text "        throw std::logic_error(path + \" is not part of the program\");\n    return found->second;\n}\n\n} // namespace iommu_sim\n")
file(WRITE ${OUTPUT} "${text}")
