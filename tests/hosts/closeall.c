/* SPDX-License-Identifier: MIT */
/*
 * A program that closes every descriptor except the standard ones, as daemons do, with closefrom(),
 * close_range() and a loop, and then opens other files at every number with dup2().
 */
#include "host.h"

#include <fcntl.h>
#include <sys/resource.h>

int main(void)
{
    struct rlimit limit = {.rlim_cur = 512, .rlim_max = 512};
    check(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    say_descriptors("start");
    say_connection("start");

    closefrom(3);
    say_connection("closefrom");
    check(close_range(3, ~0U, 0) == 0);
    say_connection("close_range");

    int null = open("/dev/null", O_RDWR);
    check(null == 3);
    for (int fd = 4; fd < 512; fd++) {
        check(dup2(null, fd) == fd);
    }
    errno = 0;
    check(socket(AF_INET, SOCK_STREAM, 0) == -1 && errno == EMFILE);
    for (int fd = 3; fd < 512; fd++) {
        check(close(fd) == 0);
    }
    say_connection("dup2");
    for (int fd = 3; fd < 512; fd++) {
        check(close(fd) == -1 && errno == EBADF);
    }
    say_connection("close");
    say_descriptors("end");
    return 0;
}
