# SPDX-License-Identifier: GPL-2.0
#
# The project's front door: each part has a Makefile of its own and puts what
# it builds under build/. `make help` lists what can be asked for here.

export BUILD := $(CURDIR)/build
PREFIX ?= /usr/local
export PREFIX DESTDIR

.PHONY: all module kunit-module sparse tools lib unit unit-tools vm-programs fuzz kunit check bench \
	format format-check install uninstall clean help

all: module tools

# ---- the kernel module ----

module kunit-module sparse:
	+@$(MAKE) --no-print-directory -C kmod $@

# ---- user space ----

tools lib:
	+@$(MAKE) --no-print-directory -C userspace $@

# ---- tests ----

unit unit-tools:
	+@$(MAKE) --no-print-directory -C tests/$@ run

vm-programs:
	+@$(MAKE) --no-print-directory -C tests/vm

fuzz:
	+@$(MAKE) --no-print-directory -C tests/fuzz

kunit:
	tests/kunit/run

check:
	scripts/check

bench:
	tests/bench/run

# ---- source format ----

c++-sources = $(shell git ls-files '*.cc' '*.hh' 'kmod/core/*.h' 'userspace/**.h' \
		'tests/**.h' ':!kmod/core/host.h' ':!kmod/core/cc.h' ':!userspace/lib/*.h' ':!tests/kunit/*.h')

format:
	clang-format -i $(c++-sources)

format-check:
	clang-format --dry-run --Werror $(c++-sources)

# ---- installation ----

install: module tools
	+@$(MAKE) --no-print-directory -C kmod install
	+@$(MAKE) --no-print-directory -C userspace install
	install -D -m 644 include/sluice.h $(DESTDIR)$(PREFIX)/include/sluice.h

uninstall:
	+@$(MAKE) --no-print-directory -C kmod uninstall
	+@$(MAKE) --no-print-directory -C userspace uninstall
	rm -f $(DESTDIR)$(PREFIX)/include/sluice.h

clean:
	rm -rf $(BUILD)

define HELP
make            the module for the running kernel, and the tools
make module     build/kmod/<kernel>/sluice.ko
make tools      build/userspace/sluice; also: make lib
make install    module to /lib/modules, tools and header to PREFIX ($(PREFIX)); DESTDIR is honoured
make uninstall  takes them away again

make check      every test (takes a while; boots virtual machines)
make unit       the unit tests, on the simulator; make unit-tools: those of the tools
make fuzz       the fuzzers, built
make kunit      the tests inside a user-mode kernel
make bench      Sluice against the kernel's TCP
make sparse     sparse on the module's C; make format-check: clang-format on the C++
make clean      removes build/

KERNEL=6.1, 6.12, uml or uml-debug picks one of the kernels that the tests use;
KDIR=/lib/modules/.../build picks any other. V=1 shows commands.
endef
export HELP

help:
	@echo "$$HELP"
