#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make demo: a Linux guest (L2) under QEMU in L1, and what the tool sees of it.
# It is the end-to-end test, told for people: each figure is compared with what
# L2 itself says, and the exit status is 0 only if all agree.
#
# usage: demo.sh [CPU]

set -euo pipefail
. "$(dirname "$0")/lib.sh"

CPU=${1:-amd}
DIR=$LOGS/demo

# The other QEMU of the demo: one that knows nothing of introspection.
need qemu-system-x86
mkdir -p "$DIR"
say "L1 boots; in it a Linux guest (L2) boots under QEMU: half a minute and more"
status=0
RUN=demo TIMEOUT=${TIMEOUT:-900} "$ROOT/harness/boot.sh" "$CPU" \
	"$ROOT/harness/l2/e2e.sh${L2_ARGS:+ $L2_ARGS}" |
	awk -v dir="$DIR" -f "$ROOT/harness/l2/show.awk" || status=$?

say "L2's consoles: $DIR/L2-*.log"
if [ $status -ne 0 ]; then
	die "the demo failed (status $status): see the lines that begin with FAILED, and $DIR"
fi
say "all that was shown agrees with what L2 says"
