# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by e2e.sh, two.sh and dump.sh: guests, tool, result. Needs bash and busybox.

RUN=${TMPDIR:-/run}
KVMI=$ROOT/build/tools/kvmi
KERNEL=${L2_KERNEL:-$ROOT/build/kernel-l2/arch/x86/boot/bzImage}
INITRD=$ROOT/build/l2/initramfs.gz
PATIENCE=${PATIENCE:-120}
DONE='<done>'

count=0 failed=0 guests=() PID=

note() { printf '# %s\n' "$*"; }

# check NAME COMMAND...: a line of the result. What is asked of L2 is compared
# with what L2 says itself, so a fact that is missing fails, too.
check() {
	local name=$1

	shift
	count=$((count + 1))
	if "$@"; then
		printf 'ok %d - %s\n' $count "$name"
	else
		printf 'not ok %d - %s\n' $count "$name"
		note "failed: $*"
		failed=$((failed + 1))
	fi
}

same() { [ -n "$1" ] && [ "$1" = "$2" ]; }
within() { [ -n "$1" ] && [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]; }
says() { grep -qE -- "$1" <<<"$OUT"; }
# await FILE PATTERN: until a line appears.
await() {
	local i

	for ((i = 0; i < PATIENCE * 10; i++)); do
		! grep -qE -- "$2" "$1" 2>/dev/null || return 0
		! grep -q 'L2: failed' "$1" || break
		kill -0 "$PID" 2>/dev/null || break
		sleep 0.1
	done
	note "waited in vain for '$2' in $1; its end:"
	tail -n 5 "$1" | sed 's/^/#   /'
	return 1
}

# start_guest NAME QEMU ARGUMENT...: a guest in the background, with its console
# in $CONSOLE and its process in $PID.
start_guest() {
	local name=$1 qemu=$2

	shift 2
	CONSOLE=$RUN/$name.console
	: >"$CONSOLE"
	"$qemu" -accel kvm -cpu host -smp 2 -m 256 -nodefaults -display none -no-reboot \
		-kernel "$KERNEL" -initrd "$INITRD" \
		-append "console=ttyS0 panic=-1 oops=panic $L2_APPEND" \
		-serial "file:$CONSOLE" "$@" </dev/null >"$RUN/$name.qemu" 2>&1 &
	PID=$!
	guests+=("$name")
}

stop_guest() {
	local status=0

	kill "$PID" 2>/dev/null || note "QEMU ended by itself"
	wait "$PID" || status=$?
	note "QEMU's exit status: $status"
	PID=
}

# fact KEY: what L2 said last about KEY. \r ends the lines of a console.
fact() { sed -n "s/\r$//; s/^.*L2: $1 //p" "$CONSOLE" | tail -n 1; }
symbol() { fact "symbol $1"; }
beats() { fact beat; }

# beats_on: L2 makes progress.
beats_on() {
	local before i

	before=$(beats)
	for ((i = 0; i < PATIENCE * 10; i++)); do
		[ "$(beats)" = "$before" ] || return 0
		kill -0 "$PID" 2>/dev/null || break
		sleep 0.1
	done
	return 1
}

# open_tool ARGUMENT...: a batch that `ask` drives.
open_tool() {
	coproc TOOL { exec "$KVMI" "$@" batch - --mark "$DONE" 2>&1; }
	TOOL_IN=${TOOL[1]} TOOL_OUT=${TOOL[0]} TOOL_PROCESS=$TOOL_PID
}

# ask LINE...: commands of the batch, without a pause between them; what they say
# is shown, and is in $OUT. When the tool is gone, $OUT stays empty, and what is
# checked next fails.
ask() {
	local line

	OUT=
	for line in "$@"; do
		{ echo "$line" >&"$TOOL_IN"; } 2>/dev/null || note "the tool is gone"
	done
	note "> $1"
	while { IFS= read -r -t "$PATIENCE" line <&"$TOOL_OUT"; } 2>/dev/null; do
		if [ "$line" = "$DONE" ]; then
			shift
			[ $# -gt 0 ] || return 0
			note "> $1"
			continue
		fi
		case $line in "kvmi: waiting"*) continue ;; esac
		note "    $line"
		OUT+=$line$'\n'
	done
	note "the tool ended, or did not answer in time"
}

close_tool() {
	exec {TOOL_IN}>&-
	wait "$TOOL_PROCESS"
}

# run_tool ARGUMENT...: one command line of its own; $OUT and $STATUS.
run_tool() {
	note "\$ kvmi $*"
	STATUS=0
	OUT=$("$KVMI" "$@" 2>&1 </dev/null) || STATUS=$?
	printf '%s\n' "$OUT" | sed 's/^/#     /'
	[ $STATUS = 0 ]
}

# Runs when the script ends, wherever that is: all consoles, which the caller
# outside of L1 takes apart, and the plan.
finish() {
	local name

	[ -z "$PID" ] || stop_guest
	for name in "${guests[@]}"; do
		sed "s/\r$//; s/^/console $name|/" "$RUN/$name.console" "$RUN/$name.qemu"
	done
	echo "1..$count"
	[ $failed = 0 ] || exit 1
}
