#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Bring build/qemu-7.2 up to date: Debian's source package, the patch series of
# patches/qemu-7.2, the new files of qemu/. See assemble.sh for how.
#
# The source comes through apt, from the repositories this machine already
# uses; a list of their source entries is kept under build/, so that the
# machine's own configuration stays as it is.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

TREE=$BUILD/qemu-7.2
PATCHES=$ROOT/patches/qemu-7.2
OVERLAY=$ROOT/qemu
OVERLAY_ROOTS=(.)
APT=$BUILD/src/apt
. "$(dirname "$0")/assemble.sh"

own_apt() {
	apt-get -o Dir::Etc::sourcelist="$APT/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::State::lists="$APT/lists" -o Dir::Cache="$APT/cache" \
		-o APT::Sandbox::User="$(id -un)" "$@"
}

source_entries() {
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=

	[ ! -f $keyring ] || signed="[signed-by=$keyring] "
	apt-get indextargets 'Created-By: Packages' 'Origin: Debian' \
		--format "deb-src $signed\$(REPO_URI) \$(CODENAME) \$(COMPONENT)" | sort -u
}

download() {
	mkdir -p "$APT/lists/partial" "$APT/cache/archives/partial"
	source_entries >"$APT/sources.list"
	[ -s "$APT/sources.list" ] || die "apt knows no Debian repository: run apt-get update"
	own_apt update
	cd "$BUILD/src"
	own_apt source --download-only "qemu=$version" || own_apt source --download-only qemu
}

newest_dsc() { DSC=$(find "$BUILD/src" -maxdepth 1 -name 'qemu_7.2*.dsc' | sort -V | tail -n 1); }

find_source() {
	local version sha

	version=$(base_value "$PATCHES/base" version)
	sha=$(base_value "$PATCHES/base" sha256)
	mkdir -p "$BUILD/src"
	newest_dsc
	if [ -z "$DSC" ]; then
		step "download the source of QEMU" "$LOGS/qemu-source.log" download
		newest_dsc
		[ -n "$DSC" ] || die "apt offers no source package qemu 7.2, see $LOGS/qemu-source.log"
	fi
	IDENTITY=$(sha256sum "$DSC" | cut -d' ' -f1)
	[ "$IDENTITY" = "$sha" ] || base_is_current ||
		say "warning: $(basename "$DSC") is not the package the patches were made on ($version);" \
		    "going on: they must all apply without fuzz"
}

# dpkg-source checks the tarballs against the checksums in the .dsc.
unpack_source() {
	rmdir "$1"
	dpkg-source -x "$DSC" "$1"
	rm -rf "$1/.pc"
}

source_version() {
	echo "QEMU $(cat "$1/VERSION")"
}

need git dpkg-dev xz-utils
locked qemu-7.2
find_source
assemble
