// SPDX-License-Identifier: Apache-2.0
//
// The C++ half of the C shim: keeps the registered C tests and reports their expectations.
#include "tests/shim/gtest_c.h"

#include <gtest/gtest.h>

#include <cstdarg>
#include <cstdio>

namespace
{

class CTest : public ::testing::Test
{
  public:
    explicit CTest(void (*body)(void)) : body_(body)
    {
    }
    void TestBody() override
    {
        body_();
    }

  private:
    void (*body_)(void);
};

void add_failure(const char *file, int line, const std::string &text)
{
    ADD_FAILURE_AT(file, line) << text;
}

} // namespace

void iom_test_register(const char *suite, const char *name, const char *file, int line, void (*body)(void))
{
    ::testing::RegisterTest(suite, name, nullptr, nullptr, file, line,
                            [body]() -> ::testing::Test * { return new CTest(body); });
}

bool iom_test_expect_true(const char *file, int line, const char *text, bool value)
{
    if (!value)
        add_failure(file, line, std::string("expected to hold: ") + text);
    return value;
}

bool iom_test_expect_u64(const char *file, int line, const char *a_text, const char *b_text, uint64_t a,
                         uint64_t b)
{
    if (a == b)
        return true;
    char text[512];
    std::snprintf(text, sizeof text,
                  "%s == %s\n  left : %" PRIu64 " (0x%" PRIx64 ")\n  right: %" PRIu64 " (0x%" PRIx64 ")",
                  a_text, b_text, a, a, b, b);
    add_failure(file, line, text);
    return false;
}

bool iom_test_expect_str(const char *file, int line, const char *a_text, const char *b_text, const char *a,
                         const char *b)
{
    if (a != nullptr && b != nullptr && std::string(a) == b)
        return true;
    add_failure(file, line,
                std::string(a_text) + " == " + b_text + "\n  left : " + (a ? a : "(null)") +
                    "\n  right: " + (b ? b : "(null)"));
    return false;
}

void iom_test_fail(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    std::vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add_failure(file, line, text);
}
