#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in L1: kvmmem_test as the only program of a guest (L2), which maps memory of
# another VM, that of kvmmem_target. Prints the test's TAP.
#
# usage: kvmmem.sh [PARAMETER...]   of L2's kernel; the test gets what that does not know:
#   absent=1          there must be no device
#   seed=N rounds=N   arguments at random
#
# packs: /bin/bash build/selftests/kvmmem_target build/selftests/kvmmem_test
# packs: build/kernel-l2/arch/x86/boot/bzImage
# packs: build/qemu/bin/qemu-system-x86_64 build/qemu/share/qemu

set -euo pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
RUN=$(mktemp -d "${TMPDIR:-/run}/kvmmem.XXXXXX")
KERNEL=${L2_KERNEL:-$ROOT/build/kernel-l2/arch/x86/boot/bzImage}
BUSYBOX=/run/job/busybox
PATIENCE=${PATIENCE:-120}
TARGET=

finish() {
	[ -z "$TARGET" ] || kill "$TARGET" 2>/dev/null || :
	rm -rf "$RUN"
}
trap finish EXIT

fail() {
	echo "Bail out! $*"
	exit 1
}

start_target() {
	local i

	"$ROOT/build/selftests/kvmmem_target" "$RUN/line" >"$RUN/target" 2>&1 &
	TARGET=$!
	for ((i = 0; i < PATIENCE * 10; i++)); do
		[ ! -S "$RUN/line" ] || return 0
		kill -0 "$TARGET" 2>/dev/null || break
		sleep 0.1
	done
	sed 's/^/# /' "$RUN/target"
	fail "no VM whose memory could be mapped"
}

mkdir "$RUN/root"
cp "$ROOT/build/selftests/kvmmem_test" "$RUN/root/init"
(cd "$RUN/root" && echo init | $BUSYBOX cpio -o -H newc) >"$RUN/initrd" 2>/dev/null

line=()
if [[ " $* " == *" absent="* ]]; then
	# The kernel says what becomes of each driver.
	set -- "$@" initcall_debug ignore_loglevel
else
	start_target
	line=(-serial "unix:$RUN/line")
	set -- "$@" target=/dev/ttyS1
fi
: >"$RUN/console"
status=0
"$ROOT/build/qemu/bin/qemu-system-x86_64" -L "$ROOT/build/qemu/share/qemu" \
	-accel kvm -cpu "${L2_CPU:-host}" -smp 2 -m 256 -nodefaults -display none -no-reboot \
	-kernel "$KERNEL" -initrd "$RUN/initrd" \
	-append "console=ttyS0 panic=-1 oops=panic $*" \
	-serial "file:$RUN/console" "${line[@]}" </dev/null || status=$?
# Lines of the kernel are no TAP.
sed -n 's/\r$//; /^\[ /!p' "$RUN/console"
[ $status = 0 ] || fail "QEMU: exit status $status"
if sed '1,/Run .init as init process/d' "$RUN/console" |
   grep -aE 'BUG:|Oops|WARNING:|Kernel panic|rcu.*stall|soft lockup'; then
	fail "L2's kernel complains"
fi
# No device because there is no driver would prove nothing.
if [[ " $* " == *" absent="* ]] && ! grep -qa 'initcall kvmmem_init+.* returned -19 ' "$RUN/console"; then
	grep -a 'initcall kvmmem_init' "$RUN/console" | sed 's/^/# /' || :
	fail "L2's kernel has no driver, or its driver does not say ENODEV"
fi
if [ -n "$TARGET" ]; then
	wait "$TARGET" || { sed 's/^/# /' "$RUN/target"; fail "kvmmem_target: exit status $?"; }
	TARGET=
fi
grep -qa '^kvmmem: exit 0' "$RUN/console"
