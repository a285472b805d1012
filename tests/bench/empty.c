/* SPDX-License-Identifier: MIT */
/*
 * The yardstick: a preloaded object that does nothing, built the way `gcc -shared -fPIC` builds by
 * default. What a preload costs beyond this one is its own doing.
 */
