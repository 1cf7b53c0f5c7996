#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in L1: `kvmi dump`, `strings` and `read --way` with a real Linux guest (L2). What
# they tell of its memory is compared with what QEMU saves of it, and with what L2 says
# itself. It has memory below and above a hole, and QEMU's monitor is at hand. Prints TAP.
#
# packs: /bin/bash /usr/bin/cmp harness/l2/guest.sh harness/l2/qmp.sh harness/l2/ways.sh
# packs: harness/l2/policy.sh harness/l2/attach.sh build/tools/kvmi build/l2/initramfs.gz
# packs: build/kernel-l2/arch/x86/boot/bzImage
# packs: build/qemu/bin/qemu-system-x86_64 build/qemu/share/qemu

set -euo pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
TMPDIR=$(mktemp -d "${TMPDIR:-/run}/dump.XXXXXX")
export TMPDIR
L2_APPEND=
for part in guest attach qmp ways policy; do
	# shellcheck source=harness/l2/guest.sh
	. "$ROOT/harness/l2/$part.sh"
done

PATCHED=$ROOT/build/qemu/bin/qemu-system-x86_64
SOCKET=$RUN/kvmi.sock
UUID=2c9d7f10-63be-4f2a-8e05-b1d4a7c3960f
LOW=0x4000000 HIGH=0x100000000 END=0x102000000
DUMP=$RUN/memory

start() {
	make_qmp
	start_guest dumped "$PATCHED" -L "$ROOT/build/qemu/share/qemu" \
		-M "pc,max-ram-below-4g=$((LOW))" -m $(((LOW + END - HIGH) >> 20)) -uuid $UUID \
		-chardev "socket,id=c,path=$SOCKET,reconnect=1" "${QMP[@]}"
	check "QEMU's monitor answers" open_qmp
	check "L2 boots" await "$CONSOLE" 'L2: ready'
	check "it has memory above the hole" same "$(fact ram-end)" $END
	PAGE=$(fact page)
	check "its page is there" within "$((PAGE))" $((HIGH)) $((END - 1))
}

# In JSON: the ranges of a dump, and one of its figures.
ranges() {
	grep -oE '"address": *"0x[0-9a-f]+", *"size": *[0-9]+' <<<"$OUT" |
		sed 's/.*"\(0x[0-9a-f]*\)".* *: *\([0-9]*\)$/\1 \2/' | join
}
figure() { sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" <<<"$OUT"; }

size() { stat -c %s "$1"; }
on_disk() { echo $(($(stat -c '%b * %B' "$1"))); }
identity() { stat -c '%i %s %y' "$1"; }
# bytes FILE ADDRESS SIZE
bytes() { dd if="$1" bs=1 skip=$(($2)) count="$3" 2>/dev/null; }

test_dump() {
	local marker

	marker=$(fact marker)
	check "QEMU stops L2" qmp stop
	MEMORY=$(kvm_memory)
	note "what KVM has of its memory:"
	note "    ${MEMORY//$'\n'/$'\n#     '}"
	check "QEMU saves its memory" save_memory
	check "kvmi attach dumps it" run_tool --json attach --pid "$PID" dump "$DUMP"
	check "all that KVM has, and nothing else" same "$(ranges)" "$MEMORY"
	check "every byte is the one that QEMU has" saved_in "$DUMP"
	check "L2's page is there" same "$(bytes "$DUMP" "$PAGE" ${#marker})" "$marker"
	check "it was mapped by the VM's file" says '"way": *"vm"'
	check "the dump is as long as memory reaches" same "$(size "$DUMP")" $((END))
	check "and takes what was written" same "$(on_disk "$DUMP")" "$(figure written)"
	check "pages of zeros are left out" within "$(figure written)" $((1 << 20)) \
		$(($(figure memory) * 3 / 4))
	check "only its owner can read it" same "$(stat -c %a "$DUMP")" 600
}

# From the last page below the hole to the first page above; QEMU's ROM ends where that
# begins.
test_hole() {
	local rom

	rom=$((HIGH - $(sed -n '$s/ .*//p' <<<"$MEMORY")))
	check "a dump across the hole" attached dump "$DUMP.hole" \
		--range "$(printf '0x%x-0x%x' $((LOW - 4096)) $((HIGH + 4096)))"
	check "is as long as that" same "$(size "$DUMP.hole")" $((HIGH + 4096))
	check "the hole takes nothing" within "$(on_disk "$DUMP.hole")" 4096 $((rom + 8192))
	check "a range in the hole" fails "no memory from $LOW on in this range" \
		attached dump "$DUMP.none" --range "$(printf '0x%x-0x%x' $((LOW)) $((LOW + 0x100000)))"
	check "a range behind all memory" fails "no memory from $END on\$" \
		attached dump "$DUMP.none" --range "$END"
	check "no file is left" gone "$DUMP.none"
}

test_files() {
	local before

	before=$(identity "$DUMP")
	check "a file that exists" fails 'the file exists; --force replaces it' attached dump "$DUMP"
	check "is left as it was" same "$(identity "$DUMP")" "$before"
	mkdir "$RUN/small"
	mount -t tmpfs -o size=2M tmpfs "$RUN/small"
	check "a full disk" fails 'no space is left after 2.*; nothing was kept' \
		attached dump "$RUN/small/memory"
	check "nothing is left there" gone "$RUN/small/memory"
	umount "$RUN/small"
	check "--force replaces a file" attached dump "$DUMP" --force "${RANGE[@]}"
	check "with the same bytes" saved_in "$DUMP"
	rm -f "$DUMP" "$DUMP.hole"
}

clean_up() {
	[ -z "$PID" ] || stop_guest
	finish_counting
	umount "$RUN/small" 2>/dev/null || :
	# What it shows is needed until then.
	(finish) || failed=1
	rm -rf "$RUN"
	[ "$failed" = 0 ] || exit 1
}

trap clean_up EXIT
start
begin_counting
test_dump
test_hole
look_at_less
test_files
test_attach_ways
test_little_room
test_policy
check "QEMU lets L2 go on" qmp cont
check "L2 goes on" beats_on
test_paused
test_strings
check "L2 goes on after all this" beats_on
check "L2's kernel has not complained" no_complaint
stop_guest
