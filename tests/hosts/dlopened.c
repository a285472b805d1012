/* SPDX-License-Identifier: MIT */
/*
 * Sockets created in a library that is loaded late: in the program's scope, with RTLD_DEEPBIND, and
 * with dlmopen() in a separate namespace. The latter two do not use preloaded functions.
 *
 * dlopened LIBRARY: shared/connector.c
 */
#include "host.h"

#include <dlfcn.h>

static void use(const char *name, void *library)
{
    struct sockaddr_in address;
    if (library == NULL) {
        fail("%s: %s\n", name, dlerror());
    }
    int (*connector)(const struct sockaddr_in *) =
        (int (*)(const struct sockaddr_in *))dlsym(library, "connector_connect");
    check(connector != NULL);
    int listener = listen_on_loopback(&address, 4);
    int client = connector(&address);
    check(client >= 0);
    say_options(name, client);
    close(client);
    close(listener);
    check(dlclose(library) == 0);
}

int main(int argc, char **argv)
{
    check(argc == 2);
    use("dlopen", dlopen(argv[1], RTLD_NOW | RTLD_LOCAL));
    use("deepbind", dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND));
    use("dlmopen", dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW | RTLD_LOCAL));
    say_connection("main");
    return 0;
}
