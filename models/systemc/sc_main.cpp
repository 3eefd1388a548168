// SPDX-License-Identifier: Apache-2.0
//
// libsystemc contains a main() that calls sc_main(), and so needs one to link. Programs with a main()
// of their own never call it; a platform with an sc_main() of its own never links this file.
#include <cstdio>

#include <systemc>

int sc_main(int, char *[])
{
    std::fputs("this program has a main() of its own; sc_main() is not its entry\n", stderr);
    return 2;
}
