#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run L1 under Bochs: emulated Intel VMX with EPT. Bochs loads no kernel by
# itself, so L1 boots from a CD image; it has no shared root, so everything the
# run needs is in the initramfs.
#
# usage: l0-bochs.sh LOGDIR KERNEL INITRD TIMEOUT
#   SMP  APPEND  BOCHS_MODEL  MEM (MiB, at most 2048)
# L1's serial lines go to LOGDIR/{console.log,out,results}; LOGDIR/ticks has
# the cost of the whole run in instructions.
# Exits 0 when L1 went down by itself, 124 when it ran out of time.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

LOGDIR=$1 KERNEL=$2 INITRD=$3 LIMIT=$4
CD=$LOGDIR/cd

image() {
	mkdir -p "$CD"
	cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$CD/"
	cp "$KERNEL" "$CD/bzImage"
	cp "$INITRD" "$CD/initrd.gz"
	# The TSC counts instructions, as does Bochs' clock (ips): said to be 3.5 GHz
	# by the model, it would make a second in L1 last fifty real ones.
	# Bochs reports an XSAVE size for AVX-512 that Linux does not believe. Its XSAVEC
	# and XSAVES store AVX registers 160 bytes too low, over the header, so that
	# XRSTOR faults; XSAVE and XSAVEOPT are right.
	# A CPU that idles in MWAIT misses wakeups there and sleeps until its next timer.
	printf '%s\n' 'DEFAULT l1' 'LABEL l1' 'KERNEL bzImage' 'INITRD initrd.gz' \
		"APPEND console=ttyS0,115200 panic=-1 oops=panic tsc=reliable lpj=1000000 idle=halt no_timer_check tsc_early_khz=100000 clearcpuid=avx512f,xsavec,xsaves kvm.introspection=1 ${APPEND:-}" \
		>"$CD/isolinux.cfg"
	genisoimage -quiet -J -R -o "$LOGDIR/boot.iso" -b isolinux.bin -c boot.cat \
		-no-emul-boot -boot-load-size 4 -boot-info-table "$CD"
	rm -rf "$CD"
}

configuration() {
	local n=0 line

	echo "display_library: term"
	echo "romimage: file=/usr/share/bochs/BIOS-bochs-latest"
	echo "vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest"
	# Host memory below the guest's would be paged to a file, far too slowly.
	echo "memory: guest=${MEM:-2048}, host=${MEM:-2048}"
	# As cores of one package: Linux finds Bochs' several packages inconsistent.
	echo "cpu: model=${BOCHS_MODEL:-corei7_skylake_x}, count=1:${SMP:-2}:1, ips=100000000, reset_on_triple_fault=0"
	echo "clock: sync=none"
	echo "ata0-master: type=cdrom, path=$LOGDIR/boot.iso, status=inserted"
	echo "boot: cdrom"
	for line in console.log out results; do
		n=$((n + 1))
		echo "com$n: enabled=1, mode=file, dev=$LOGDIR/$line"
	done
	echo "log: $LOGDIR/l0.log"
	echo "panic: action=fatal"
	echo "error: action=ignore"
	echo "info: action=report"
	echo "debug: action=ignore"
}

# Bochs does not end on SIGTERM, nor with its terminal.
end_bochs() { kill -KILL "$(cat "$LOGDIR/pid")" 2>/dev/null || :; }

# With its debugger Bochs draws on a pseudo-terminal of its own, if only a cursor
# that blinks, and stops for ever when nobody reads there.
read_screen() {
	local screen

	screen=$(sed -n 's/.*connected to screen "\(.*\)".*/\1/p' "$LOGDIR/screen")
	[ -n "$screen" ] || return 1
	{ stty raw -echo && exec cat; } <"$screen" >/dev/null 2>&1 &
}

# A kernel that panics reboots, and Bochs would boot it again and again.
watch() {
	local start=$SECONDS read=

	while kill -0 "$1" 2>/dev/null; do
		sleep 1
		[ -n "$read" ] || ! read_screen || read=1
		if [ $((SECONDS - start)) -ge "$LIMIT" ]; then
			touch "$LOGDIR/late"
			end_bochs
		elif grep -aq 'Kernel panic' "$LOGDIR/console.log"; then
			end_bochs
		fi
	done
}

need bochs bochs-term bochsbios isolinux syslinux-common genisoimage bsdutils
image
configuration >"$LOGDIR/bochsrc"
echo c >"$LOGDIR/debugger"
export TERM=xterm BXSHARE=/usr/share/bochs LOGDIR
# shellcheck disable=SC2016 # the shell that script starts expands it
script -qec 'echo $$ >"$LOGDIR/pid"; exec bochs -q -f "$LOGDIR/bochsrc" -rc "$LOGDIR/debugger"' \
	/dev/null </dev/null >"$LOGDIR/screen" 2>&1 &
terminal=$!
trap end_bochs EXIT
trap 'exit 143' INT TERM
watch $terminal
wait $terminal || :
sed -n 's/^0*\([0-9]*\)p.*soft power off.*/\1/p' "$LOGDIR/l0.log" >"$LOGDIR/ticks"
if [ -e "$LOGDIR/late" ]; then exit 124; fi
[ -s "$LOGDIR/ticks" ]
