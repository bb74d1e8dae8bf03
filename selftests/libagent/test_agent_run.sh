#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# agent-run: options, messages, exit status, and what becomes of the command.

cd "$(dirname "$0")" || exit 1
. ../../kselftest/ktap_helpers.sh

out=$(mktemp)
err=$(mktemp)
trap 'rm -f "$out" "$err"' EXIT

# run STATUS COMMAND...: run it, and see how it ends
run()
{
	expected=$1
	shift
	"$@" >"$out" 2>"$err" </dev/null
	status=$?
	[ "$status" -eq "$expected" ] && return
	ktap_print_msg "$* ended with $status, not $expected; it said: $(cat "$err")"
	return 1
}

# said WORDS: on stderr
said()
{
	grep -qF -e "$1" "$err" && return
	ktap_print_msg "'$1' is not in: $(cat "$err")"
	return 1
}

# told FIELD=VALUE...: by the tool, on stdout
told()
{
	for field; do
		grep -q " $field " "$out" && continue
		ktap_print_msg "$field is not in: $(cat "$out" "$err")"
		return 1
	done
}

is_burst()
{
	grep -q "^burst=1 " "$out" && told "$@"
}

is_silent()
{
	[ ! -s "$err" ] && return
	ktap_print_msg "it said: $(cat "$err")"
	return 1
}

# test NAME CONDITION...: on every kernel
test_case()
{
	name=$1
	shift
	if "$@"; then
		ktap_test_pass "$name"
	else
		ktap_test_fail "$name"
	fi
}

# The same where the kernel has the class
class_case()
{
	if [ "$has_class" -eq 1 ]; then
		test_case "$@"
	else
		ktap_test_skip "$1"
	fi
}

help()
{
	run 0 ./agent-run --help && is_silent || return 1
	for option in --credit= --period= --nice= --strict --help; do
		grep -qF -e "$option" "$out" || return 1
	done
	run 0 ./agent-run -h
}

exit_status()
{
	run 0 ./agent-run true &&
	run 7 ./agent-run sh -c 'exit 7' &&
	run 137 ./agent-run sh -c 'kill -9 $$'
}

not_found()
{
	run 127 ./agent-run no-such-command && said "'no-such-command' was not found" &&
	run 126 ./agent-run / && said "cannot be run" &&
	run 126 ./agent-run ./settings && said "Permission denied"
}

no_command()
{
	run 125 ./agent-run && said "no command" && said "--help" &&
	run 125 ./agent-run -q 8ms -- && said "no command"
}

unknown_option()
{
	run 125 ./agent-run --frobnicate true && said "--help"
}

wrong_time()
{
	for time in 8 ms -8ms 0ms 8m 8msec nanms infs 1e40s ''; do
		run 125 ./agent-run -q "$time" true && said "as in 500us or 8ms" || return 1
	done
	run 125 ./agent-run --period=100 true && said "--period"
}

wrong_nice()
{
	for nice in -21 20 1.5 x ''; do
		run 125 ./agent-run -n "$nice" true && said "from -20 to 19" || return 1
	done
}

# What follows the command is the command's
arguments()
{
	run 0 ./agent-run -q 8ms sh -c 'echo "$0 $*"' -q --strict -- &&
	[ "$(cat "$out")" = "-q --strict --" ] &&
	run 127 ./agent-run -- --help
}

without_class()
{
	run 0 ./tool --no-class ./agent-run ./tool && grep -q "^burst=0 " "$out" &&
	said "no agent class"
}

without_class_strict()
{
	run 125 ./tool --no-class ./agent-run --strict ./tool && [ ! -s "$out" ] &&
	said "no agent class" && said "CONFIG_SCHED_AGENT"
}

declares()
{
	run 0 ./agent-run --strict -q 2.5ms -t 0.05s -n -3 ./tool && is_silent &&
	is_burst credit=2500000 period=50000000 nice=-3 own=0
}

declares_the_default()
{
	run 0 ./agent-run --strict ./tool && is_silent &&
	is_burst credit=8000000 period=100000000 nice=0
}

units()
{
	run 0 ./agent-run --credit=500us --period=20000000ns ./tool &&
	is_burst credit=500000 period=20000000 &&
	run 0 ./agent-run --credit 0.1s --period 10s ./tool &&
	is_burst credit=100000000 period=10000000000
}

refused_by_the_kernel()
{
	run 125 ./agent-run -q 60ms true && said "at least twice" &&
	run 125 ./agent-run -q 1us true && said "100us to 100ms"
}

not_allowed()
{
	run 125 ./tool --nice-limit 20 --nobody ./agent-run -n -1 true &&
	said "RLIMIT_NICE of 21" && said "LimitNICE=21" &&
	run 0 ./tool --nice-limit 20 --nobody ./agent-run ./tool && is_burst nice=0
}

# SCHED_FIFO is 1
other_policy()
{
	run 125 ./tool --policy 1 ./agent-run true && said "policy is 1" && said "chrt --other"
}

ktap_print_header
ktap_set_plan 16
if ! [ "$(id -u)" -eq 0 ]; then
	ktap_print_msg "needs root"
	exit "$KSFT_SKIP"
fi

# By the tool's own system call: agent-run may be wrong
has_class=0
./tool --declare >/dev/null 2>&1 && has_class=1

test_case help help
test_case exit_status exit_status
test_case not_found not_found
test_case no_command no_command
test_case unknown_option unknown_option
test_case wrong_time wrong_time
test_case wrong_nice wrong_nice
test_case arguments arguments
test_case without_class without_class
test_case without_class_strict without_class_strict
class_case declares declares
class_case declares_the_default declares_the_default
class_case units units
class_case refused_by_the_kernel refused_by_the_kernel
class_case not_allowed not_allowed
class_case other_policy other_policy

ktap_finished
