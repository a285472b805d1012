/* SPDX-License-Identifier: MIT */
#include "peer_classes.h"

#include <stdlib.h>
#include <string.h>

const char *peer_classes_add(struct peer_classes *peers, const char *name)
{
    struct peer_class *class = &peers->classes[peers->count];
    if (strcmp(name, PEER_OTHER) == 0)
        return "\"" PEER_OTHER "\" is the class of all peers that no other class holds";
    if (strlen(name) > PEER_NAME_MAX)
        return "the name of a class has at most 64 characters";
    if (peers->count == PEER_CLASSES_MAX)
        return "there may be 16 classes at most";
    *class = (struct peer_class){.name = strdup(name)};
    if (class->name == NULL)
        return "memory is out";
    peers->count++;
    return NULL;
}

const char *peer_classes_add_prefix(struct peer_classes *peers, const char *word,
                                    char problem[PREFIX_PROBLEM_SIZE])
{
    struct peer_class *class = &peers->classes[peers->count - 1];
    struct policy_prefix prefix, *more;
    if (!prefix_read(word, &prefix, problem))
        return problem;
    if (class->count == PEER_PREFIXES_MAX)
        return "a class may have 256 prefixes at most";
    more = reallocarray(class->prefixes, class->count + 1, sizeof *more);
    if (more == NULL)
        return "memory is out";
    class->prefixes = more;
    more[class->count++] = prefix;
    return NULL;
}

const char *peer_classes_find(const struct peer_classes *peers, const uint8_t address[16])
{
    for (size_t i = 0; i < peers->count; i++)
        for (size_t j = 0; j < peers->classes[i].count; j++)
            if (prefix_holds(&peers->classes[i].prefixes[j], address))
                return peers->classes[i].name;
    return peers->count ? PEER_OTHER : "";
}

void peer_classes_free(struct peer_classes *peers)
{
    for (size_t i = 0; i < peers->count; i++) {
        free(peers->classes[i].name);
        free(peers->classes[i].prefixes);
    }
    *peers = (struct peer_classes){.count = 0};
}
