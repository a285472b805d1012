# SPDX-License-Identifier: MIT
#
# Tests. Unit and platform tests are one Criterion program each, instrumented with ASan and UBSan;
# the whole-program tests are pytest over real programs.

PYTHON     := /usr/bin/python3
SANITIZE   := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# Criterion starts these programs anew for each test. A program at a fixed address and with the sanitizers in
# it starts in two thirds of the time.
SAN_LINK   := $(SANITIZE) -no-pie $(if $(findstring /,$(shell $(CC) -print-file-name=libasan.a)),-static-libasan -static-libubsan)
SAN_CFLAGS := $(COMMON_FLAGS) -O0 -g1 $(SANITIZE)
# Criterion's macros shadow and convert.
TEST_CFLAGS := -Wno-shadow -Wno-conversion -Wno-missing-prototypes \
               -DFIXTURES='"$(CURDIR)/tests/fixtures"' -DEXAMPLES='"$(CURDIR)/config/examples"'

# The unit tests link all but the hooks and the main program.
unit_obj := $(patsubst %.c,$(B)/san/%.o,$(sort $(filter-out %/main.c,$(COMPILER_SRC) $(COMMAND_SRC) $(HELPER_SRC))) \
              $(filter-out tests/link/main.c,$(wildcard tests/link/*.c)) $(wildcard tests/unit/*.c))
platform_obj := $(patsubst %.c,$(B)/san/%.o,$(LANGUAGE) tools/helper/stats/close_reason.c $(wildcard tests/platform/*.c))

# $(call sanitized,room,flags)
define sanitized
$(patsubst %.c,$(B)/san/%.o,$(call sources,$(1))): $(B)/san/%.o: %.c Makefile tests/tests.mk
	$$(call say,CC,$$@)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(SAN_CFLAGS) $(2) $$(EXTRA) -c -o $$@ $$<
endef
$(foreach room,$(ROOMS),$(eval $(call sanitized,$(room),$$(call includes,$(room)))))
$(foreach room,tests/unit tests/platform tests/link,$(eval $(call sanitized,$(room),$$(INC_tests) $$(TEST_CFLAGS))))

$(B)/tests/unit: $(unit_obj)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(SAN_LINK) -o $@ $^ -lcriterion $(CONFIG_LIBS) $(TOOLS_LIBS) $(HELPER_LIBS)
$(B)/tests/platform: $(platform_obj)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(SAN_LINK) -o $@ $^ -lcriterion $(CONFIG_LIBS) -lmnl -ljansson

# Small programs that the whole-program tests run, one a file.
hosts := $(patsubst tests/hosts/%.c,$(B)/tests/hosts/%,$(wildcard tests/hosts/*.c))
$(B)/tests/hosts/%: tests/hosts/%.c $(wildcard tests/hosts/*.h)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu11 -Wall -Wextra $(WERROR) -O1 -g -D_GNU_SOURCE -iquote preload/engine -o $@ $< \
	    -pthread -ldl -rdynamic

.PHONY: unit platform hosts programs
unit: $(B)/tests/unit
	$< --jobs $$(nproc)
platform: $(B)/tests/platform
	tests/in-memory-group $< --jobs 1
hosts: $(hosts) $(B)/tests/link
# The tests wait for programs half of the time: two workers a processor.
WORKERS := $(shell echo $$((2 * $$(nproc))))
run_pytest = SOCKTUNE_BUILD=$(CURDIR)/$(B) tests/in-memory-group $(PYTHON) -m pytest -q -n $(WORKERS) \
             -p no:cacheprovider tests/programs $(PYTEST_ARGS)
programs: all hosts
	$(run_pytest) -m 'not full and not slow'

## make check-slow       tests that take long; each has faster siblings in make check
.PHONY: check-slow
check-slow:
	$(packages) $(PACKAGES_CHECK)
	$(MAKE) all hosts
	$(run_pytest) -m 'slow and not full'

## make check-programs   the longer list of real programs
.PHONY: check-programs
check-programs:
	$(packages) $(PACKAGES_CHECK) $(PACKAGES_PROGRAMS)
	$(MAKE) all hosts
	$(run_pytest) -m full

## make check-machines   the library on other machines (aarch64, riscv64, powerpc64le, s390x), emulated
.PHONY: check-machines
check-machines:
	$(packages) $(PACKAGES_CHECK) $(PACKAGES_MACHINES)
	$(MAKE) all $(MACHINES)
	SOCKTUNE_BUILD=$(CURDIR)/$(B) tests/in-memory-group $(PYTHON) -m pytest -q -n 2 -p no:cacheprovider \
	    tests/programs/test_machines.py $(PYTEST_ARGS)

# The helper, instrumented; all else is as it is.
sanitized_helper_obj := $(patsubst %.c,$(B)/san/%.o,$(HELPER_SRC))
$(B)/sanitized/socktuned: $(sanitized_helper_obj)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(SANITIZE) -o $@ $^ $(CONFIG_LIBS) $(HELPER_LIBS)
	$(Q)ln -sfn ../libsocktune.so ../socktune ../socktune-compile ../tests $(@D)
SANITIZED_TESTS := $(patsubst %,tests/programs/test_%.py,socktuned nothing_missed no_harm query metrics)

# How much memory the helper takes is another matter there.
SANITIZED_TESTS += --deselect tests/programs/test_socktuned.py::test_ten_thousand_registrations

## make check-sanitized  tests of the helper once more, with the helper under ASan and UBSan
.PHONY: check-sanitized
check-sanitized:
	$(packages) $(PACKAGES_CHECK)
	$(MAKE) all hosts $(B)/sanitized/socktuned
	ASAN_OPTIONS=quarantine_size_mb=1 SOCKTUNE_BUILD=$(CURDIR)/$(B)/sanitized tests/in-memory-group \
	    $(PYTHON) -m pytest -q -n 2 -p no:cacheprovider $(SANITIZED_TESTS) $(PYTEST_ARGS)

## make soak             SOAK_SECONDS=600 of churn, after which the helper has grown by nothing
SOAK_SECONDS ?= 600
.PHONY: soak
soak:
	$(packages) $(PACKAGES_CHECK)
	$(MAKE) all hosts
	SOCKTUNE_BUILD=$(CURDIR)/$(B) $(PYTHON) tests/support/soak.py $(SOAK_SECONDS)

## make demo             an unmodified program, without rules and with
.PHONY: demo
demo:
	$(packages) $(PACKAGES_DEMO)
	$(MAKE) all
	$(PYTHON) tests/demo/demo.py

# The preloaded object for those other machines for which there is a compiler.
ifneq ($(filter other-machines,$(MAKECMDGOALS)),)
compiles = $(shell echo | $(1) $(PRELOAD_CFLAGS) -MF /dev/null -include preload/state.h -x c -c -o /dev/null - \
    >/dev/null 2>&1 && echo yes)
.PHONY: other-machines
other-machines: $(if $(call compiles,$(CC) -m32 -idirafter /usr/include/$(MULTIARCH)),i386) \
                $(if $(call compiles,$(CC_AARCH64)),aarch64)
endif

# Everything.

## make check            all tests; installs the packages they need first (INSTALL=no: does not)
.PHONY: check
check:
	$(packages) $(PACKAGES_CHECK)
	$(MAKE) -j$$(nproc) all other-machines $(B)/tests/unit $(B)/tests/platform hosts
	$(MAKE) unit platform programs

include tests/link/link.mk
include tests/lint/lint.mk
include tests/fuzz/fuzz.mk
include tests/bench/bench.mk
include tests/proof/proof.mk
