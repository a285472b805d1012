# SPDX-License-Identifier: MIT
#
# Linters over everything that is written by hand: C, C++, shell, manual pages, and how files open.

LINT_C      := $(shell find preload config tools tests -name '*.c' -not -name '*.bpf.c')
LINT_LAYOUT := $(shell find preload config tools tests -name '*.[ch]' -o -name '*.cc')
LINT_SHELL  := .ci/run .ci/install-packages .ci/fetch-library tests/lint/openings tests/in-memory-group tools/package/completion/socktune.bash
LINT_FLAGS  := $(STD) -D_GNU_SOURCE $(ATTACH_FLAG) -DATTACH_OBJECT='"$(ATTACH_OBJECT)"' $(INC_tests) -iquote preload $(PLACES) -iquote tests/unit -DFIXTURES='""' -DEXAMPLES='""'

# Criterion's macros, for cppcheck: a test is a function, and ends where an assertion fails.
LINT_CRITERION := '-Dcr_assert(condition,...)=if(!(condition))abort()' \
    '-DTest(suite,name,...)=void suite\#\#_\#\#name(void)' '-DTestSuite(...)=' \
    '-DParameterizedTest(type,suite,name,...)=void suite\#\#_\#\#name(type)' \
    '-DParameterizedTestParameters(suite,name)=struct criterion_test_params suite\#\#_\#\#name\#\#_of(void)'

## make lint             clang-format, clang-tidy, cppcheck, shellcheck, mandoc, opening comments
.PHONY: lint lint-layout
lint: lint-layout lint-analysis
lint-layout:
	$(packages) $(PACKAGES_LINT)
	$(call say,LINT,compiler warnings)
	$(Q)$(MAKE) --no-print-directory B=$(B)/lint/gcc WERROR=-Werror all >/dev/null
	$(Q)$(MAKE) --no-print-directory B=$(B)/lint/clang WERROR=-Werror CC=clang all >/dev/null
	$(call say,LINT,openings)
	$(Q)tests/lint/openings
	$(call say,LINT,house)
	$(Q)tests/lint/house
	$(call say,LINT,clang-format)
	$(Q)clang-format --dry-run -Werror $(LINT_LAYOUT)
	$(call say,LINT,shell)
	$(Q)shellcheck $(LINT_SHELL)
	$(Q)zsh -n tools/package/completion/_socktune
	$(call say,LINT,manual pages)
	$(Q)mandoc -Tlint -Wwarning $(MAN_PAGES)

.PHONY: lint-analysis
lint-analysis:
	$(packages) $(PACKAGES_LINT)
	$(call say,LINT,cppcheck)
	$(Q)cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,performance,portability \
	    --suppress=missingIncludeSystem --suppressions-list=.cppcheck -D__x86_64__ '-DElfW(type)=Elf64_\#\#type' \
	    $(filter-out -std=%,$(LINT_FLAGS)) $(LINT_CRITERION) $(LINT_C)
	$(call say,LINT,clang-tidy)
	$(Q)printf '%s\n' $(LINT_C) | xargs -P 2 -I FILE clang-tidy --quiet FILE -- $(LINT_FLAGS) 2>/dev/null
