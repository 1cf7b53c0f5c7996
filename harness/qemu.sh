#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the patched QEMU and install the little that is needed of it:
# build/qemu/bin/qemu-system-x86_64 and build/qemu/share/qemu/ (firmware). It
# serves as L0 (TCG with SVM) and, inside L1, as the VMM of the guest.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

SRC=$BUILD/qemu-7.2
O=$BUILD/qemu-build
PREFIX=$BUILD/qemu
FLAGS=(--target-list=x86_64-softmmu --without-default-features --enable-system --enable-kvm
	--enable-tcg --enable-virtfs --enable-attr --enable-cap-ng --enable-fdt=system
	--enable-vhost-kernel --enable-vhost-net --disable-docs)

configure() {
	mkdir -p "$O"
	(cd "$O" && "$SRC/configure" --cc='ccache gcc' --prefix="$PREFIX" "${FLAGS[@]}")
	printf '%s\n' "${FLAGS[@]}" >"$O/flags"
}

# Debian's source has no firmware images: they come from where Debian has them.
install_files() {
	local share=$PREFIX/share/qemu

	mkdir -p "$PREFIX/bin" "$share"
	install -s "$O/qemu-system-x86_64" "$PREFIX/bin/"
	cp /usr/share/qemu/{kvmvapic,linuxboot,linuxboot_dma,multiboot_dma,pvh}.bin "$share/"
	cp /usr/share/seabios/bios-256k.bin "$share/"
}

need build-essential ccache ninja-build meson pkg-config python3 libglib2.0-dev \
	libpixman-1-dev libattr1-dev libcap-ng-dev libfdt-dev seabios qemu-system-data
"$ROOT/harness/qemu-tree.sh"
locked qemu-build
if [ ! -f "$O/build.ninja" ] || ! printf '%s\n' "${FLAGS[@]}" | cmp -s - "$O/flags"; then
	step "configure QEMU" "$LOGS/qemu-configure.log" configure
fi
step "build QEMU" "$LOGS/qemu-build.log" ninja -C "$O" -j"$JOBS" qemu-system-x86_64
install_files
say "       build/qemu/bin/qemu-system-x86_64: $("$PREFIX/bin/qemu-system-x86_64" --version | head -n 1)"
