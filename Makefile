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
BASH_COMPLETION_DIR ?= $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETION_DIR  ?= $(PREFIX)/share/zsh/site-functions
# $LIB of ld.so: the part of a library path that depends on the word size.
MULTIARCH ?= $(shell $(CC) -print-multiarch)
LIBDIR   ?= $(PREFIX)/lib/$(MULTIARCH)
LIBDIR32 ?= $(PREFIX)/lib/i386-linux-gnu
# The same to the 32-bit ld.so of Debian's libc6-i386, which is no multiarch package.
LIBDIR32_PLAIN ?= $(PREFIX)/lib32
DESTDIR  ?=

ifeq ($(origin CC),default)
CC       := gcc
endif
CC_AARCH64 ?= aarch64-linux-gnu-gcc
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
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

# What the preloaded object and the tools share: pure code, no hooks.
ENGINE      := preload/apply.c preload/baseline.c preload/glob.c preload/learn.c preload/match.c \
               preload/policy.c preload/record.c preload/register.c preload/ring.c \
               preload/subject.c preload/text.c
PRELOAD_SRC := $(wildcard preload/*.c)
CONFIG_SRC  := $(wildcard config/*.c)
TOOLS_SRC   := $(wildcard tools/*.c)
HELPER_SRC  := $(wildcard tools/helper/*.c)
# What the helper shares with the command.
HELPER_TOOLS := tools/action.c tools/console.c tools/names.c tools/read_option.c tools/tcp_info.c
# And the command with the helper.
COMMAND_HELPER := tools/helper/diag.c
MAN_PAGES   := tools/socktune.1 $(B)/socktune.conf.5 preload/libsocktune.so.8 tools/socktuned.8

CONFIG_LIBS := -lconfig
TOOLS_LIBS  := -ljansson -lelf -lseccomp -lmnl -lncursesw -ltinfo -lm -pthread
HELPER_LIBS := -lmnl -lmicrohttpd -ljansson

TOOLS_CFLAGS := $(STD) $(WARNINGS) $(CFLAGS) -D_GNU_SOURCE -MMD -MP
# Own headers are found by #include "" alone, so that they never hide the system's (elf.h, glob.h).
INC_preload  := -iquote preload
INC_config   := $(INC_preload) -iquote config
INC_tools    := $(INC_config) -iquote tools -DSOCKTUNE_VERSION='"$(VERSION)"'
PLACES       := -DPREFIX='"$(PREFIX)"' -DLIBDIR='"$(LIBDIR)"' -DLIBDIR32='"$(LIBDIR32)"'
INC_tests    := $(INC_tools) -iquote tests

## make                  build/libsocktune.so, build/socktune and build/socktuned
.PHONY: all
all: $(B)/libsocktune.so $(B)/socktune $(B)/socktuned $(B)/socktune.conf.5

include .ci/packages.mk
include preload/preload.mk

# --- tools ------------------------------------------------------------------------------------

tools_obj = $(patsubst %.c,$(B)/obj/%.o,$(ENGINE) $(CONFIG_SRC) $(TOOLS_SRC) $(COMMAND_HELPER))

$(B)/socktune: $(tools_obj)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CONFIG_LIBS) $(TOOLS_LIBS)

helper_obj = $(patsubst %.c,$(B)/obj/%.o,$(ENGINE) $(CONFIG_SRC) $(HELPER_TOOLS) $(HELPER_SRC))

$(B)/socktuned: $(helper_obj)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CONFIG_LIBS) $(HELPER_LIBS)

$(B)/obj/preload/%.o: preload/%.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(TOOLS_CFLAGS) $(INC_preload) -c -o $@ $<
$(B)/obj/config/%.o: config/%.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(TOOLS_CFLAGS) $(INC_config) -c -o $@ $<
$(B)/obj/tools/%.o: tools/%.c Makefile tools/VERSION
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(TOOLS_CFLAGS) $(INC_tools) -c -o $@ $<
# The status page lies in the object as it is.
$(B)/obj/tools/helper/page.o $(B)/san/tools/helper/page.o: tools/helper/page.html

# Where things are installed is compiled in, and made anew when `make install` is told otherwise.
$(B)/obj/tools/library.o: $(B)/places
%/tools/library.o: INC_tools += $(PLACES)
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

# --- install ------------------------------------------------------------------------------------

INSTALL ?= install
relative = $$(realpath -m --relative-to='$(DESTDIR)$(1)' '$(DESTDIR)$(2)')
# The preloaded object looks for the rule compiler beside itself.
define install_preload
	$(INSTALL) -d '$(DESTDIR)$(2)/socktune'
	$(INSTALL) -m 644 $(1) '$(DESTDIR)$(2)/socktune/libsocktune.so'
	ln -sfn "$(call relative,$(2)/socktune,$(BINDIR)/socktune)" '$(DESTDIR)$(2)/socktune/socktune'
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
	sed 's|@SBINDIR@|$(SBINDIR)|' tools/socktuned.service.in >'$(DESTDIR)$(UNITDIR)/socktuned.service'
	$(INSTALL) -m 644 tools/socktuned.socket '$(DESTDIR)$(UNITDIR)/socktuned.socket'
	$(call install_preload,$(B)/libsocktune.so,$(LIBDIR))
	$(if $(wildcard $(B)/i386/libsocktune.so),$(call install_preload,$(B)/i386/libsocktune.so,$(LIBDIR32)))
	$(if $(wildcard $(B)/i386/libsocktune.so),$(call install_preload,$(B)/i386/libsocktune.so,$(LIBDIR32_PLAIN)))
	$(INSTALL) -m 644 config/examples/*.conf '$(DESTDIR)$(DATADIR)/examples'
	$(INSTALL) -m 644 -D -t '$(DESTDIR)$(DATADIR)/prometheus' tools/prometheus/scrape.yml \
	    tools/prometheus/alerts.yml tools/prometheus/grafana-dashboard.json
	for page in $(MAN_PAGES); do section=$${page##*.}; \
	    $(INSTALL) -D -m 644 $$page '$(DESTDIR)$(MANDIR)'/man$$section/$${page##*/} || exit 1; done
	$(INSTALL) -m 644 tools/completion/socktune.bash '$(DESTDIR)$(BASH_COMPLETION_DIR)/socktune'
	$(INSTALL) -m 644 tools/completion/_socktune '$(DESTDIR)$(ZSH_COMPLETION_DIR)/_socktune'

.PHONY: i386 aarch64
## make i386 aarch64     the preloaded object for those, in build/i386 and build/aarch64
i386 aarch64: %: $(B)/%/libsocktune.so

## make help             this list
.PHONY: help
help:
	@cat $(MAKEFILE_LIST) | sed -n 's/^## //p'

## make clean            away with build/
.PHONY: clean
clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
