#!/bin/sh
# guest.sh: runs the commands of a job inside a guest, as root.
# guest.sh FOLDER        run the job in FOLDER, which the host shares
# guest.sh FOLDER setup  only set the guest up, for an interactive shell
#
# Reads  settings     shell variables: ICOUNT, HEARTBEAT, SCRATCH, SWAP
#        order        one command a line: NAME LIMIT
#        cmd/NAME     what to run, by sh
#        topology.sh  prints what topocheck.py reads
# Writes topology     its output
#        started      once the guest is set up
#        running      the name of the command that runs now (not under icount)
#        NAME.log     its stdout and stderr
#        NAME.status  STATUS START END (seconds of the guest's clock)
#        status       the verdict: "done", and only when every command has ended
#        heartbeat    changes while user space lives
#
# Under icount 9p I/O moves the virtual clock, so while a command runs nothing
# is written to the shared folder: logs go to a tmpfs and are copied after it.

J=$1
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH HOME=/root LC_ALL=C
. "$J/settings"

# Marks in the kernel's console tell which command a splat belongs to.
say() { echo "kseries: $*" >/dev/kmsg; }

now() { read -r NOW _ </proc/uptime; }

scratch() {
	mkdir -p /run/scratch
	if [ -z "$SCRATCH" ]; then
		mount -t tmpfs scratch /run/scratch
		return
	fi
	mount -t ext4 "$SCRATCH" /run/scratch || say "the scratch disk does not mount"
	if fallocate -l "$SWAP" /run/scratch/.swap && chmod 600 /run/scratch/.swap &&
		mkswap /run/scratch/.swap >/dev/null && swapon /run/scratch/.swap; then
		return
	fi
	say "there is no swap"
}

setup() {
	# virtme-ng points these at ports that take one writer only.
	ln -sfn /proc/self/fd/1 /dev/stdout
	ln -sfn /proc/self/fd/2 /dev/stderr
	# Tests drive the guest out of memory; this script must outlive them.
	echo -1000 >/proc/self/oom_score_adj
	[ -d /sys/fs/bpf ] && ! grep -q ' /sys/fs/bpf ' /proc/mounts &&
		mount -t bpf bpf /sys/fs/bpf
	grep -q ' /tmp ' /proc/mounts || mount -t tmpfs tmpfs /tmp
	scratch
	cd /run/scratch || exit 1
}

heartbeat() {
	beats=0
	while :; do
		beats=$((beats + 1))
		echo "$beats" >"$J/heartbeat"
		sleep 2
	done
}

run_one() {
	name=$1 limit=$2
	[ "$ICOUNT" = 1 ] || echo "$name" >"$J/running"
	say "run $name"
	now; start=$NOW
	# A test that is about the OOM killer must be within its reach.
	timeout -k 10 "$limit" stdbuf -oL \
		sh -c 'echo 0 >/proc/self/oom_score_adj; exec sh "$0"' "$CMD/$name" \
		</dev/null >"$LOGS/$name.log" 2>&1
	status=$?
	now; end=$NOW
	say "end $name $status"
	[ "$LOGS" = "$J" ] || cp "$LOGS/$name.log" "$J/$name.log"
	echo "$status $start $end" >"$J/$name.status.new"
	mv "$J/$name.status.new" "$J/$name.status"
}

setup >"$J/setup.log" 2>&1
sh "$J/topology.sh" >"$J/topology" 2>>"$J/setup.log"
[ "$2" = setup ] && exit 0

LOGS=$J
CMD=$J/cmd
if [ "$ICOUNT" = 1 ]; then
	# Commands are read before their clock runs, and write to memory.
	LOGS=/run/kseries-logs
	CMD=$LOGS/cmd
	mkdir -p "$LOGS"
	cp -r "$J/cmd" "$CMD"
fi
if [ "$HEARTBEAT" = 1 ]; then
	heartbeat &
	beat=$!
fi
: >"$J/started"
while read -r name limit; do
	run_one "$name" "$limit"
done <"$J/order"
rm -f "$J/running"
[ -n "$beat" ] && kill "$beat"
sync
echo done >"$J/status.new"
mv "$J/status.new" "$J/status"
