#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# cli.sh KVMI FAKE_VM: what kvmi does without KVM: usage, help, exit status,
# and each command against a VM that fake_vm plays.
set -euo pipefail

KVMI=$(realpath "$1")
FAKE=$(realpath "$2")
HERE=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
cd "$DIR"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}

count=0 failed=0

# result STATUS NAME: one TAP line; 0 is good.
result() {
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
		sed 's/^/# /' out err | head -n 60
		failed=$((failed + 1))
	fi
}

# expect NAME CONDITION...: a command that must succeed.
expect() {
	local name=$1
	shift
	if "$@"; then result 0 "$name"; else result 1 "$name"; fi
}

# absent PATTERN: it is not in the output.
absent() { ! grep -qE -- "$1" out; }

# exited STATUS PATTERN: the last run's status, and what it said.
exited() { [ "$status" = "$1" ] && grep -qE -- "$2" out err; }

# run ARGS...: status, out and err.
run() { status=0; "$KVMI" "$@" >out 2>err </dev/null || status=$?; }

# usage TEXT ARGS...: wrong usage is told on stderr with status 2, before
# anything is connected.
usage() {
	local text=$1 good=1
	shift
	run "$@"
	if [ "$status" = 2 ] && [ ! -s out ] && grep -qF -- "$text" err; then good=0; fi
	result $good "usage: kvmi $*"
}

# vm STATUS NAME PATTERN ARGS...: ARGS against the fake VM, which must be left
# in order, with PATTERN in the output.
vm() {
	local want=$1 name=$2 pattern=$3 pid left=0 good=1
	shift 3
	"$FAKE" s "${played[@]}" & pid=$!
	status=0
	"$KVMI" "${json[@]}" listen s --wait 10 --timeout 5 "$@" >out 2>err || status=$?
	wait $pid || left=$?
	if exited "$want" "$pattern" && [ $left = 0 ] && [ ! -e s ]; then good=0; fi
	echo "(status $status, fake_vm $left)" >>err
	result $good "$name"
}

# Options of kvmi, and of fake_vm.
json=() played=()
# shellcheck disable=SC1091
. "$HERE/usage.sh"
# shellcheck disable=SC1091
. "$HERE/commands.sh"
# shellcheck disable=SC1091
. "$HERE/pause.sh"
# shellcheck disable=SC1091
. "$HERE/trace.sh"
# shellcheck disable=SC1091
. "$HERE/debug.sh"
# shellcheck disable=SC1091
. "$HERE/watch.sh"
# shellcheck disable=SC1091
. "$HERE/memory.sh"

echo "1..$count"
[ $failed = 0 ]
