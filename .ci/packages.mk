# SPDX-License-Identifier: MIT
#
# Debian packages, by what needs them. "?": only where the release has it.

GCC_VERSION := $(shell $(CC) -dumpversion 2>/dev/null || echo 12)

PACKAGES_BUILD := gcc make libc6-dev libconfig-dev libjansson-dev libelf-dev uthash-dev libseccomp-dev \
    libmnl-dev libmicrohttpd-dev libcurl4-openssl-dev libncurses-dev ?clang ?libbpf-dev
PACKAGES_DEMO  := python3 curl iproute2
PACKAGES_CHECK := libcriterion-dev python3 python3-pytest python3-pytest-xdist python3-pytest-timeout \
    strace valgrind iproute2 procps binutils libcap2-bin \
    nginx-light redis-server redis-tools haproxy curl wget iperf3 socat memcached perl \
    openssh-server openssh-client postgresql ?nodejs \
    musl-tools ?gcc-$(GCC_VERSION)-multilib ?libc6-dev-i386 \
    ?gcc-aarch64-linux-gnu ?libc6-dev-arm64-cross ?qemu-user \
    g++ libjemalloc2 golang-go liburing-dev bash zsh mandoc busybox systemd prometheus tmux gnuplot-nox \
    jq apparmor ?chromium \
    ?torsocks ?proxychains4 ?libkeepalive0
PACKAGES_PROGRAMS = ?default-jre-headless ?libpython$(shell $(PYTHON) -c \
    'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)-testsuite
PACKAGES_LINT  := clang clang-format clang-tidy cppcheck mandoc shellcheck zsh libcriterion-dev
PACKAGES_BENCH := python3 strace golang-go wrk nginx-light redis-server redis-tools \
    ?torsocks ?proxychains4 ?libkeepalive0 ?mptcpize ?libsocket-wrapper
PACKAGES_PROOF := $(PACKAGES_BENCH) gnuplot-nox fonts-dejavu-core iproute2 \
    perl nginx-light curl wget iperf3 openssh-server openssh-client
PACKAGES_DEB   := dpkg-dev debhelper fakeroot
PACKAGES_RPM   := rpm
PACKAGES_MACHINES := qemu-user $(foreach machine,aarch64 riscv64 powerpc64le s390x,gcc-$(machine)-linux-gnu) \
    $(foreach machine,arm64 riscv64 ppc64el s390x,libc6-dev-$(machine)-cross)
PACKAGES_FUZZ  := clang ?libclang-rt-14-dev

# `make check INSTALL=no` installs nothing. Else INSTALL is the program of `make install`.
packages = INSTALL=$(INSTALL_PACKAGES) CC='$(CC)' PYTHON='$(PYTHON)' .ci/install-packages $(PACKAGES_BUILD)
INSTALL_PACKAGES := $(if $(filter no,$(INSTALL)),no,yes)

## make build-deps       install the Debian packages that building needs
.PHONY: build-deps
build-deps:
	$(packages)

## make deps             install the Debian packages that building, tests and benchmarks need
.PHONY: deps
deps:
	$(packages) $(PACKAGES_DEMO) $(PACKAGES_CHECK) $(PACKAGES_PROGRAMS) $(PACKAGES_LINT) $(PACKAGES_PROOF) $(PACKAGES_FUZZ)
