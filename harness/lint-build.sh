#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Compile what is ours with every warning that the kernel knows (W=1) and with
# sparse (C=2), with KVM as modules, which also links them; then once more in a
# distribution-like configuration. Prints the complaints about our files.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

OURS='(virt/kvm/introspection/|virt/kvmmem/|arch/x86/kvm/(\./)?(kvmi|vmx/kvmi|svm/kvmi)|/kvmi(_host|_x86)?\.h)'

need sparse
complaints() { grep -aE "$OURS.*: (warning|error)" "$1" | sed "s|$TREE/||" | sort -u; }

"$ROOT/harness/kernel.sh" modules || { echo "KVM does not build as modules: $LOGS/kernel-modules.log"; exit 1; }
LOG=$LOGS/lint-w1.log
CHECK=1 LOG=$LOG "$ROOT/harness/kernel.sh" modules C=2 W=1 KCFLAGS=-Wno-error arch/x86/kvm/ ||
	echo "the build with C=2 W=1 failed: $LOG"
complaints "$LOG" || :
"$ROOT/harness/kernel.sh" defconfig || echo "KVM does not build in a defconfig: $LOGS/kernel-defconfig.log"
