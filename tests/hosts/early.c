/* SPDX-License-Identifier: MIT */
/*
 * Sockets created before main(): in .preinit_array, which runs before all library constructors
 * except those of a library linked with -z initfirst, and in the program's own constructor, which
 * runs after them.
 */
#include "host.h"

static int early_client = -1;

static void use_sockets(const char *when, int *kept)
{
    struct sockaddr_in address;
    int listener = listen_on_loopback(&address, 8);
    int client = connect_to(&address);
    int server = accept(listener, NULL, NULL);
    check(server >= 0);
    int on = 1;
    check(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    check(option_of(client, IPPROTO_TCP, TCP_NODELAY) != 0);
    errno = 0;
    check(accept4(-1, NULL, NULL, 0) == -1 && errno == EBADF);
    check(socket(AF_INET, 77, 0) == -1 && errno == EINVAL);
    say("%s: listener %d client %d server %d\n", when, listener, client, server);
    close(server);
    close(listener);
    if (kept != NULL) {
        *kept = client;
    } else {
        close(client);
    }
}

static void before_libraries(int argc, char **argv, char **envp)
{
    (void)argc;
    (void)argv;
    (void)envp;
    use_sockets("preinit", &early_client);
    say_options("at preinit", early_client);
}

__attribute__((section(".preinit_array"), used)) static void (*preinit)(int, char **,
                                                                        char **) = before_libraries;

__attribute__((constructor(101))) static void before_main(void)
{
    use_sockets("constructor", NULL);
    say_connection("constructor");
}

int main(void)
{
    say("kept descriptor %d\n", early_client);
    check(option_of(early_client, SOL_SOCKET, SO_ERROR) == 0);
    say_options("later", early_client);
    say_connection("main");
    return 0;
}
