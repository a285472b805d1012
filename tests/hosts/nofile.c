/* SPDX-License-Identifier: MIT */
/*
 * No free descriptor: socket() and accept() fail with EMFILE, connect() and bind() still work, and
 * everything works again after a descriptor is freed.
 */
#include "host.h"

#include <fcntl.h>
#include <sys/resource.h>

int main(void)
{
    struct rlimit limit = {.rlim_cur = 40, .rlim_max = 40};
    struct sockaddr_in address, any;
    check(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    int listener = listen_on_loopback(&address, 64);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    int unbound = socket(AF_INET, SOCK_STREAM, 0);
    int filler[64];
    int count = 0;
    while ((filler[count] = open("/dev/null", O_RDONLY)) >= 0) {
        count++;
    }
    check(errno == EMFILE && count > 0);
    say("filled with %d\n", count);
    check(connect(client, (struct sockaddr *)&address, sizeof address) == 0);
    any = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    check(bind(unbound, (struct sockaddr *)&any, sizeof any) == 0);
    check(listen(unbound, 4) == 0);
    errno = 0;
    check(socket(AF_INET, SOCK_STREAM, 0) == -1 && errno == EMFILE);
    errno = 0;
    check(accept(listener, NULL, NULL) == -1 && errno == EMFILE);
    errno = 0;
    check(accept4(listener, NULL, NULL, SOCK_CLOEXEC) == -1 && errno == EMFILE);
    say_options("connect", client);
    close(filler[--count]);
    int server = accept(listener, NULL, NULL);
    check(server == filler[count]);
    say_options("accept", server);
    while (count > 0) {
        close(filler[--count]);
    }
    say_connection("afterwards");
    say_descriptors("end");
    return 0;
}
