# Runs in mount, process, cgroup, network, name and IPC namespaces of its own: makes a root of the machine's root with an
# empty configuration, and becomes systemd in it. $1: a folder of the caller's; what it runs in is at $1/run.
set -e
work=$1
root=$work/root
mkdir "$work/run" "$work/upper" "$root"
mount --make-rprivate /
mount -t tmpfs tmpfs "$work/upper"
mkdir "$work/upper/files" "$work/upper/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper/files,workdir=$work/upper/work" "$root"

mount -t proc proc "$root/proc"
mount --bind -o ro "$root/proc/sys" "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    cd "$root/sys/fs/cgroup"
    mkdir systemd unified pids
    mount -t cgroup -o none,name=systemd cgroup systemd
    mount -t cgroup2 cgroup2 unified
    mount -t cgroup -o pids cgroup pids
fi

# The caller sees the sockets in its folder.
mount --bind "$work/run" "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero full random urandom; do
    : > "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

# No unit but those named here: nothing of this machine is started a second time.
units=$root/usr/lib/systemd/system
mkdir "$work/upper/units"
for unit in dbus.service dbus.socket systemd-logind.service sysinit.target basic.target sockets.target timers.target \
    slices.target paths.target shutdown.target user.slice; do
    cp "/usr/lib/systemd/system/$unit" "$work/upper/units/"
done
for folder in /etc/systemd/system /usr/lib/systemd/system /usr/lib/systemd/system-generators; do
    if [ -d "$root$folder" ]; then mount -t tmpfs tmpfs "$root$folder"; fi
done
cp "$work"/upper/units/* "$work"/units/* "$units/"
echo 0123456789abcdef0123456789abcdef > "$work/upper/id"
[ -e "$root/etc/machine-id" ] || : > "$root/etc/machine-id"
mount --bind "$work/upper/id" "$root/etc/machine-id"

cd "$root"
mkdir run/before
pivot_root . run/before
umount -l /run/before
exec env -i container=nodetally PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/lib/systemd/systemd --log-target=null --system
