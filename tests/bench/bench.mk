# SPDX-License-Identifier: MIT
#
# Benchmarks; see bars.py.

bench_programs := $(addprefix $(B)/bench/,calls start notified holder waits ends)
$(bench_programs): $(B)/bench/%: tests/bench/%.c tests/bench/bench.mk
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(STD) $(WARNINGS) $(CFLAGS) -D_GNU_SOURCE $(call includes,preload) -o $@ $<

# The baseline is built with gcc's default flags, none of ours.
$(B)/bench/empty.so: tests/bench/empty.c tests/bench/bench.mk
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) -shared -fPIC -o $@ $<

# Static, as Go programs without cgo are.
$(B)/bench/server: tests/bench/server.go
	$(call say,GO,$@)
	$(Q)mkdir -p $(@D) && CGO_ENABLED=0 GO111MODULE=off GOFLAGS= GOPROXY=off GOTOOLCHAIN=local \
	    GOCACHE=$(CURDIR)/$(B)/tests/go-cache go build -o $@ $<

# In this order; bars.py prints one table of all bars at the end.
benchmarks := bench.py supervise.py apply.py attach.py throughput.py helper.py ends.py

## make bench            what preloading costs, in ratios, against an empty object; what supervising
##                       costs; what apply takes a socket; what attaching costs; what servers lose; what the helper costs for
##                       100,000 connections; and whether it delays a connection's end
.PHONY: bench
bench: all $(bench_programs) $(B)/bench/empty.so $(if $(shell command -v go),$(B)/bench/server)
	$(PYTHON) -B tests/bench/bars.py $(B) $(benchmarks:%=tests/bench/%)
