/* SPDX-License-Identifier: MIT */
#include "never_tune.h"

__attribute__((visibility("default"))) const char socktune_never_tune = 1;
