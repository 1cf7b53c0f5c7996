#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run L1 under QEMU: TCG with emulated SVM, or real nested KVM.
#
# usage: l0-qemu.sh LOGDIR KERNEL INITRD TIMEOUT
#   ACCEL=kvm|tcg  SMP  MEM (MiB)  APPEND  ICOUNT=1
# L1's serial lines go to LOGDIR/{console.log,out,results}.
# Exits 0 when L1 went down by itself, 124 when it ran out of time.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

LOGDIR=$1 KERNEL=$2 INITRD=$3 LIMIT=$4
QEMU=$BUILD/qemu/bin/qemu-system-x86_64
if [ ! -x "$QEMU" ]; then
	need qemu-system-x86
	QEMU=qemu-system-x86_64
	say "warning: build/qemu does not exist (make qemu); using the system's QEMU as L0," \
	    "which loses a guest's INT3 under SVM"
fi

smp=${SMP:-2} tsc=
if [ "$ACCEL" = kvm ]; then
	machine=(-accel kvm -cpu host)
elif [ -n "${ICOUNT:-}" ]; then
	# RDTSC counts executed instructions: every figure is repeatable.
	machine=(-accel 'tcg,thread=single' -cpu 'EPYC-Milan,+svm,+npt,+invtsc'
		-icount 'shift=0,sleep=off' -rtc 'base=2026-01-01,clock=vm')
	smp=1
else
	machine=(-accel 'tcg,thread=multi' -cpu 'EPYC-Milan,+svm,+npt,+invtsc')
	# The TSC is this machine's. L1 measures its frequency, and is wrong by a factor
	# when its thread has to wait meanwhile; then all its times are. In a VM without
	# frequency scaling it is known.
	tsc=$(awk -F: '/^flags/ && / hypervisor/ && ! / aperfmperf/ { vm = 1 }
		/^cpu MHz/ { khz = $2 * 1000 }
		END { if (vm && khz) printf "tsc_early_khz=%d", khz }' /proc/cpuinfo)
fi

exec timeout --foreground -k 5 "$LIMIT" "$QEMU" -M q35 "${machine[@]}" \
	-smp "$smp" -m "${MEM:-2048}" -nodefaults -display none -vga none -no-reboot \
	-kernel "$KERNEL" -initrd "$INITRD" \
	-append "console=ttyS0,115200 panic=-1 oops=panic kvm.introspection=1 kvmi.root=9p $tsc ${APPEND:-}" \
	-serial "file:$LOGDIR/console.log" \
	-serial "file:$LOGDIR/out" \
	-serial "file:$LOGDIR/results" \
	-virtfs local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap \
	</dev/null >"$LOGDIR/l0.log" 2>&1
