# SPDX-License-Identifier: MIT
#
# socktune. `make help` lists what can be made.
#
# The parts depend on one another in one direction only, and the include paths enforce it:
# preload <- config <- tools <- tests.

PREFIX   ?= /usr/local
BINDIR   ?= $(PREFIX)/bin
SBINDIR  ?= $(PREFIX)/sbin
MANDIR   ?= $(PREFIX)/share/man
DATADIR  ?= $(PREFIX)/share/socktune
UNITDIR  ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
BASH_COMPLETION_DIR ?= $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETION_DIR  ?= $(PREFIX)/share/zsh/site-functions
# $LIB of ld.so: the part of a library path that depends on the word size.
MULTIARCH ?= $(shell $(CC) -print-multiarch 2>/dev/null)
ifneq ($(MULTIARCH),)
LIBDIR   ?= $(PREFIX)/lib/$(MULTIARCH)
LIBDIR32 ?= $(PREFIX)/lib/i386-linux-gnu
else
# Without multiarch: lib64 where the system has this directory itself, and not as a link to lib.
LIBDIR   ?= $(PREFIX)/$(if $(filter /usr/lib64,$(realpath /usr/lib64)),lib64,lib)
LIBDIR32 ?= $(PREFIX)/$(if $(filter %/lib64,$(LIBDIR)),lib,lib32)
endif
# The same to the 32-bit ld.so of Debian's libc6-i386, which is no multiarch package.
LIBDIR32_PLAIN ?= $(PREFIX)/lib32
DESTDIR  ?=

ifeq ($(origin CC),default)
CC       := gcc
endif
# Other machines that the preloaded object is built for, and their compilers: CC_aarch64 ...
MACHINES := aarch64 riscv64 powerpc64le s390x
CC_AARCH64 ?= aarch64-linux-gnu-gcc
CC_aarch64 ?= $(CC_AARCH64)
$(foreach machine,$(filter-out aarch64,$(MACHINES)),$(eval CC_$(machine) ?= $(machine)-linux-gnu-gcc))
CPPFLAGS ?=
CFLAGS   ?= -O2 -g
LDFLAGS  ?=
# Set to -Werror by `make lint` and by CI: a compiler that we do not know may warn of more.
WERROR   ?=
WARNINGS := -Wall -Wextra $(WERROR) -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wpointer-arith -Wundef -Wvla -Wformat=2 -Wwrite-strings
STD      := -std=gnu11
VERSION  := $(shell cat tools/VERSION)

B := build
V ?= 0
ifeq ($(V),0)
Q := @
say = @printf '  %-6s %s\n' $(1) '$(2)'
else
say = @:
endif

# The rooms. Each names those that it may include from; the compiler enforces it, since own headers
# are found by #include "" along these paths alone (so they never hide the system's elf.h, glob.h).
# A room's sources are its *.c.
ROOMS := preload/engine preload/wire config config/compiler tools/lib tools/process tools/advise tools/supervise tools/attach \
         tools/cli/view tools/cli tools/helper/base tools/helper/conntrack tools/helper/stats tools/helper/publish tools/helper/clients tools/helper/http tools/helper
