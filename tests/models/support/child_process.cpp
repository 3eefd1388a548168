// SPDX-License-Identifier: Apache-2.0
//
// Child processes for tests. See child_process.h.
#include "tests/models/support/child_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace
{

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
        std::exit(written ? 0 : 1); // not _exit: coverage and leak reports are written on the way out
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
