#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# Process 1 of the VM in which the tool runs. Whoever has the other end of the second
# serial line sends commands, a line each; what they say comes back, then "exit N" and
# the mark.

export PATH=/bin
busybox mkdir -p /dev /proc /tmp
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
busybox --install -s /bin
# Lines come as they are, and go without a carriage return.
stty -F /dev/ttyS1 115200 -echo -onlcr
echo "L2: ready" >/dev/console

while read -r line; do
	eval "$line"
	echo "exit $?"
	echo '<done>'
done </dev/ttyS1 >/dev/ttyS1 2>&1
poweroff -f
