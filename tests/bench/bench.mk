# SPDX-License-Identifier: MIT
#
# Benchmarks; see bench.py and apply.py.

bench_programs := $(B)/bench/calls $(B)/bench/start $(B)/bench/notified
$(bench_programs): $(B)/bench/%: tests/bench/%.c tests/bench/bench.mk
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(STD) $(WARNINGS) $(CFLAGS) -D_GNU_SOURCE -o $@ $<

# The yardstick is what gcc makes of nothing by default: no flags of ours.
$(B)/bench/empty.so: tests/bench/empty.c tests/bench/bench.mk
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) -shared -fPIC -o $@ $<

# Static, as Go programs are that need no cgo.
$(B)/bench/server: tests/bench/server.go
	$(call say,GO,$@)
	$(Q)mkdir -p $(@D) && CGO_ENABLED=0 GO111MODULE=off GOFLAGS= GOPROXY=off GOTOOLCHAIN=local \
	    GOCACHE=$(CURDIR)/$(B)/tests/go-cache go build -o $@ $<

## make bench            what preloading costs, in ratios, against an empty object;
##                       what supervising costs; and what apply takes a socket
.PHONY: bench
bench: all $(bench_programs) $(B)/bench/empty.so $(if $(shell command -v go),$(B)/bench/server)
	$(PYTHON) -B tests/bench/bench.py $(B)
	$(PYTHON) -B tests/bench/supervise.py $(B)
	$(PYTHON) -B tests/bench/apply.py $(B)
