// SPDX-License-Identifier: Apache-2.0
//
// GoogleTest for tests written in C.
//
//   IOM_TEST(Wheel, far_events_wait_in_the_overflow_heap)
//   {
//       IOM_EXPECT_U64(iom_wheel_next(wheel), 7);
//   }
//
// A test file is plain C; IOM_TEST registers the function before main() runs and the shim hands it
// to GoogleTest (::testing::RegisterTest), so filters, ctest discovery and reports work as for C++.
// Expectations go on after a failure; IOM_ASSERT returns from the test function.
#ifndef IOM_TESTS_GTEST_C_H
#define IOM_TESTS_GTEST_C_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void iom_test_register(const char *suite, const char *name, const char *file, int line, void (*body)(void));
bool iom_test_expect_true(const char *file, int line, const char *text, bool value);
bool iom_test_expect_u64(const char *file, int line, const char *a_text, const char *b_text, uint64_t a,
                         uint64_t b);
bool iom_test_expect_str(const char *file, int line, const char *a_text, const char *b_text, const char *a,
                         const char *b);
/// Adds a failure with a printf-formatted message.
void iom_test_fail(const char *file, int line, const char *format, ...);

#define IOM_TEST(suite, name)                                                                                \
    static void iom_test_##suite##_##name(void);                                                             \
    __attribute__((constructor)) static void iom_test_reg_##suite##_##name(void)                             \
    {                                                                                                        \
        iom_test_register(#suite, #name, __FILE__, __LINE__, iom_test_##suite##_##name);                     \
    }                                                                                                        \
    static void iom_test_##suite##_##name(void)

#define IOM_EXPECT(condition) iom_test_expect_true(__FILE__, __LINE__, #condition, (condition))
#define IOM_EXPECT_U64(a, b) iom_test_expect_u64(__FILE__, __LINE__, #a, #b, (uint64_t)(a), (uint64_t)(b))
#define IOM_EXPECT_STR(a, b) iom_test_expect_str(__FILE__, __LINE__, #a, #b, (a), (b))
#define IOM_FAIL(...) iom_test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define IOM_ASSERT(condition)                                                                                \
    do {                                                                                                     \
        if (!iom_test_expect_true(__FILE__, __LINE__, #condition, (condition)))                              \
            return;                                                                                          \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
