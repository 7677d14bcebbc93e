#!/bin/busybox sh
# The guest's first process: loads the disk's driver and goes on from the disk.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t devtmpfs dev /dev
for module in /modules/*; do $B insmod "$module"; done
i=0
while [ ! -b /dev/vda ] && [ $i -lt 100 ]; do $B sleep 0.1; i=$((i + 1)); done
$B mount -t ext4 /dev/vda /root
$B mount --move /dev /root/dev
$B mount --move /proc /root/proc
exec $B switch_root /root /init
