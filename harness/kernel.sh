#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Configure and build one kernel from build/linux-6.12 in build/kernel-NAME.
#
# usage: kernel.sh NAME [make target...]
#   plain    L1: what the tests run on             off   plain without the option
#   debug    plain with every checker on           l2    the guest
#   modules  plain with KVM as modules, and
#   defconfig  KVM in the configuration of a distribution (both for lint)
#
# allnoconfig (or defconfig) plus the fragments of harness/configs; a symbol that a fragment
# asks for and that the result does not have is an error.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

NAME=${1:?usage: kernel.sh NAME [make target...]}
shift
O=$BUILD/kernel-$NAME
CONFIGS=$ROOT/harness/configs
LOG=${LOG:-$LOGS/kernel-$NAME.log}

kmake() { make -C "$TREE" O="$O" CC='ccache gcc' HOSTCC='ccache gcc' LOCALVERSION= "$@"; }

base=allnoconfig
case $NAME in
plain)   fragments=(l1 kvmi) targets=(bzImage) ;;
debug)   fragments=(l1 debug kvmi) targets=(bzImage) ;;
off)     fragments=(l1 off) targets=(bzImage) ;;
l2)      fragments=(l2) targets=(bzImage) ;;
modules) fragments=(l1 modules kvmi) targets=(vmlinux modules) ;;
defconfig) base=defconfig fragments=(distribution kvmi) targets=(arch/x86/kvm/) ;;
*)       die "kernel.sh: no kernel is called '$NAME' (plain, debug, off, l2, modules, defconfig)" ;;
esac
[ $# -eq 0 ] || targets=("$@")

configure() {
	local f

	mkdir -p "$O"
	for f in "${fragments[@]}"; do
		# Until the option exists there is nothing to switch on.
		[ "$f" != kvmi ] || [ -f "$TREE/virt/kvm/introspection/Kconfig" ] || continue
		cat "$CONFIGS/$f.config"
	done >"$O/fragments.new"
	if [ $base = allnoconfig ]; then
		KCONFIG_ALLCONFIG=$O/fragments.new kmake allnoconfig
	else
		kmake $base
		cat "$O/fragments.new" >>"$O/.config"
		kmake olddefconfig
	fi
}

# Symbols whose requested and final values differ. The last request counts.
lost_symbols() {
	awk -F= '
		FNR == NR { if (/^# CONFIG_.* is not set/) { split($0, w, " "); have[w[2]] = "n" }
			    else if (/^CONFIG_/) have[$1] = $2
			    next }
		/^CONFIG_/ { want[$1] = $2 }
		END { for (s in want)
			if ((s in have ? have[s] : "n") != want[s])
				print "  " s ": want " want[s] ", have " (s in have ? have[s] : "n")
		}' "$O/.config" "$O/fragments.new"
}

need build-essential bc bison flex libelf-dev ccache cpio xz-utils perl
locked "kernel-$NAME"
step "configure the $NAME kernel" "$LOG.config" configure
lost=$(lost_symbols)
[ -z "$lost" ] || die "the $NAME kernel's configuration lost symbols that harness/configs asks for:
$lost"
step "build the $NAME kernel (${targets[*]})" "$LOG" kmake -j"$JOBS" "${targets[@]}"
