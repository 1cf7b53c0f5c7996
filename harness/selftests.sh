#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build this project's KVM selftests from build/linux-6.12 with the kernel's own
# selftest Makefile, and install them in build/selftests.
#
# usage: selftests.sh [stock test...]     such as x86_64/cpuid_test

set -euo pipefail
. "$(dirname "$0")/lib.sh"

O=$BUILD/selftests-obj
HEADERS=$BUILD/kernel-plain/usr
MK=$TREE/tools/testing/selftests/kvm/kvmi/kvmi.mk
DEST=$BUILD/selftests

# The tests see the kernel's headers of the assembled tree, not the system's.
headers() {
	make -C "$TREE" O="$BUILD/kernel-plain" LOCALVERSION= headers
}

build() {
	make -C "$TREE/tools/testing/selftests/kvm" OUTPUT="$O" CC='ccache gcc' \
		INSTALL_HDR_PATH="$HEADERS" KHDR_INCLUDES="-isystem $HEADERS/include" \
		-j"$JOBS" "${programs[@]/#/$O/}"
}

need build-essential ccache
programs=("$@")
if [ -f "$MK" ]; then
	mapfile -t -O $# programs < <(sed -n -E 's/^TEST_GEN_PROGS(_EXTENDED)?_x86_64 \+= //p' "$MK")
fi
[ ${#programs[@]} -gt 0 ] || { say "       no selftests yet"; exit 0; }

locked kernel-plain
mkdir -p "$O/kvmi" "$DEST"
step "export the kernel's headers" "$LOGS/headers.log" headers
step "build ${#programs[@]} selftests" "$LOGS/selftests.log" build

# A test that no longer exists must not be found any more.
for f in "$DEST"/*; do
	[[ " ${programs[*]##*/} " == *" ${f##*/} "* ]] || rm -f "$f"
done
for p in "${programs[@]}"; do
	cmp -s "$O/$p" "$DEST/${p##*/}" || install -m 755 "$O/$p" "$DEST/"
done
say "       build/selftests: ${programs[*]##*/}"
