#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What introspection costs, in instructions: amd under QEMU's icount, intel under
# Bochs, whose clock counts them, too. Prints a table, and writes
# build/bench.json. Exits 0 when every figure is within its limit.
#
# usage: bench.sh [CPU...]      amd and intel when none is named
#
# exit_unused compares build/kernel-plain with build/kernel-off, the same
# kernel with the option built out.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

BENCH=$BUILD/selftests/kvmi_bench
ROWS=$(mktemp "$BUILD/bench.XXXXXX")
UNUSED_LIMIT=8
NOTES=
trap 'rm -f "$ROWS"' EXIT

# run CPU KERNEL [ARGUMENT]: lines "name unit value limit".
# shellcheck disable=SC2317 # called by step
run() {
	local cpu=$1 kernel=$2 name=bench-$1-$2 icount='' one=''

	shift 2
	# One processor on both: with two, a wakeup costs what the other one idles.
	if [ "$cpu" = amd ]; then icount=1; else one=maxcpus=1; fi
	ICOUNT=$icount APPEND="$one ${APPEND:-}" KERNEL=$BUILD/kernel-$kernel/arch/x86/boot/bzImage RUN=$name QUIET=1 \
		TIMEOUT=${TIMEOUT:-1200} "$ROOT/harness/boot.sh" "$cpu" "$BENCH $*" \
		>"$LOGS/$name.log" 2>&1 || {
		cat "$LOGS/$name/out" "$LOGS/$name.log" >&2
		return 1
	}
	awk 'NF == 4 && $3 ~ /^[0-9]+$/' "$LOGS/$name/out"
}

value() { awk -v n="$1" '$1 == n { print $3 }'; }

bench() {
	local cpu=$1 plain off unused

	step "measure $cpu" "$LOGS/figures-$cpu" run "$cpu" plain
	plain=$(<"$LOGS/figures-$cpu")
	step "measure $cpu without the option" "$LOGS/figures-$cpu-off" run "$cpu" off --only-empty
	# Figures that this kind of processor does not have, and why.
	NOTES+=$(sed -n "s/^# no /$cpu: no /p" "$LOGS/bench-$cpu-plain/out")
	off=$(value empty_exit <"$LOGS/figures-$cpu-off")
	unused=$(($(value empty_exit <<<"$plain") - off))
	{
		echo "exit_unused ticks $((unused > 0 ? unused : 0)) $UNUSED_LIMIT"
		printf '%s\n' "$plain"
	} | sed "s/^/$cpu./" >>"$ROWS"
}

json() {
	awk 'BEGIN { print "[" }
		{ printf "%s  {\"name\": \"%s\", \"unit\": \"%s\", \"value\": %s, \"limit\": %s}",
			sep, $1, $2, $3, $4 == "-" ? "null" : $4; sep = ",\n" }
		END { print "\n]" }' "$ROWS"
}

[ -x "$BENCH" ] || die "$BENCH does not exist: run 'make selftests'"
[ $# -gt 0 ] || set -- amd intel
for cpu in "$@"; do bench "$cpu"; done
json >"$BUILD/bench.json"
awk 'BEGIN { printf "%-30s %12s %12s %-6s\n", "figure", "value", "limit", "unit" }
	{ over = $4 != "-" && $3 > $4
	  bad += over
	  printf "%-30s %12d %12s %-6s%s\n", $1, $3, $4, $2, over ? "  over its limit" : "" }
	END { exit bad > 0 }' "$ROWS" && over=0 || over=1
[ -z "$NOTES" ] || say "$NOTES"
say "       build/bench.json"
exit "$over"