sees_preload/engine   :=
sees_preload/wire     := preload/engine
sees_preload          := preload/engine preload/wire
sees_config           := preload/engine preload/wire
sees_config/compiler  := $(sees_config) config
sees_tools/lib        := $(sees_config) config
sees_tools/process    := $(sees_tools/lib) tools/lib
sees_tools/advise     := $(sees_tools/process) tools/process
sees_tools/supervise  := $(sees_tools/process) tools/process
sees_tools/attach     := $(sees_tools/process) tools/process
sees_tools/cli/view   := $(sees_tools/lib) tools/lib
sees_tools/cli        := $(sees_tools/supervise) tools/supervise tools/advise tools/attach tools/cli/view
helper_rooms          := $(addprefix tools/helper/,base stats conntrack publish clients http) tools/helper
sees_tools/helper/base      := $(sees_tools/lib) tools/lib
sees_tools/helper/stats     := $(sees_tools/helper/base) tools/helper/base
sees_tools/helper/conntrack := $(sees_tools/helper/stats) tools/helper/stats
sees_tools/helper/publish   := $(sees_tools/helper/base) tools/helper/base
sees_tools/helper/clients   := $(sees_tools/helper/conntrack) tools/helper/conntrack tools/helper/publish
sees_tools/helper/http      := $(sees_tools/helper/clients) tools/helper/clients
sees_tools/helper           := $(sees_tools/helper/http) tools/helper/http
# $(call includes,room)
includes = $(addprefix -iquote ,$(1) $(sees_$(1))) $(if $(filter tools/%,$(1)),-DSOCKTUNE_VERSION='"$(VERSION)"') \
           $(if $(filter tools/attach tools/cli,$(1)),$(ATTACH_FLAG))
