#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run the tests of harness/tests.list: TAP for each, and as the last line
# "N passed, N failed, N skipped". Exits 0 when nothing failed; a skip that
# harness/skips.list does not allow is a failure.
#
# usage: test.sh [LANE...]      host amd intel; all of them when none is named
#   T=glob   only tests with such a name      DEBUG=1  on the debug kernel

set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || set -- host amd intel
LANES=" $* "
WORK=$(mktemp -d "$BUILD/test.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
cd "$ROOT"

# One line "name, seconds, command" per test in a file per lane.
read_list() {
	local lane seconds name command program l

	while read -r lane seconds name command; do
		[[ $lane != both* ]] || lane="amd${lane#both} intel${lane#both}"
		for l in $lane; do
			[[ $LANES == *" ${l%%:*} "* ]] || continue
			if [[ $name != *'*'* ]]; then
				add "$l" "$seconds" "$name" "$command"
				continue
			fi
			for program in $command; do
				[ -x "$program" ] || die "tests.list: no program matches $command"
				add "$l" "$seconds" "${name/\*/$(basename "$program")}" "$program"
			done
		done
	done < <(sed -e '/^#/d' -e '/^[[:space:]]*$/d' harness/tests.list)
}

add() {
	# shellcheck disable=SC2053 # T is a pattern
	[[ $3 == ${T:-*} ]] || return 0
	printf '%s\t%s\t%s\n' "$3" "$2" "$4" >>"$WORK/lane.$1"
}

host_lane() {
	local name seconds command log status began

	mkdir -p "$LOGS/test-host"
	while IFS=$'\t' read -r name seconds command; do
		log=$LOGS/test-host/$name.log status=0 began=$SECONDS
		timeout -k 5 "$seconds" bash -c "$command" >"$log" 2>&1 </dev/null || status=$?
		awk -v status=$status -f harness/tap.awk "$log" | sed "s|^\([a-z]*\) |\1 $name |"
		echo "test $name $((SECONDS - began)) $log"
	done <"$1"
}

# Prefix what a lane says with its name: the lines of lanes are mixed.
run_lane() {
	local lane=$1 file=$2 cpu parameters

	cpu=${lane%%:*} parameters=${lane#"$cpu"}
	if [ "$cpu" = host ]; then
		host_lane "$file"
	else
		harness/lane.sh "$cpu" "${parameters#:}" "$file" </dev/null
	fi | sed -u "s|^|${DEBUG:+debug-}$lane |"
}

# The lanes of one CPU share nothing with those of the other but this machine.
run_lanes() {
	local cpu file

	for cpu in host amd intel; do
		for file in "$WORK/lane.$cpu"*; do
			[ ! -e "$file" ] || run_lane "${file##*/lane.}" "$file"
		done &
	done
	wait
}

# skips.list: lane, test and result are patterns. What the test gives as its reason is
# no part of the result.
skip_allowed() {
	local lane test result name=${3%% # *}

	while read -r lane test result _; do
		# shellcheck disable=SC2053
		[[ $1 != $lane || $2 != $test || $name != $result ]] || return 0
	done < <(sed -e '/^#/d' -e '/^[[:space:]]*$/d' harness/skips.list)
	return 1
}

number=0 passed=0 failed=0 skipped=0
# Results by "lane name" since the last "test" line for it.
declare -A ok=() skips=() bad=()

count() {
	local lane=$1 word=$2 name=$3 text=$4 key="$1 $3"

	case $word in
	pass)
		ok[$key]=$((${ok[$key]:-0} + 1)) ;;
	skip)
		if skip_allowed "$lane" "$name" "$text"; then
			skips[$key]=$((${skips[$key]:-0} + 1))
		else
			bad[$key]+="# skipped, and harness/skips.list does not allow it: $text"$'\n'
		fi ;;
	fail)
		bad[$key]+="# $text"$'\n' ;;
	test)
		report "$key" "$text" ;;
	*)
		echo "# $lane: $word $name $text" ;;
	esac
}

report() {
	local key=$1 seconds=${2%% *} log=${2#* } p=${ok[$1]:-0} s=${skips[$1]:-0} f=0 verdict=ok

	[ -z "${bad[$key]:-}" ] || { f=$(grep -c . <<<"${bad[$key]}"); verdict='not ok'; }
	number=$((number + 1)) passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	echo "$verdict $number - $key ($p passed, $f failed, $s skipped; $seconds s)"
	[ "$f" = 0 ] || { printf '%s# log: %s\n' "${bad[$key]}" "$log"; show_output "${key#* }" "$log" || :; }
	unset "ok[$key]" "skips[$key]" "bad[$key]"
}

read_list
echo "TAP version 13"
mkfifo "$WORK/results"
# In a process group of their own, so that all of it can be ended at once.
set -m
run_lanes >"$WORK/results" &
lanes=$!
set +m
trap 'kill -- -$lanes; exit 130' INT TERM
while read -r lane word name text; do
	count "$lane" "$word" "$name" "$text"
done <"$WORK/results"
trap - INT TERM
# A lane that broke off reported results but not the end of its test.
for key in "${!bad[@]}" "${!ok[@]}"; do
	bad[$key]+="# the lane ended in the middle"$'\n'
	report "$key" "- $LOGS"
done
echo "1..$number"
[ $number -gt 0 ] || { say "error: no test matches T=${T:-*}"; failed=1; }
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
