#!/bin/busybox sh
# The guest's process 1 once the disk is mounted. ttyS0 has the kernel's log, ttyS1 the command's output, ttyS2 its end.
export PATH=/opt/nodetally:/opt/nodetally/deps:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
for module in /modules/*; do insmod "$module"; done
ulimit -n 65536
for terminal in 1 2; do stty -F /dev/ttyS$terminal raw -echo; done
hostname guest
ip link set lo up
# A group with processes of its own cannot give controllers to its children; the top's are moved away.
mkdir /sys/fs/cgroup/init
for pid in $(cat /sys/fs/cgroup/cgroup.procs); do
    echo "$pid" 2>/dev/null >/sys/fs/cgroup/init/cgroup.procs
done
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
done
cd /root
/command >/dev/ttyS1 2>&1 </dev/null
echo "END $?" >/dev/ttyS2
# Setting a terminal waits until everything is sent.
for terminal in 1 2; do stty -F /dev/ttyS$terminal sane; done
poweroff -f
