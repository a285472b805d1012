/* SPDX-License-Identifier: MIT */
/*
 * The baseline: a preloaded object that does nothing, built as `gcc -shared -fPIC` does by default.
 * Any cost beyond that of this object is caused by the other preload.
 */
