// SPDX-License-Identifier: Apache-2.0
//
// Child processes for tests. See child_process.h.
#include "tests/models/support/child_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

// Of libgcov, in coverage builds: _exit alone would lose the counts.
extern "C" void __gcov_dump(void) __attribute__((weak));

namespace
{

bool leak_check = true;

[[noreturn]] void leave(int status)
{
    if (leak_check)
        std::exit(status);
    if (__gcov_dump != nullptr)
        __gcov_dump();
    _exit(status);
}

std::string guarded(const std::function<std::string()> &body)
{
    try {
        return body();
    } catch (const std::exception &error) {
        return std::string("child threw: ") + error.what();
    }
}

bool write_all(int fd, const std::string &text)
{
    for (size_t done = 0; done < text.size();) {
        ssize_t n = write(fd, text.data() + done, text.size() - done);
        if (n <= 0)
            return false;
        done += static_cast<size_t>(n);
    }
    return true;
}

} // namespace

void no_leak_check_in_this_child()
{
    leak_check = false;
}

std::string in_child(const std::function<std::string()> &body)
{
    int ends[2];
    if (pipe(ends) != 0)
        return "child: no pipe";
    std::fflush(nullptr);
    pid_t pid = fork();
    if (pid < 0)
        return "child: no process";
    if (pid == 0) {
        close(ends[0]);
        bool written = write_all(ends[1], guarded(body));
        close(ends[1]);
        leave(written ? 0 : 1);
    }
    close(ends[1]);
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<size_t>(n));
    close(ends[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        return "child died of signal " + std::to_string(WTERMSIG(status)) + " " + text;
    if (WEXITSTATUS(status) != 0)
        return "child exited with status " + std::to_string(WEXITSTATUS(status)) + " " + text;
    return text;
}
