#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Bring build/linux-6.12 up to date: the pinned source, the patch series, the
# overlay. See assemble.sh for how.
#
# usage: tree.sh
#   KDIR=/path   start from a copy of this 6.12 tree instead of the package

set -euo pipefail
. "$(dirname "$0")/lib.sh"

PATCHES=$ROOT/patches/linux-6.12
OVERLAY=$ROOT
OVERLAY_ROOTS=(Documentation arch include tools virt)
. "$(dirname "$0")/assemble.sh"

is_git() { [ -e "$KDIR/.git" ]; }
is_assembled() { is_git && git -C "$KDIR" rev-parse -q --verify refs/kvmi/assembled >/dev/null; }

# What the base is made from: the package's tarball, or the user's tree.
find_source() {
	local package sha version have

	if [ -n "${KDIR:-}" ]; then
		[ -f "$KDIR/Makefile" ] || die "KDIR=$KDIR is not a kernel tree: it has no Makefile"
		# A tree that this script assembled has its pristine source in it.
		[ ! -e "$KDIR/virt/kvm/introspection" ] || is_assembled ||
			die "KDIR=$KDIR has the patches already: name a tree without them, this makes a patched copy"
		IDENTITY="tree $(realpath "$KDIR") $(! is_git || git -C "$KDIR" rev-parse HEAD)"
		return
	fi
	package=$(base_value "$PATCHES/base" package)
	sha=$(base_value "$PATCHES/base" sha256)
	version=$(base_value "$PATCHES/base" version)
	TARBALL=/usr/src/$package.tar.xz
	[ -f "$TARBALL" ] || need "$package"
	IDENTITY="$package $(stat -c '%s %Y' "$TARBALL")"
	! base_is_current || return 0
	[ "$(sha256sum "$TARBALL" | cut -d' ' -f1)" != "$sha" ] || return 0
	have=$(dpkg-query -W -f='${Version}' "$package" 2>/dev/null || echo unknown)
	[ "$have" != "$version" ] || die "$TARBALL is damaged: its sha256 is not that of $package $version.
  Reinstall it: apt-get install --reinstall $package"
	say "warning: $package $have is not the version the patches were made on ($version);" \
	    "going on: they must all apply without fuzz"
}

unpack_source() {
	if [ -z "${KDIR:-}" ]; then
		tar -C "$1" --strip-components=1 -xf "$TARBALL"
	elif is_assembled; then
		git -C "$KDIR" archive base | tar -C "$1" -x
	elif is_git; then
		(cd "$KDIR" && git ls-files -z | tar -c --null -T -) | tar -C "$1" -x
	else
		[ ! -e "$KDIR/include/config/auto.conf" ] ||
			die "KDIR=$KDIR was built in place: run 'make mrproper' in it (or in a copy) first"
		tar -C "$KDIR" --exclude-vcs -c . | tar -C "$1" -x
	fi
}

source_version() {
	local version

	version=$(awk '/^(VERSION|PATCHLEVEL|SUBLEVEL) =/ { printf "%s%s", sep, $3; sep = "." }' \
		"$1/Makefile")
	[[ $version == 6.12.* ]] || die "the source is Linux $version; the patches are for 6.12"
	echo "Linux $version"
}

need git xz-utils
locked linux-6.12
find_source
assemble
