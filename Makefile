# SPDX-License-Identifier: GPL-2.0-only
#
# The one entry point: `make` lists what there is. Each target installs
# the Debian packages it needs when run as root, and otherwise says which
# command installs them. Everything that is made goes under build/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules

CPU ?=
T ?= *
export KDIR ACCEL T TIMEOUT MEM SMP APPEND JOBS
export CMD FILES DEBUG ICOUNT

H := harness

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14
	@echo
	@sed -n 's/^#: //p' $(MAKEFILE_LIST)

#: Variables:
#:   CPU=amd|intel    which emulated vendor (boot: amd; test: both)
#:   CMD='...'        what boot runs;  FILES='...'  what else it needs on intel
#:   DEBUG=1          boot the debug kernel;  ICOUNT=1  count instructions (amd)
#:   TIMEOUT=seconds  outer time limit;  MEM=MiB  SMP=cpus  APPEND='kernel parameters'
#:   CHECKS='...'     which checks of lint;  BASE=qemu-7.2  what refresh writes
#:   T='glob'         which tests;  ACCEL=kvm|emu  real nested KVM or emulation
#:   NOBUILD=1        take the kernel, QEMU and programs as they are
#:   KDIR=/path       a copy of this 6.12 tree instead of the distribution's

# --- building ---------------------------------------------------------------

.PHONY: tree kernel kernel-debug kernel-off kernel-l2 qemu tools selftests
tree: ## assemble build/linux-6.12: source, patches, overlay
	@$(H)/tree.sh

kernel: tree ## the kernel under test (L1), build/kernel-plain
	@$(H)/kernel.sh plain

kernel-debug: tree ## the same with KASAN, lockdep, kmemleak, build/kernel-debug
	@$(H)/kernel.sh debug

kernel-off: tree ## the same with the option built out, build/kernel-off
	@$(H)/kernel.sh off

kernel-l2: tree ## the guest's kernel, build/kernel-l2
	@$(H)/kernel.sh l2

qemu: ## the patched QEMU, build/qemu/bin
	@$(H)/qemu.sh

selftests: tree ## the KVM selftests of this project, build/selftests
	@$(H)/selftests.sh $(STOCK)

tools: ## the kvmi command and its library, build/tools
	@$(H)/tools.sh

# --- running ----------------------------------------------------------------

.PHONY: boot
boot: $(if $(NOBUILD),,$(if $(DEBUG),kernel-debug,kernel) qemu) ## run CMD='...' in L1 as root; last line: exit N
	@$(H)/boot.sh $(or $(CPU),amd) "$$CMD"

.PHONY: l2 test debug-test demo bench
l2: kernel-l2 ## the guests: their kernel and initramfs, build/l2
	@$(H)/l2-initramfs.sh

# What the tests run on and what they run.
PARTS = qemu selftests tools l2

test: $(if $(NOBUILD),,kernel $(PARTS)) ## all tests on both vendors; last line: N passed, N failed, N skipped
	@$(H)/test.sh $(if $(CPU),$(CPU),host amd intel)

debug-test: $(if $(NOBUILD),,kernel-debug $(PARTS)) ## the tests on the debug kernel; a splat or a leak is a failure
	@DEBUG=1 $(H)/test.sh $(or $(CPU),amd)

bench: $(if $(NOBUILD),,kernel kernel-off qemu selftests) ## what it costs, in instructions: a table and build/bench.json
	@$(H)/bench.sh $(CPU)

demo: $(if $(NOBUILD),,kernel $(PARTS)) ## boot a Linux guest under QEMU and look into it with the tool
	@$(H)/demo.sh

# --- checking and handing on --------------------------------------------------

.PHONY: lint docs weight refresh series clean
lint: tree qemu ## what is wrong without running it; exit 0 only when nothing
	@$(H)/lint.sh $(CHECKS)

docs: tree ## the documentation as HTML; prints its path
	@$(H)/docs.sh

weight: ## lines that the patches add to existing files
	@$(H)/weight.sh

refresh: ## write the patches again from the commits in build/linux-6.12
	@$(H)/refresh.sh $(or $(BASE),linux-6.12)

series: tree ## the series to submit, build/series/linux-6.12/*.patch
	@$(H)/series.sh

clean: ## remove everything that was made (not what was downloaded)
	@! [ -d build ] || find build -mindepth 1 -maxdepth 1 ! -name src -exec rm -rf {} +
