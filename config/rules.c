/* SPDX-License-Identifier: MIT */
/* What rules and settings stand for. */
#include "rules.h"

#include "sockinfo.h"

#include <netinet/in.h>

static struct setting_target target_of(const struct option *option)
{
    return (struct setting_target){option, option->level, option->optname};
}

size_t setting_targets(const struct setting *setting, struct setting_target *targets)
{
    const struct option *option = setting->option;
    if (option == NULL) {
        option = option_find_number(setting->raw_level, setting->raw_optname);
        targets[0] = (struct setting_target){option, setting->raw_level, setting->raw_optname};
        return 1;
    }
    if (option->kind == KIND_DSCP) {
        targets[0] = target_of(option_find_number(IPPROTO_IP, IP_TOS));
        targets[1] = target_of(option_find_number(IPPROTO_IPV6, IPV6_TCLASS));
        return 2;
    }
    targets[0] = target_of(option);
    return 1;
}

unsigned rule_roles(const struct rule *rule)
{
    return rule->roles & roles_of_protocols(rule->protocols);
}