# $(call sources,rooms): in the same order everywhere
sources  = $(foreach room,$(1),$(filter-out $(LEFT_OUT) %.bpf.c,$(sort $(wildcard $(room)/*.c))))

.DEFAULT_GOAL := all
include tools/attach/attach.mk

# What the three programs are made of.
ENGINE      := $(call sources,preload/engine preload/wire)
PRELOAD_SRC := $(ENGINE) $(call sources,preload)
LANGUAGE    := $(ENGINE) $(call sources,config tools/lib)
COMPILER_SRC := $(ENGINE) $(call sources,config config/compiler)
COMMAND_SRC := $(LANGUAGE) $(call sources,tools/process tools/advise tools/supervise tools/attach tools/cli tools/cli/view)
HELPER_SRC  := $(LANGUAGE) $(call sources,$(helper_rooms))
MAN_PAGES   := tools/socktune.1 tools/socktune.7 $(B)/socktune.conf.5 preload/libsocktune.so.8 tools/socktuned.8

CONFIG_LIBS := -lconfig
TOOLS_LIBS  := -ljansson -lelf -lseccomp -lmnl -lncursesw -ltinfo -lm -ldl -pthread $(ATTACH_LIBS)
HELPER_LIBS := -lmnl -lmicrohttpd -ljansson -lm

# Debug information names no build directory: the same source gives the same bytes anywhere.
COMMON_FLAGS := $(STD) $(WARNINGS) -D_GNU_SOURCE -MMD -MP -ffile-prefix-map='$(CURDIR)'=.
TOOLS_CFLAGS := $(COMMON_FLAGS) -fPIE $(CPPFLAGS) $(CFLAGS)
# $(call link_program,libraries): a rule's objects, position-independent, nothing of its tables writable; marked
# as ours (config/never_tune.h).
link_program = $(Q)$(CC) $(CFLAGS) -pie -Wl,-z,relro -Wl,-z,now -Wl,--export-dynamic-symbol=socktune_never_tune $(LDFLAGS) -o $@ $(filter %.o,$^) $(1)
PLACES       := -DPREFIX='"$(PREFIX)"' -DLIBDIR='"$(LIBDIR)"' -DLIBDIR32='"$(LIBDIR32)"'
INC_tests    := $(addprefix -iquote ,$(ROOMS)) -DSOCKTUNE_VERSION='"$(VERSION)"' -iquote tests

## make                  build/libsocktune.so, build/socktune and build/socktuned
.PHONY: all
all: $(B)/libsocktune.so $(B)/socktune-compile $(B)/socktune $(B)/socktuned $(B)/socktune.conf.5

include .ci/packages.mk
include preload/preload.mk

# Programs.

objects = $(patsubst %.c,$(B)/obj/%.o,$(1))

$(B)/socktune: $(call objects,$(COMMAND_SRC))
	$(call say,LD,$@)
	$(call link_program,$(CONFIG_LIBS) $(TOOLS_LIBS))

$(B)/socktune-compile: $(call objects,$(COMPILER_SRC))
	$(call say,LD,$@)
	$(call link_program,$(CONFIG_LIBS))

$(B)/socktuned: $(call objects,$(HELPER_SRC))
	$(call say,LD,$@)
	$(call link_program,$(CONFIG_LIBS) $(HELPER_LIBS))

# $(call compile_room,room)
define compile_room
$$(call objects,$$(call sources,$(1))): $(B)/obj/%.o: %.c Makefile tools/VERSION
	$$(call say,CC,$$<)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(TOOLS_CFLAGS) $$(call includes,$(1)) $$(EXTRA) -c -o $$@ $$<
endef
$(foreach room,$(ROOMS),$(eval $(call compile_room,$(room))))
# The status page lies in the object as it is.
$(B)/obj/tools/helper/http/page.o $(B)/san/tools/helper/http/page.o: tools/helper/http/page.html

# Where things are installed is compiled in, and made anew when `make install` is told otherwise.
$(B)/obj/tools/cli/library.o $(B)/obj/tools/helper/publish/rule_watcher.o: $(B)/places
%/tools/cli/library.o %/tools/helper/publish/rule_watcher.o: EXTRA = $(PLACES)
places := $(foreach place,PREFIX LIBDIR LIBDIR32 DATADIR,$(place)=$($(place)))
.PHONY: places
$(B)/places: places
	$(Q)mkdir -p $(@D) && echo '$(places)' | cmp -s - $@ || echo '$(places)' >$@

-include tests/tests.mk

# The manual's list of options comes from the option table.
lint: $(B)/socktune.conf.5
$(B)/socktune.conf.5: config/socktune.conf.5.in $(B)/socktune $(B)/places
	$(call say,MAN,$@)
	$(Q)$(B)/socktune options --man >$(B)/options.mdoc
	$(Q)sed -e '/^@OPTIONS@$$/r $(B)/options.mdoc' -e '/^@OPTIONS@$$/d' -e 's|@DATADIR@|$(DATADIR)|' \
	    $< >$@

# Install.

# INSTALL=no is another matter: it keeps `make check` and its like from installing packages.
ifeq ($(filter-out no,$(INSTALL)),)
override INSTALL := install
endif
relative = $$(realpath -m --relative-to='$(DESTDIR)$(1)' '$(DESTDIR)$(2)')
# $(call install_over,mode,file,target): programs may start meanwhile that preload the old one (/etc/ld.so.preload),
# so that it is replaced in one step and is whole at any time.
install_over = $(INSTALL) -m $(1) $(2) '$(DESTDIR)$(3).new' && mv -f '$(DESTDIR)$(3).new' '$(DESTDIR)$(3)'
# The preloaded object looks for the rule compiler beside itself.
define install_preload
	$(INSTALL) -d '$(DESTDIR)$(2)/socktune'
	$(if $(filter $(LIBDIR),$(2)),$(call install_over,755,$(B)/socktune-compile,$(2)/socktune/socktune-compile),\
	    ln -sfn "$(call relative,$(2)/socktune,$(LIBDIR)/socktune/socktune-compile)" '$(DESTDIR)$(2)/socktune/socktune-compile')
	$(call install_over,644,$(1),$(2)/socktune/libsocktune.so)
endef

## make install          PREFIX=/usr/local, DESTDIR=, LIBDIR=PREFIX/lib/<multiarch>; the library
##                       goes to LIBDIR/socktune, the 32-bit one, where built, to LIBDIR32/socktune
.PHONY: install
install: all
	$(INSTALL) -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(DATADIR)/examples' \
	    '$(DESTDIR)$(BASH_COMPLETION_DIR)' '$(DESTDIR)$(ZSH_COMPLETION_DIR)'
	$(INSTALL) -m 755 $(B)/socktune '$(DESTDIR)$(BINDIR)/socktune'
	$(INSTALL) -D -m 755 $(B)/socktuned '$(DESTDIR)$(SBINDIR)/socktuned'
	$(INSTALL) -d '$(DESTDIR)$(UNITDIR)'
	sed -e 's|@SBINDIR@|$(SBINDIR)|' -e 's|@BINDIR@|$(BINDIR)|' tools/package/systemd/socktuned.service.in >'$(DESTDIR)$(UNITDIR)/socktuned.service'
	$(INSTALL) -m 644 tools/package/systemd/socktuned.socket '$(DESTDIR)$(UNITDIR)/socktuned.socket'
	$(INSTALL) -D -m 644 tools/package/systemd/socktune.sysusers '$(DESTDIR)$(SYSUSERSDIR)/socktune.conf'
	$(call install_preload,$(B)/libsocktune.so,$(LIBDIR))
	$(if $(wildcard $(B)/i386/libsocktune.so),$(call install_preload,$(B)/i386/libsocktune.so,$(LIBDIR32)))
	$(if $(wildcard $(B)/i386/libsocktune.so),$(call install_preload,$(B)/i386/libsocktune.so,$(LIBDIR32_PLAIN)))
	$(INSTALL) -m 644 config/examples/*.conf '$(DESTDIR)$(DATADIR)/examples'
	$(INSTALL) -m 644 -D -t '$(DESTDIR)$(DATADIR)/prometheus' tools/package/prometheus/scrape.yml \
	    tools/package/prometheus/alerts.yml tools/package/prometheus/grafana-dashboard.json \
	    tools/package/prometheus/opentelemetry.yml
	for page in $(MAN_PAGES); do section=$${page##*.}; \
	    $(INSTALL) -D -m 644 $$page '$(DESTDIR)$(MANDIR)'/man$$section/$${page##*/} || exit 1; done
	$(INSTALL) -m 644 tools/package/completion/socktune.bash '$(DESTDIR)$(BASH_COMPLETION_DIR)/socktune'
	ln -sfn socktune '$(DESTDIR)$(BASH_COMPLETION_DIR)/socktuned'
	$(INSTALL) -m 644 tools/package/completion/_socktune '$(DESTDIR)$(ZSH_COMPLETION_DIR)/_socktune'

## make uninstall        the opposite, with the same PREFIX, DESTDIR and LIBDIR
.PHONY: uninstall
uninstall:
	@! grep -s '/libsocktune\.so' '$(DESTDIR)/etc/ld.so.preload' || \
	    { echo 'Remove this line from $(DESTDIR)/etc/ld.so.preload first: else each program prints an error at its start.' >&2; exit 1; }
	rm -f '$(DESTDIR)$(BINDIR)/socktune' '$(DESTDIR)$(SBINDIR)/socktuned' \
	    $(foreach unit,service socket,'$(DESTDIR)$(UNITDIR)/socktuned.$(unit)') '$(DESTDIR)$(SYSUSERSDIR)/socktune.conf' \
	    $(foreach program,socktune socktuned,'$(DESTDIR)$(BASH_COMPLETION_DIR)/$(program)') \
	    '$(DESTDIR)$(ZSH_COMPLETION_DIR)/_socktune' \
	    $(foreach page,$(notdir $(MAN_PAGES)),'$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(page)')
	rm -rf '$(DESTDIR)$(DATADIR)' $(foreach place,$(LIBDIR) $(LIBDIR32) $(LIBDIR32_PLAIN),'$(DESTDIR)$(place)/socktune')

include tools/package/package.mk

.PHONY: i386 $(MACHINES)
## make i386 aarch64     the preloaded object for those, in build/i386 and build/aarch64; also for
##                       riscv64, powerpc64le and s390x
i386 $(MACHINES): %: $(B)/%/libsocktune.so

## make help             this list
.PHONY: help
help:
	@cat $(MAKEFILE_LIST) | sed -n 's/^## //p'

## make clean            remove build/
.PHONY: clean
clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' -type f 2>/dev/null)
