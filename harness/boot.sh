#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Boot L1 and run one command in it as root; show its output, then the kernel
# complaints it caused, then `exit N`. N is 70 when the command succeeded but
# the kernel complained (or leaked), 71 when L1 died, 124 when time ran out.
#
# usage: boot.sh CPU COMMAND
#   FILES='…'   what else the command needs where L1 has no shared root (Bochs)
#   DEBUG=1 KERNEL=/path ICOUNT=1 TIMEOUT=seconds SMP= MEM= APPEND= ACCEL=kvm|emu
#   RUN=name    name of the directory under build/logs
#   QUIET=1     do not repeat the command's output
#   JOB=dir     files to have in /run/job; WORDS='…' more words like COMMAND's
# The command sees KVMI_ROOT (the repository), KVMI_CPU, and KVMI_SEED and KVMI_SECONDS
# where they are set: what tests begin with that are random, and how long they go on.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

CPU=$1 COMMAND=$2
RUN=${RUN:-boot-$CPU-$(date +%H%M%S)-$$}
LOGDIR=$LOGS/$RUN
name=plain
[ -z "${DEBUG:-}" ] || name=debug
KERNEL=${KERNEL:-$BUILD/kernel-$name/arch/x86/boot/bzImage}
[ -f "$KERNEL" ] || die "$KERNEL does not exist: run 'make kernel' (DEBUG=1: 'make kernel-debug')"

# Real nested virtualisation is used where this machine offers CPU's kind of it.
choose_l0() {
	local flag=svm

	[ "$CPU" = amd ] || flag=vmx
	case ${ACCEL:-auto} in
	auto) if [ -w /dev/kvm ] && grep -qw $flag /proc/cpuinfo && [ -z "${ICOUNT:-}" ]; then
			ACCEL=kvm
		else
			ACCEL=emu
		fi ;;
	kvm | emu) ;;
	*) die "ACCEL=$ACCEL: use kvm or emu" ;;
	esac
	L0=l0-qemu.sh
	[ "$CPU$ACCEL" != intelemu ] || L0=l0-bochs.sh
	export ACCEL
}

# Files that the words of commands name, and what those that are scripts ask
# for in lines `# packs: FILE...` (relative to the repository).
packed_files() {
	local word file words

	read -r -d '' -a words <<<"$COMMAND ${WORDS:-}" || :
	for word in "${words[@]}"; do
		file=$(type -P -- "$word") || file=$word
		[[ $file == /* ]] || file=$ROOT/$file
		[ -f "$file" ] || continue
		printf '%s\n' "$file"
		sed -n 's/^# packs: //p' "$file" | tr -s ' ' '\n' | sed "s|^[^/]|$ROOT/&|"
	done | sort -u
	tr -s ' \n' '\n' <<<"${FILES:-}" | sed '/^$/d'
}

prepare() {
	local files=() name

	need busybox-static cpio
	rm -rf "$LOGDIR"
	mkdir -p "$LOGDIR/job"
	ln -sfn "$RUN" "$LOGS/last"
	printf '%s\n' "$COMMAND" >"$LOGDIR/job/cmd"
	echo "export KVMI_ROOT='$ROOT' KVMI_CPU=$CPU" >"$LOGDIR/job/env"
	for name in KVMI_SEED KVMI_SECONDS; do
		[ -z "${!name:-}" ] || echo "export $name='${!name}'" >>"$LOGDIR/job/env"
	done
	[ -z "${JOB:-}" ] || cp "$JOB"/* "$LOGDIR/job/"
	if [ $L0 = l0-bochs.sh ]; then
		need binutils
		mapfile -t files < <(packed_files)
	fi
	"$ROOT/harness/initramfs.sh" "$LOGDIR/initramfs.gz" "$LOGDIR/job" "${files[@]}"
	touch "$LOGDIR"/{console.log,out,results}
}

stop() {
	[ -z "${L0_PID:-}" ] || kill "$L0_PID" 2>/dev/null || :
	exit 130
}

run() {
	trap stop INT TERM
	"$ROOT/harness/$L0" "$LOGDIR" "$KERNEL" "$LOGDIR/initramfs.gz" "$TIMEOUT" &
	L0_PID=$!
	if [ -z "${QUIET:-}" ]; then
		tail -q -s 0.2 -n +1 -f --pid=$L0_PID "$LOGDIR/out"
	fi
	L0_STATUS=0
	wait $L0_PID || L0_STATUS=$?
	rm -f "$LOGDIR/initramfs.gz" "$LOGDIR/boot.iso"
}

verdict() {
	local status complaints

	status=$(sed -n 's/^exit //p' "$LOGDIR/results" | tail -n 1)
	complaints=$(sed -n -E '/^(splat|leak|L1:) /p' "$LOGDIR/results")
	if [ -z "$status" ]; then
		complaints+=$(grep -a -E -f "$ROOT/harness/splat.patterns" "$LOGDIR/console.log" | head -n 20 || :)
		status=71
		[ $L0_STATUS -ne 124 ] || { status=124; say "error: out of time after $TIMEOUT s (TIMEOUT=)"; }
		[ $status -eq 124 ] || say "error: L1 went down before the verdict"
		tail -n 5 "$LOGDIR/l0.log" >&2
	elif [ -n "$complaints" ] && [ "$status" = 0 ]; then
		status=70
	fi
	[ -z "$complaints" ] || printf '%s\n' "$complaints" >&2
	[ "$status" = 0 ] || say "       logs: $LOGDIR (console.log: L1's kernel)"
	echo "exit $status"
	return "$status"
}

choose_l0
TIMEOUT=${TIMEOUT:-$([ $L0 = l0-bochs.sh ] && echo 900 || echo 300)}
export TIMEOUT
prepare
run
verdict
