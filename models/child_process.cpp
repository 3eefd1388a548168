// SPDX-License-Identifier: Apache-2.0
//
// Child processes. See child_process.h. The child writes one letter, for success or failure, and a text.
#include "models/child_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <stdexcept>

namespace iommu_sim
{

namespace
{

constexpr char success = '+', failure = '-';

[[noreturn]] void child(const std::function<std::string()> &work, int out)
{
    std::string text;
    try {
        text = success + work();
    } catch (const std::exception &error) {
        text = failure + std::string(error.what());
    }
    for (size_t done = 0; done < text.size();) {
        const ssize_t count = write(out, text.data() + done, text.size() - done);
        if (count < 0 && errno != EINTR)
            _exit(1);
        done += count > 0 ? static_cast<size_t>(count) : 0;
    }
    _exit(0); // nothing of the parent's buffers is to be written twice
}

std::string read_all(int in)
{
    std::string text;
    std::array<char, 65536> buffer{};
    for (;;) {
        const ssize_t count = read(in, buffer.data(), buffer.size());
        if (count == 0 || (count < 0 && errno != EINTR))
            return text;
        if (count > 0)
            text.append(buffer.data(), static_cast<size_t>(count));
    }
}

} // namespace

std::string in_child_process(const std::function<std::string()> &work)
{
    int ends[2];
    std::fflush(nullptr);
    if (pipe(ends) != 0)
        throw std::runtime_error("no pipe to a process for the SystemC kernel");
    const pid_t process = fork();
    if (process < 0) {
        close(ends[0]);
        close(ends[1]);
        throw std::runtime_error("no process for the SystemC kernel");
    }
    if (process == 0) {
        close(ends[0]);
        child(work, ends[1]);
    }
    close(ends[1]);
    const std::string text = read_all(ends[0]);
    close(ends[0]);
    int status = 0;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || text.empty())
        throw std::runtime_error("the process of the SystemC kernel failed");
    if (text[0] == failure)
        throw std::runtime_error(text.substr(1));
    return text.substr(1);
}

} // namespace iommu_sim
