#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# QEMU's introspection object against a tool: handshake, hook, reconnect, end
# (qemu_object_test.py). Runs in L1. In an L1 booted with kvm.introspection=0
# the one test is that QEMU refuses the object and says why.

set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
export QEMU=${QEMU:-$HERE/../build/qemu/bin/qemu-system-x86_64} PYTHONDONTWRITEBYTECODE=1
PARAMETER=/sys/module/kvm/parameters/introspection

bail() { printf 'Bail out! %s\n' "$*"; exit 1; }

refused() {
	local text status=0

	text=$("$QEMU" -nodefaults -display none -M none -accel kvm \
		-chardev socket,id=c,path=/nonexistent,reconnect=1 \
		-object introspection,id=k,chardev=c 2>&1) || status=$?
	echo "1..1"
	if [ $status = 1 ] && [[ $text == *"no introspection support, or it is switched off"* ]]; then
		echo "ok 1 - a kernel with introspection switched off is named as the cause"
	else
		echo "not ok 1 - a kernel with introspection switched off is named as the cause"
		printf '# status %s: %s\n' $status "${text//$'\n'/ }"
		return 1
	fi
}

[ -x "$QEMU" ] || bail "there is no $QEMU: run make qemu"
[ -r $PARAMETER ] || bail "this kernel has no KVM introspection: run this test with make boot"
case $(<$PARAMETER) in
Y) exec python3 "$HERE/qemu_object_test.py" ;;
*) refused ;;
esac
