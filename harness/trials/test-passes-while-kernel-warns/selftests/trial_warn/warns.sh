#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
echo TAP version 13
echo 1..1
echo WARNING > /sys/kernel/debug/provoke-crash/DIRECT && echo ok 1 passes
