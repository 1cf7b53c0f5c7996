#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in L1: a real Linux guest (L2) under the patched QEMU, and the kvmi
# command at the other end of its socket. Every figure that the tool shows is
# compared with what L2 says about itself on its console. Prints TAP.
#
# usage: e2e.sh [SECONDS]   how long to follow CR3 writes (10; on intel 1)
#
# packs: /bin/bash harness/l2/guest.sh harness/l2/attach.sh harness/l2/break.sh
# packs: harness/l2/trace.sh harness/l2/watch.sh harness/l2/boot.sh
# packs: build/tools/kvmi build/l2/initramfs.gz build/kernel-l2/arch/x86/boot/bzImage
# packs: build/qemu/bin/qemu-system-x86_64 build/qemu/share/qemu

set -euo pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
SECONDS_TRACED=${1:-10} L2_APPEND=
# Bochs is slow, and slowest when address spaces change.
[ "${KVMI_CPU:-amd}" = amd ] || SECONDS_TRACED=${1:-1} L2_APPEND=rest_ms=20
for part in guest attach break trace watch boot; do
	# shellcheck source=harness/l2/guest.sh
	. "$ROOT/harness/l2/$part.sh"
done

PATCHED=$ROOT/build/qemu/bin/qemu-system-x86_64
SOCKET=$RUN/kvmi.sock
UUID=6a1f3c52-0d4b-4c8e-9d21-7b5e90c1a244
NAME='demo guest'
TEXT='written by the tool outside'

# introspected_guest NAME: one at a time.
introspected_guest() {
	start_guest "$1" "$PATCHED" -L "$ROOT/build/qemu/share/qemu" \
		-name "$NAME" -uuid $UUID \
		-chardev "socket,id=c,path=$SOCKET,reconnect=1" \
		-object introspection,id=kvmi,chardev=c
	check "L2 boots" await "$CONSOLE" 'L2: ready'
}

denies_nothing() { ! says denied; }

test_info() {
	ask info
	check "the handshake names the VM" says "^VM +$NAME\$"
	check "and its UUID" says "^UUID +$UUID\$"
	check "protocol version 1" says '^version +1$'
	check "as many vCPUs as L2 has" says "^vCPUs +$(fact cpus)\$"
	check "memory as given to QEMU" says '^memory up to +0x10000000 '
	check "L2's RAM ends below" within "$(($(fact ram-end)))" $((0x0f000000)) $((0x10000000))
	check "everything is allowed" says ' CREATE PAUSE '
	check "nothing is denied" denies_nothing
}

test_regs() {
	local entry

	entry=$(symbol entry_SYSCALL_64)
	ask "regs --msr 0xc0000082"
	check "registers of both vCPUs" same "$(grep -cE '^vCPU [01], ' <<<"$OUT")" 2
	check "their LSTAR is L2's system call entry" same \
		"$(grep -c "msr c0000082 ${entry#0x}" <<<"$OUT")" 2
}

test_banner() {
	local address banner

	address=$(symbol linux_banner) banner=$(fact banner)
	ask "translate $address"
	check "the banner's address is translated" says "^$address -> 0x[0-9a-f]+\$"
	ask "read $address ${#banner} --virtual"
	ask "read $address ${#banner} --virtual --output $RUN/banner"
	check "L2's kernel banner is read" same "$(cat "$RUN/banner")" "$banner"
}

test_write() {
	local address

	address=$(fact page)
	ask "read $address 64"
	ask "read $address 27 --output $RUN/marker"
	check "L2's page is read" same "$(cat "$RUN/marker")" "$(fact marker)"
	ask "write $address $(printf '%s\0' "$TEXT" | od -An -v -tx1 | tr -d ' \n')"
	check "L2 sees the write" await "$CONSOLE" "L2: marker $TEXT"
}

# passes LINE: how often L2 has changed its address space, from a line of its page.
passes() {
	local b

	read -r -a b <<<"$1"
	[ ${#b[@]} -gt 16 ] || return 0
	echo $((16#${b[8]}${b[7]}${b[6]}${b[5]}${b[4]}${b[3]}${b[2]}${b[1]} +
		16#${b[16]}${b[15]}${b[14]}${b[13]}${b[12]}${b[11]}${b[10]}${b[9]}))
}

test_pause() {
	local counters before after size

	counters="read $(printf '0x%x' $(($(fact page) + 64))) 16"
	ask "pause --keep"
	check "both vCPUs stand still" says '^paused 2 vCPUs'
	ask "$counters"
	before=$(passes "$OUT") size=$(wc -c <"$CONSOLE")
	sleep "$((SECONDS_TRACED > 2 ? 2 : 1))"
	ask "regs --vcpu 1"
	check "a paused vCPU answers" says '^vCPU 1, '
	ask "$counters"
	check "no progress in memory" same "$(passes "$OUT")" "$before"
	check "nothing on the console" same "$(wc -c <"$CONSOLE")" "$size"
	ask resume
	check "L2 goes on" beats_on
	ask "$counters"
	after=$(passes "$OUT")
	check "and its memory says so" within "$after" $((before + 1)) $((before + 1000000))
}

trap finish EXIT
introspected_guest introspected
open_tool listen "$SOCKET"
test_info
test_regs
test_banner
test_write
test_pause
test_trace
test_break
test_watch_tables
check "the session ends in order" close_tool
test_killed_tool
check "QEMU is still there" kill -0 "$PID"
check "L2's kernel has not complained" no_complaint
stop_guest
watch_boot introspected_guest patching
open_tool listen "$SOCKET"
test_watch_code
check "this session ends in order, too" close_tool
stop_guest
attach_tests
