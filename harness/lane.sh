#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run tests in one kind of L1 and report each result as it comes.
#
# usage: lane.sh CPU PARAMETERS LIST
#   PARAMETERS  more kernel parameters, separated by commas, or nothing
#   LIST        a file of lines: name, seconds, command (separated by tabs)
# Prints lines "pass|skip|fail NAME TEXT" and, after those of one test,
# "test NAME SECONDS LOGDIR".
#
# All tests share one boot. If L1 dies or hangs, the test that ran has failed,
# and another boot goes on with the next one: no test is run twice.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

CPU=$1 PARAMETERS=$2 LIST=$3
LANE=$CPU${PARAMETERS:+:$PARAMETERS}
WORK=$(mktemp -d "$BUILD/lane.XXXXXX")
LEFT=$WORK/left
BOOT=0

# How much longer than on amd things may take; L1's clock is about as fast as
# the real one.
FACTOR=1
[ "$CPU" != intel ] || FACTOR=4
[ -z "${DEBUG:-}" ] || FACTOR=$((FACTOR * 4))
PATIENCE=$((180 * FACTOR))

# What happens at random does so for long on the debug kernel, but for Bochs, where a
# second takes minutes.
[ -z "${DEBUG:-}" ] || [ "$CPU" = intel ] || export KVMI_SECONDS=${KVMI_SECONDS:-300}

cleanup() {
	[ -z "${PID:-}" ] || kill "$PID" 2>/dev/null || :
	rm -rf "$WORK"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

start_boot() {
	local total

	BOOT=$((BOOT + 1))
	RUN=test-${LANE//[:\/]/-}${DEBUG:+-debug}-$BOOT
	rm -rf "$WORK/job" "${LOGS:?}/$RUN"
	mkdir "$WORK/job"
	cp "$ROOT"/harness/{l1-tests.sh,tap.awk} "$WORK/job/"
	awk -F'\t' -v OFS='\t' -v f=$FACTOR '{ $2 *= f; print }' \
		"$LEFT" >"$WORK/job/tests"
	total=$(awk -F'\t' -v f=$FACTOR '{ s += $2 * f } END { print s }' "$LEFT")
	JOB=$WORK/job RUN=$RUN QUIET=1 TIMEOUT=$((total + PATIENCE)) WORDS=$(cut -f 3 "$LEFT") \
		APPEND="${PARAMETERS//,/ } ${APPEND:-}" \
		"$ROOT/harness/boot.sh" "$CPU" '/run/job/busybox sh /run/job/l1-tests.sh' \
		>"$WORK/boot.out" 2>&1 &
	PID=$!
	current='' exit='' ended=0 dirty=0 why='L1 went down' limit=$PATIENCE
}

result() {
	local word name text

	read -r word name text <<<"$1"
	case $word in
	start)
		current=$name
		limit=$(awk -F'\t' -v n="$name" -v f=$FACTOR '$1 == n { print $2 * f + 60 }' "$LEFT") ;;
	r)
		read -r word text <<<"$text"
		echo "$word $name $text" ;;
	end)
		finish "$name" "$text" ;;
	splat | leak | L1:)
		dirty=1
		echo "fail kernel-log $1" ;;
	exit)
		exit=$name ;;
	esac
}

finish() {
	echo "test $1 $2 $LOGS/$RUN"
	awk -F'\t' -v n="$1" '$1 != n' "$LEFT" >"$LEFT.new"
	mv "$LEFT.new" "$LEFT"
	current='' limit=$PATIENCE ended=$((ended + 1))
}

# Pass on what L1 reports, line by line, until it is down or silent too long.
follow() {
	local read=0 line alive=1 since=$SECONDS

	while [ $alive = 1 ]; do
		kill -0 "$PID" 2>/dev/null || alive=0
		while IFS= read -r line; do
			read=$((read + 1)) since=$SECONDS
			result "$line"
		done < <(tail -n "+$((read + 1))" "$LOGS/$RUN/results" 2>/dev/null)
		if [ $alive = 1 ] && [ $((SECONDS - since)) -gt "$limit" ]; then
			kill "$PID"
			why="L1 reported nothing for $((SECONDS - since)) s"
			alive=0
		fi
		[ $alive = 0 ] || sleep 0.3
	done
	wait "$PID" || :
	PID=
}

conclude() {
	if [ -n "$current" ]; then
		echo "fail $current $why while it ran (console.log: L1's kernel)"
		finish "$current" -
	elif [ -z "$exit" ] && [ $ended = 0 ]; then
		sed 's/^/# /' "$WORK/boot.out"
		echo "fail boot $why before the first test"
		cut -f 1 "$LEFT" | sed 's/.*/fail & was not run/'
		: >"$LEFT"
	fi
	if [ -n "$exit" ] && [ $dirty = 0 ]; then
		echo "pass kernel-log no complaint, no leak"
	elif [ $dirty = 0 ]; then
		echo "fail kernel-log $why before its log was read"
	fi
	echo "test kernel-log - $LOGS/$RUN"
}

cp "$LIST" "$LEFT"
while [ -s "$LEFT" ]; do
	start_boot
	follow
	conclude
done
