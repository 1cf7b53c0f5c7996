#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The first process of L1 (busybox). Runs the one command in /job/cmd as root,
# on the host's root over 9p where there is one and on this initramfs where not
# (Bochs), then looks for kernel complaints, and only then gives the verdict.
#
# Three serial lines: ttyS0 the kernel's console, ttyS1 the command's output,
# ttyS2 the results, which only this script and the test runner write to.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
BB=/job/busybox

$BB mkdir -p /proc /sys /dev /mnt
$BB mount -t proc proc /proc
$BB mount -t sysfs sysfs /sys
$BB mount -t devtmpfs devtmpfs /dev
for tty in ttyS1 ttyS2; do
	$BB stty -F /dev/$tty raw -echo 115200
done

root=
if $BB grep -q kvmi.root=9p /proc/cmdline; then
	root=/mnt
	$BB mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 hostroot /mnt || {
		echo "L1: the host's root cannot be mounted" >/dev/ttyS2
		$BB poweroff -f
	}
	$BB mount -t proc proc /mnt/proc
	$BB mount -t sysfs sysfs /mnt/sys
	$BB mount -t devtmpfs devtmpfs /mnt/dev
else
	$BB mkdir -p /run /tmp /root /etc
	$BB --install -s /bin 2>/dev/null
	echo root:x:0:0:root:/root:/bin/sh >/etc/passwd
fi
$BB mkdir -p $root/dev/shm $root/dev/pts
$BB mount -t tmpfs -o mode=755 tmpfs $root/run
$BB mount -t tmpfs -o mode=1777 tmpfs $root/dev/shm
$BB mount -t devpts -o ptmxmode=666 devpts $root/dev/pts
$BB ln -sf /proc/self/fd $root/dev/fd
$BB mount -t debugfs debugfs $root/sys/kernel/debug
$BB mount -t tracefs tracefs $root/sys/kernel/tracing
$BB mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
$BB ifconfig lo 127.0.0.1 up
# The job is on the initramfs, which the command's root need not be.
$BB cp -r /job $root/run/job

leaks() {
	$BB test -w $root/sys/kernel/debug/kmemleak || return 0
	# Objects younger than five seconds are not reported.
	$BB sleep 6
	echo scan >$root/sys/kernel/debug/kmemleak
	$BB sleep 1
	echo scan >$root/sys/kernel/debug/kmemleak
	$BB cat $root/sys/kernel/debug/kmemleak
}

$BB chroot $root/ /bin/sh -c 'cd / && export TMPDIR=/run && . /run/job/env && exec sh /run/job/cmd' \
	</dev/null >/dev/ttyS1 2>&1
status=$?
# Nothing may go on using KVM while the verdict is found.
$BB kill -9 -1
leaks >/leaks 2>&1
{
	$BB dmesg | $BB grep -E -f /job/splat.patterns | $BB head -n 20 | $BB sed 's/^/splat /'
	$BB head -n 60 /leaks | $BB sed 's/^/leak /'
	echo "exit $status"
} >/dev/ttyS2
$BB stty -F /dev/ttyS2 raw
$BB poweroff -f
