#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in L1: two real Linux guests (L2). In one runs the tool. The QEMU of the other one
# connects to it over vsock, so that it introspects this guest and maps a page of its
# memory. Both say on their consoles, or on a serial line, what they see; that is
# compared. Prints TAP.

set -euo pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
L2_APPEND=
for part in guest attach; do
	# shellcheck source=harness/l2/guest.sh
	. "$ROOT/harness/l2/$part.sh"
done

QEMU=("$ROOT/build/qemu/bin/qemu-system-x86_64" -L "$ROOT/build/qemu/share/qemu")
NAME='watched guest'
CID=4 PORT=4711
LISTEN="vsock:$PORT"
TOOL_VM=
OWN="a page of the tool's own VM"
WRITTEN='written through a mapping'

# The shell of the tool's VM has the other ends of these pipes.
start_tool_vm() {
	mkfifo "$RUN/line.in" "$RUN/line.out"
	start_guest tool "${QEMU[@]}" -smp 1 -initrd "$ROOT/build/l2/tool.gz" \
		-device "vhost-vsock-pci,guest-cid=$CID" \
		-chardev "pipe,id=line,path=$RUN/line" -serial chardev:line
	exec {TOOL_IN}<>"$RUN/line.in" {TOOL_OUT}<>"$RUN/line.out"
	check "the tool's VM boots" await "$CONSOLE" 'L2: ready'
	TOOL_VM=$PID TOOL_CONSOLE=$CONSOLE PID=
}

# start_target NAME: the guest that is introspected.
start_target() {
	start_guest "$1" "${QEMU[@]}" -name "$NAME" \
		-chardev "socket,id=c,cid=$CID,port=$PORT,reconnect=1" \
		-object introspection,id=kvmi,chardev=c
	check "the other guest boots" await "$CONSOLE" 'L2: ready'
	PAGE=$(fact page)
}

# in_vm COMMAND: in the tool's VM; $OUT, and whether it succeeded.
in_vm() {
	ask "$1"
	says '^exit 0$'
}

# said KEY: what the tool said about it.
said() { sed -n "s/^$1 //p" <<<"$OUT"; }

test_session() {
	local entry

	check "a tool in a VM is connected" in_vm "kvmi listen $LISTEN --wait $PATIENCE info"
	check "with this guest" says "^VM +$NAME\$"
	check "as many vCPUs as it has" says "^vCPUs +$(fact cpus)\$"
	entry=$(symbol entry_SYSCALL_64)
	check "QEMU connects again" in_vm \
		"kvmi listen $LISTEN --wait $PATIENCE regs --msr 0xc0000082"
	check "the registers are this guest's" same \
		"$(grep -c "msr c0000082 ${entry#0x}" <<<"$OUT")" "$(fact cpus)"
}

test_mapping() {
	local marker

	marker=$(fact marker)
	check "a tool maps a page of the other guest" in_vm "mapper $LISTEN $PAGE"
	check "it holds what this guest says" same "$(said marker)" "$marker"
	check "what is read from it is never old" same "$(said in-step)" 200
	check "it changes while nobody asks for it" same "$(said changes)" 200
	check "what is written to it is in the guest's memory" same "$(said read-back)" "$WRITTEN"
	check "and the guest sees it" await "$CONSOLE" "L2: marker $WRITTEN"
	check "the guest answers to questions in it" same "$(said answers)" 100
	check "and has counted them" await "$CONSOLE" 'L2: answers 100 100'
	check "a token cannot be used again" same "$(said token-again)" ENOENT
	check "unmapped, the page is the VM's own" same "$(said own)" "$OWN"
	check "and no longer the guest's" same "$(said theirs)" "$WRITTEN"
	check "the library maps it, too" same "$(said library)" "$WRITTEN"
	check "with the session ends the mapping" same "$(said after-close)" "$OWN"
	check "the guest goes on" beats_on
}

# A tool that has the page and waits, in the background.
hold_page() {
	in_vm "mapper $LISTEN $PAGE hold >/tmp/$1 2>&1 & until grep -qE 'held|failed' /tmp/$1; do sleep 0.2; done; cat /tmp/$1" &&
		same "$(said held)" "$(fact marker)"
}

test_end_of_tool() {
	check "another tool has the page mapped" hold_page first
	# shellcheck disable=SC2016 # that shell expands it
	in_vm 'kill -KILL $!; wait' || :
	check "the guest survives a tool that is killed" beats_on
}

test_end_of_guest() {
	check "its page can be mapped again" hold_page second
	check "the guest's kernel has not complained" no_complaint
	kill -KILL "$PID"
	wait "$PID" 2>/dev/null || :
	PID=
	check "the tool survives the guest" in_vm 'wait; cat /tmp/second'
	check "and has its own page back" same "$(said lost)" "$OWN"
}

test_end_of_tool_vm() {
	start_target next
	check "the page of the next guest is mapped" hold_page third
	check "the kernel of the tool's VM has not complained" \
		no_complaint "$TOOL_CONSOLE"
	kill -KILL "$TOOL_VM"
	wait "$TOOL_VM" 2>/dev/null || :
	TOOL_VM=
	check "this guest survives the tool's VM" beats_on
	check "and is free for another tool" comes_true run_tool attach --pid "$PID" info
	check "its kernel has not complained" no_complaint
}

# comes_true COMMAND: it succeeds some time.
comes_true() {
	local i

	for ((i = 0; i < PATIENCE; i++)); do
		! "$@" || return 0
		sleep 1
	done
	return 1
}

finish_both() {
	if [ -n "$PID" ] && [ "$PID" != "$TOOL_VM" ]; then
		stop_guest
	fi
	PID=$TOOL_VM
	finish
}

trap finish_both EXIT
start_tool_vm
start_target target
test_session
test_mapping
test_end_of_tool
test_end_of_guest
test_end_of_tool_vm
